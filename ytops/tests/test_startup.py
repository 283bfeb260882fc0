"""A command or a server that cannot start says why in one line."""

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, OperationalError, connection

from ytops.startup import SERVER_GIVES_UP, one_line_errors, pool_warnings_kept
from ytops.tests.processes import SERVER, answer_of_server, finish, manage, settings_of, start


def the_one_line(process: subprocess.CompletedProcess[str], code: int = 1) -> str:
    line = process.stderr.removesuffix("\n")
    assert process.returncode == code
    assert process.stdout == ""
    assert "\n" not in line
    assert line.startswith("ytops: ")
    return line


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"FERNET_KEYS": None}, "FERNET_KEYS is not set"),
        ({"FERNET_KEYS": " , "}, "FERNET_KEYS is not set"),
        ({"SECRET_KEY": None}, "SECRET_KEY is not set"),
        ({"DATABASE_URL": "mysql://u:their-password@h/db"}, "DATABASE_URL begins with 'mysql'"),
        ({"DATABASE_URL": "u:their-password@h/db"}, "DATABASE_URL does not begin with a scheme"),
        ({"DATABASE_URL": "postgresql//u:their-password@h/db"}, "does not begin with a scheme"),
        ({"DATABASE_URL": "postgresql:/u:their-password@h/db"}, "does not begin with a scheme"),
        ({"DATABASE_URL": "u:their-password@h://db"}, "DATABASE_URL does not begin with a scheme"),
        ({"DATABASE_URL": "postgresql://u:1/their-password@h:1/db"}, "cannot be read"),
        ({"DATABASE_URL": "postgresql://u@h:5432"}, "DATABASE_URL names no database"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL names no file"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL names no file"),
        ({"DATABASE_URL": "postgresql://u:their-password/x@h:5432/db"}, "cannot be read"),
        ({"DATABASE_URL": "postgresql://u:their-password@h:port/db"}, "cannot be read"),
        ({"DATABASE_URL": "postgresql://u:their-password@[::/db"}, "cannot be read"),
        ({"FERNET_KEYS": "a-key    # newest"}, "FERNET_KEYS has white space inside"),
        ({"DEBUG": "maybe"}, "DEBUG is 'maybe'"),
    ],
)
def test_a_bad_environment(env: dict[str, str | None], said: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        settings_of(**env)
    assert said in str(error.value)
    assert "their-password" not in str(error.value)


@pytest.mark.once
def test_a_command_in_a_bad_environment() -> None:
    line = the_one_line(manage("check", DATABASE_URL="mysql://u:their-password@h/db"))
    assert "DATABASE_URL begins with 'mysql'" in line
    assert "their-password" not in line


def test_the_database_is_out_of_reach(tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:////{tmp_path}/missing/ytops.sqlite3"}
    why = "unable to open database file"
    if connection.vendor == "postgresql":
        (tmp_path / "impatient.py").write_text(
            "from ytops.settings import *\n"
            "DATABASES['default']['OPTIONS']['pool']['timeout'] = 0.5\n"
        )
        env = {
            "DATABASE_URL": "postgresql://somebody:their-password@127.0.0.1:1/name",
            "DJANGO_SETTINGS_MODULE": "impatient",
            "PYTHONPATH": str(tmp_path),
        }
        why = "Connection refused"
    command = start("manage.py", "migrate", **env)
    status, body = answer_of_server("/healthz", **env)
    assert (status, json.loads(body)) == (503, {"status": "the database does not answer"})
    line = the_one_line(finish(command))
    assert why in line
    assert "their-password" not in line


@pytest.mark.once
def test_the_folder_of_the_database_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:////{tmp_path}/file/ytops.sqlite3"
    for command in ("migrate", "setup"):
        the_one_line(manage(command, DATABASE_URL=url))


@pytest.mark.once
def test_the_folder_of_the_database_takes_no_file(tmp_path: Path) -> None:
    # root may write anywhere but into a file system of the kernel.
    folder = tmp_path
    if os.geteuid() == 0:
        folder = Path("/proc")
    else:
        folder.chmod(0o500)
    for command in ("migrate", "setup"):
        the_one_line(manage(command, DATABASE_URL=f"sqlite:////{folder}/ytops.sqlite3"))


@pytest.mark.once
def test_the_database_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("This is not SQLite. " * 100)
    line = the_one_line(manage("migrate", DATABASE_URL=f"sqlite:////{tmp_path}/file"))
    assert "file is not a database" in line


@pytest.mark.once
def test_a_server_without_keys_says_so_and_does_not_try_for_ever() -> None:
    process = finish(start(*SERVER, FERNET_KEYS=None))
    assert process.returncode == 3
    said = [line for line in process.stderr.splitlines() if line.startswith("ytops: ")]
    assert len(said) == 1
    assert "FERNET_KEYS is not set" in said[0]
    assert "Traceback" not in process.stderr


@pytest.mark.once
@pytest.mark.parametrize("module", ["wsgi", "asgi"])
def test_importing_the_application_without_keys(module: str) -> None:
    the_one_line(finish(start("-c", f"import ytops.{module}", FERNET_KEYS=None)), SERVER_GIVES_UP)


@pytest.mark.once
def test_traceback_on_request() -> None:
    process = manage("check", "--traceback", FERNET_KEYS=None)
    assert "Traceback" in process.stderr
    assert process.returncode == 1


def test_what_is_a_fault_of_the_code_keeps_its_traceback() -> None:
    for fault in (ValueError("a"), IntegrityError("b")):
        with pytest.raises(type(fault)), one_line_errors():
            raise fault


@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_an_error_of_several_lines_becomes_one(
    error: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        raise error("first\n\tsecond\n")
    said = capsys.readouterr().err
    assert said.startswith("ytops: the database of DATABASE_URL")
    assert said.endswith(": first second\n")


def test_of_what_the_pool_says_the_cause_is_kept() -> None:
    said = logging.getLogger("psycopg.pool").warning
    with pool_warnings_kept() as pool:
        said("error connecting in %r: %s", "pool-1", "it is shut down")
        said("reconnection attempt in pool %r failed after %s sec", "pool-1", 2)
    assert pool.last == "error connecting in 'pool-1': it is shut down"


@pytest.mark.once
def test_a_reader_that_went_away_is_no_error() -> None:
    process = start("manage.py", "diffsettings", "--all")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    result = finish(process)
    assert result.stderr == ""
    assert result.returncode == 1


def test_an_interrupted_command_says_so_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise KeyboardInterrupt
    assert (ended.value.code, capsys.readouterr().err) == (130, "ytops: interrupted\n")
