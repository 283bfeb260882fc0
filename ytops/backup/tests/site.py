"""A site for one test of backups: a database with rows and secrets, a folder, the commands."""

import hashlib
import io
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import override_settings
from psycopg.sql import SQL, Identifier

from ytops.backup import archive
from ytops.backup.manifest import Manifest
from ytops.backup.tests.files import forged
from ytops.tests.examples import one_of_each, video
from ytops.tests.processes import url_of

TITLE = "😀 a 'pie', \"so\"\\ to say;\n\tDROP TABLE videos; --"
METADATA = {"deep": [{"é": [None, True, 1e-7, 2**53, "\x7f", ""]}], "": {}}
COLUMNS = """
    SELECT table_name, string_agg(quote_ident(column_name), ',' ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1
"""
SCHEMA = """
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences
"""
# PostgreSQL puts them elsewhere in a CHECK when it reads the text that it wrote itself.
CASTS = re.compile(r"::(character varying|text)(\[\])?|[()]")


@dataclass(frozen=True)
class Site:
    name: str  # of the database: a path or a name on the server
    folder: Path  # for the files of a test
    backups: Path

    @property
    def environment(self) -> dict[str, str]:
        """For a process of manage.py."""
        return {"DATABASE_URL": url_of(self.name), "BACKUP_DIR": str(self.backups)}

    @property
    def database(self) -> str:
        """As it begins a backup's name."""
        return Path(self.name).stem

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Django's connection and storage are this site's meanwhile."""
        storages = settings.STORAGES | {"dbbackup": folder_storage(self.backups)}
        with override_settings(STORAGES=storages, BACKUP_DIR=self.backups), connected_to(self.name):
            yield

    def execute(self, sql: str) -> None:
        """In a connection of its own, committed."""
        if connection.vendor == "sqlite":
            with closing(sqlite3.connect(self.name)) as database, database:
                database.execute(sql)
        else:
            with psycopg.connect(os.environ["DATABASE_URL"], dbname=self.name) as server:
                server.execute(sql)

    def content(self) -> dict[str, list[str]]:
        """Every value of every row of every table, and the schema."""
        return content_of_sqlite(self.name) if connection.vendor == "sqlite" else content_of(self)

    def files(self) -> dict[str, bytes]:
        """All that lies in the folder of backups, hidden or not; only the lock may stay."""
        return {
            str(file.relative_to(self.backups)): file.read_bytes() if file.is_file() else b""
            for file in sorted(self.backups.rglob("*"))
            if not file.name.endswith("lock")
        }

    def databases(self) -> list[str]:
        """Those on the server whose names begin as this one's, or the files beside it."""
        if connection.vendor == "sqlite":
            return sorted(path.name for path in Path(self.name).parent.glob("site*.sqlite3"))
        with psycopg.connect(os.environ["DATABASE_URL"]) as server:
            found = server.execute("SELECT datname FROM pg_database").fetchall()
        return sorted(name for (name,) in found if name.startswith(self.name))

    def state(self) -> tuple[Any, ...]:
        """All that a command may leave behind or alter."""
        return self.content(), self.files(), self.databases()


def content_of_sqlite(path: str) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as database:
        schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
        found = {"": sorted(map(repr, schema))}
        for kind, name, *_ in schema:
            if kind == "table":
                rows = database.execute(f'SELECT * FROM "{name}"')
                found[name] = sorted(map(repr, rows))
    return found


def content_of(site: Site) -> dict[str, list[str]]:
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=site.name) as server:
        found = {"": sorted(CASTS.sub("", row) for (row,) in server.execute(SCHEMA))}
        for name, columns in server.execute(COLUMNS).fetchall():
            rows = server.execute(f'SELECT ROW({columns})::text FROM "{name}"')
            found[name] = sorted(row for (row,) in rows)
    return found


def close() -> None:
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """Django's own connection is one to this database meanwhile."""
    close()
    before = connections["default"]
    other: Any = before.copy()
    other.settings_dict["NAME"] = name
    connections["default"] = other
    try:
        yield
    finally:
        close()
        connections["default"] = before


@contextmanager
def copy_of(source: str, name: str) -> Iterator[None]:
    """A PostgreSQL database like another, in which nobody may be; gone at the end with all that
    was made of it."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(Identifier, (name, source)))
        )
        try:
            yield
        finally:
            databases = server.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name]
            )
            for (made,) in databases.fetchall():
                server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(made)))


def fill() -> None:
    one_of_each(1)
    video(title=TITLE, metadata=METADATA)


def folder_storage(folder: Path) -> dict[str, Any]:
    """As the project's settings have it."""
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": folder,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }


def said(command: str, *arguments: str) -> str:
    """What a command says that succeeds."""
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def refused(command: str, *arguments: str) -> tuple[int, str]:
    """Exit code and message of a command that fails: one line, and nothing else said."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command(command, *arguments, stdout=out)
    message = str(error.value)
    assert "\n" not in message
    assert message.isprintable()
    return error.value.returncode, message


def made(site: Site, *arguments: str) -> Path:
    """Make a backup; its file."""
    line = said("dbbackup", *arguments)
    return site.backups / line.partition(":")[0]


def opened(file: Path, *identities: Any) -> tuple[bytes, Manifest]:
    payload = io.BytesIO()
    with file.open("rb") as content:
        manifest = archive.unpack(content, payload, list(identities))
    return payload.getvalue(), manifest


def backup_of(site: Site) -> str:
    return said("dbbackup").partition(":")[0]


def spoil(site: Site) -> None:
    """What somebody did since the backup: rows, a table, a column."""
    site.execute("DELETE FROM video_statistics")
    site.execute("UPDATE videos SET title = 'spoilt'")
    site.execute("CREATE TABLE made_since (x integer)")
    site.execute("ALTER TABLE music ADD COLUMN more text")


def go_back(words: str) -> None:
    """Do what dbrestore says, as it says it."""
    close()
    if connection.vendor == "sqlite":
        found = re.search(
            r"^.*To go back to what was there: manage\.py (dbrestore) (-i \S+)$", words, re.M
        )
        assert found
        said(found[1], *found[2].split(), "--noinput")
    else:
        found = re.search(r"^  (psql .*)$", words, re.M)
        assert found
        subprocess.run(["bash", "-euc", found[1]], check=True, capture_output=True)


@dataclass(frozen=True)
class Good:
    """A backup of the site, and what the site is like; nothing in this file changes it."""

    name: str
    file: bytes
    payload: bytes
    manifest: dict[str, Any]

    def facts(self, **values: Any) -> bytes:
        """With other facts in its manifest, and checksums that match."""
        return self.told(facts=self.manifest["facts"] | values)

    def told(self, payload: bytes | None = None, **values: Any) -> bytes:
        payload = self.payload if payload is None else payload
        own = {"sha256": hashlib.sha256(payload).hexdigest(), "size": len(payload)}
        return forged(payload, self.manifest | own | values)
