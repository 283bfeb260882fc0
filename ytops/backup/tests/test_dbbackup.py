"""dbbackup: what it writes, what it says, what it refuses and then leaves behind."""

import json
import sqlite3
import stat
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder

import ytops
from channels_app.models import Channel
from ytops.backup.tests.site import (
    Site,
    made,
    opened,
    refused,
    said,
)
from ytops.db.secrets import fingerprint
from ytops.tests.processes import manage

pytestmark = pytest.mark.django_db


def rows_of(content: dict[str, list[str]]) -> dict[str, int]:
    """Table → number, without the schema and SQLite's own tables."""
    return {
        table: len(rows)
        for table, rows in content.items()
        if table and not table.startswith("sqlite_")
    }


def test_it_says_what_it_made_and_leaves_one_file(site: Site) -> None:
    before = site.content(), site.databases()
    line = said("dbbackup")
    [name] = site.files()
    rows = rows_of(before[0])
    assert line.startswith(f"{name}: ")
    assert f"KB, {sum(rows.values())} rows in {len(rows)} tables, proved.\n" in line
    assert (site.content(), site.databases()) == before
    assert stat.S_IMODE((site.backups / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(site.backups.stat().st_mode) == 0o700
    [listed] = json.loads(said("listbackups", "--format=json"))
    assert (listed["name"], listed["rows"], listed["state"]) == (
        name,
        sum(rows.values()),
        "whole",
    )


def test_the_manifest_tells_engine_schema_rows_keys_and_time(
    site: Site, settings: LazySettings
) -> None:
    newest, _ = map(fingerprint, settings.FERNET_KEYS)
    began = datetime.now(UTC)
    payload, manifest = opened(made(site))
    facts = manifest.facts
    assert began - timedelta(seconds=1) < manifest.created < datetime.now(UTC)
    assert manifest.ytops == ytops.__version__
    assert manifest.engine == connection.vendor
    assert manifest.engine_version in (sqlite3.sqlite_version, server_version())
    assert manifest.size == len(payload)
    assert facts.rows == rows_of(site.content())
    applied = MigrationRecorder(connection).applied_migrations()
    assert {(app, name) for app, names in facts.migrations.items() for name in names} == set(
        applied
    )
    assert (facts.keys, facts.unreadable_secrets) == ([newest], 0)


def server_version() -> str:
    if connection.vendor == "sqlite":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def test_the_tools_of_the_engine_read_the_payload(site: Site) -> None:
    payload, _ = opened(made(site))
    (file := site.folder / "payload").write_bytes(payload)
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("SELECT COUNT(*) FROM channels").fetchone() == (2,)
    else:
        listed = subprocess.run(
            ["pg_restore", "--list", file], capture_output=True, text=True, check=True
        )
        assert "TABLE DATA public channels" in listed.stdout


def test_no_plaintext_of_a_secret_is_in_it(site: Site) -> None:
    payload, _ = opened(made(site))
    assert b"gAAAA" in payload or b"gAAAA".hex().encode() in payload
    assert b"plaintext-of-the-token" not in payload


def test_every_key_that_a_secret_needs_is_named_and_the_unreadable_are_counted(
    site: Site, settings: LazySettings
) -> None:
    newest, older = settings.FERNET_KEYS
    for keys in ([older], ["a key that is lost"]):
        settings.FERNET_KEYS = keys
        Channel.objects.create(name=keys[0], credentials={"type": "authorized_user"})
    settings.FERNET_KEYS = [newest, older, "a key that nothing needs"]
    _, manifest = opened(made(site))
    assert manifest.facts.keys == sorted(map(fingerprint, (newest, older)))
    assert manifest.facts.unreadable_secrets == 1
    assert said("backup_drill")


def test_a_database_that_is_not_there_is_named(site: Site) -> None:
    other: Any = connections["default"]
    other.settings_dict["NAME"] = f"{site.name}_none"
    code, words = refused("dbbackup")
    assert (code, f"{site.name}_none" in words) == (4 if connection.vendor == "sqlite" else 1, True)
    assert site.files() == {}
    assert not Path(f"{site.name}_none").exists()


def test_a_table_that_nobody_knows_and_one_without_rows_come_along(site: Site) -> None:
    site.execute('CREATE TABLE "a ""quoted"" table" (x integer)')
    site.execute('INSERT INTO "a ""quoted"" table" VALUES (7)')
    _, manifest = opened(made(site))
    assert manifest.facts.rows['a "quoted" table'] == 1
    assert said("backup_drill")


def test_a_command_in_a_process_ends_with_its_exit_code(site: Site) -> None:
    done = manage("dbbackup", **site.environment)
    assert (done.returncode, done.stderr) == (0, "")
    [name] = site.files()
    assert done.stdout.startswith(f"{name}: ")
    failed = manage("dbbackup", "-e", **site.environment)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "CommandError: --encrypt: BACKUP_RECIPIENTS is not set.\n"
