"""The first run, and every one after it: `manage.py setup`."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any

import psycopg
import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

import ytops.settings as project
from channels_app.models import Channel, TransformationPreset
from ytops.management.commands.setup import collect_static
from ytops.tests.processes import finish, manage, scratch_database, start

PROVE = os.environ.get("YTOPS_PROVE") == "1"
PASSWORD = re.compile(r"with the password (\S+)\n")
Environment = dict[str, str | None]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Environment]:
    """The environment of a machine that has no database and no files of ours yet."""
    (tmp_path / "own_settings.py").write_text(
        "from pathlib import Path\n"
        "from ytops.settings import *\n"
        f"VAR_DIR = Path({str(tmp_path)!r}) / 'var'\n"
        "STATIC_ROOT = VAR_DIR / 'static'\n"
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']\n"
    )
    module = {"DJANGO_SETTINGS_MODULE": "own_settings", "PYTHONPATH": str(tmp_path)}
    with scratch_database(tmp_path) as url:
        yield {"DATABASE_URL": url, **module}


def static_files_are_whole(folder: Path) -> bool:
    manifest = json.loads((folder / "var/static/staticfiles.json").read_text())
    names = {name for pair in manifest["paths"].items() for name in pair}
    return all((folder / "var/static" / name).exists() for name in names)


def passwords(*results: CompletedProcess[str]) -> list[str]:
    return [password for result in results for password in PASSWORD.findall(result.stdout)]


def dump(env: Environment) -> list[dict[str, Any]]:
    """Every row of every table that has a model."""
    result = manage("dumpdata", **env)
    assert result.returncode == 0, result.stderr
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def the_one_superuser_is(env: Environment, password: str) -> bool:
    """Asked without a process of manage.py, which takes most of a second."""
    users = "SELECT username, is_active, password FROM auth_user WHERE is_superuser"
    url = str(env["DATABASE_URL"])
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            [(name, active, hashed)] = database.execute(users).fetchall()
    else:
        with psycopg.connect(url) as server:
            [(name, active, hashed)] = server.execute(users).fetchall()
    return name == "operator" and bool(active) and check_password(password, hashed)


def test_once_makes_an_installation_and_twice_changes_nothing(fresh: Environment) -> None:
    first = manage("setup", **fresh)
    assert (first.returncode, first.stderr) == (0, "")
    [password] = passwords(first)
    before = dump(fresh)
    assert the_one_superuser_is(fresh, password)
    assert {"channels_app.transformationpreset", "auth.group"} <= {row["model"] for row in before}

    again = manage("setup", **fresh)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert dump(fresh) == before


def test_two_at_once_make_one_installation_and_a_third_beside_them(
    fresh: Environment, tmp_path: Path
) -> None:
    """The third shares nothing with them but the folder of the static files."""
    with scratch_database(tmp_path) as url:
        other = {**fresh, "DATABASE_URL": url}
        processes = [start("manage.py", "setup", **env) for env in (fresh, fresh, other)]
        results = [finish(process) for process in processes]
        assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 3
        for env, made in ((fresh, results[:2]), (other, results[2:])):
            [password] = passwords(*made)
            assert the_one_superuser_is(env, password)
    assert static_files_are_whole(tmp_path)


@pytest.mark.parametrize("seed", range(25 if PROVE else 1))
def test_killed_anywhere_it_goes_on_where_it_was(
    seed: int, fresh: Environment, tmp_path: Path
) -> None:
    random, killed = Random(seed), []
    for _ in range(3 if PROVE else 2):
        process = start("manage.py", "setup", **fresh)
        with suppress(TimeoutExpired):
            process.wait(timeout=random.uniform(0.3, 1.8))
        process.kill()
        killed.append(finish(process))
    last = manage("setup", **fresh)
    assert (last.returncode, last.stderr) == (0, "")
    # Whoever read what was printed gets in: the last password of them all counts.
    assert the_one_superuser_is(fresh, passwords(*killed, last)[-1])
    assert static_files_are_whole(tmp_path)


# Ends the process where a migration is done and about to be recorded.
DIES = """
import os, sys
from django.db.migrations.recorder import MigrationRecorder
record = MigrationRecorder.record_applied
def die(self, app, name):
    os._exit(9) if app == sys.argv[1] else record(self, app, name)
MigrationRecorder.record_applied = die
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "migrate", "-v0"])
"""


def test_a_migration_is_recorded_with_what_it_does(fresh: Environment) -> None:
    for app in ("auth", "videos_app"):
        assert finish(start("-c", DIES, app, **fresh)).returncode == 9
    last = manage("migrate", "-v0", **fresh)
    assert (last.returncode, last.stderr) == (0, "")


@pytest.fixture
def short_demo(tmp_path: Path, settings: Settings) -> None:
    """As shipped, but for what hangs on the channels: that takes long to load."""
    for name in ("defaults", "demo"):
        rows = json.loads((settings.FIXTURE_DIRS[0] / f"{name}.json").read_text("utf-8"))
        kept = [row for row in rows if row["model"].startswith(("channels_app.", "auth."))]
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    settings.FIXTURE_DIRS = [tmp_path]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR, settings.STATIC_ROOT = tmp_path / "var", tmp_path / "var" / "static"


def setup(*arguments: str) -> None:
    call_command("setup", *arguments, verbosity=0)


@pytest.mark.django_db
def test_who_has_a_superuser_gets_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.create_superuser("ada", is_active=False)
    setup()
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]
    assert not PASSWORD.search(capsys.readouterr().out)


@pytest.mark.django_db
def test_an_operator_that_was_demoted_stays_so(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.create_user("operator")
    setup()
    assert not User.objects.get().is_superuser
    assert not PASSWORD.search(capsys.readouterr().out)


@pytest.mark.django_db
def test_the_demo_stays_out_of_a_database_in_use() -> None:
    Channel.objects.create(name="Mine")
    setup("--demo")
    assert Channel.objects.get().name == "Mine"


@pytest.mark.django_db
@pytest.mark.usefixtures("short_demo")
def test_the_demo_leaves_an_edited_preset_alone() -> None:
    setup()
    edited = TransformationPreset.objects.get(name="Square 1:1")
    edited.save_fields(parameters={"width": 640})
    setup("--demo")
    edited.refresh_from_db()
    assert edited.parameters == {"width": 640}
    assert Channel.objects.count() == 12
    assert Group.objects.count() == 2


def test_static_files_of_a_killed_run_are_made_anew(tmp_path: Path, settings: Settings) -> None:
    settings.STORAGES = project.STORAGES
    folder = tmp_path / "var" / "static"
    folder.parent.mkdir()
    collect_static()
    file = folder / "admin" / "css" / "base.css"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    (folder / "staticfiles.json").write_text("")
    (tmp_path / "var" / "static.unfinished").touch()
    collect_static()
    assert file.read_bytes() == whole
    assert static_files_are_whole(tmp_path)
    assert not (tmp_path / "var" / "static.unfinished").exists()
