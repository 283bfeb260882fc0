"""Backup and restore of an SQLite database that other processes have open, or that is broken."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from ytops.backup import archive, sqlite, storage
from ytops.backup.tests.killing import until
from ytops.backup.tests.site import Site, content_of_sqlite, refused, said
from ytops.tests.processes import finish, start

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="of SQLite alone"),
]
ROUNDS = 20 if os.environ.get("YTOPS_PROVE") == "1" else 1
PROGRAM = """
import json, os, signal, sqlite3, sys, time
path, stop, *arguments = sys.argv[1:]

def connect():
    database = sqlite3.connect(path, timeout=20, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    return database

parent = os.getppid()

def stopped():
    return os.path.exists(stop) or os.getppid() != parent

def look(database):
    rows = database.execute("SELECT MIN(state), MAX(state), COUNT(*) FROM ballast").fetchone()
    return [*rows, *database.execute("SELECT state FROM marker").fetchone()]

database = connect()
"""
READER = """
idle, holding = connect(), connect()
look(idle)
holding.execute("BEGIN")
seen = [look(holding)]
print("ready", flush=True)
while not stopped():
    database.execute("BEGIN")
    if (found := look(database)) not in seen:
        seen.append(found)
    database.execute("COMMIT")
held = look(holding)
holding.execute("COMMIT")
print(json.dumps([held, look(holding), look(idle), seen]))
"""
WRITER = """
with open(arguments[1], "w", buffering=1) as acknowledged:
    number = 0
    while not stopped():
        number += 1
        database.execute("INSERT INTO acknowledged VALUES (?)", [f"{arguments[0]} {number}"])
        print(arguments[0], number, file=acknowledged)
"""
HOLDER = """
database.execute("BEGIN IMMEDIATE")
database.execute("UPDATE marker SET state = 'held'")
print("ready", flush=True)
while not stopped():
    time.sleep(0.01)
database.execute("COMMIT")
"""
PAIRS = """
print("ready", flush=True)
while not stopped():
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE marker SET state = state + 1")
    database.execute("UPDATE ballast SET state = state + 1")
    database.execute("COMMIT")
"""
CRASH = """
database.execute("PRAGMA wal_autocheckpoint = 0")
database.execute("PRAGMA cache_size = 1")
database.execute("UPDATE marker SET state = 'in the WAL'")
database.execute("BEGIN")
database.execute("UPDATE ballast SET state = 'never committed'")
os.kill(os.getpid(), signal.SIGKILL)
"""


class Others:
    """Other processes that use the database, and how to stop them."""

    def __init__(self, site: Site):
        self.path, self.stop = site.name, site.folder / "stop"
        self.processes: list[Any] = []

    def start(self, program: str, *arguments: str) -> Any:
        process = start("-c", PROGRAM + program, self.path, str(self.stop), *arguments)
        self.processes.append(process)
        return process

    def ready(self, program: str) -> Any:
        process = self.start(program)
        assert process.stdout.readline() == "ready\n"
        return process

    def finish(self) -> list[str]:
        """What each has said; none may have failed."""
        self.stop.touch()
        ended = [finish(process) for process in self.processes]
        assert [(one.returncode, one.stderr) for one in ended] == [(0, "")] * len(ended)
        return [one.stdout for one in ended]


@pytest.fixture
def live(site: Site) -> Site:
    """Its backup says “new”, it says “old”."""
    site.execute("CREATE TABLE marker AS SELECT 'new' AS state")
    site.execute("CREATE TABLE acknowledged (number text PRIMARY KEY)")
    site.execute(
        "CREATE TABLE ballast AS WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL "
        "SELECT n + 1 FROM numbers WHERE n < 3000) SELECT n, 'new' AS state FROM numbers"
    )
    said("dbbackup", "-o", "new.zst")
    site.execute("UPDATE marker SET state = 'old'")
    site.execute("UPDATE ballast SET state = 'old'")
    connection.settings_dict["OPTIONS"]["timeout"] = 0.3
    return site


@pytest.fixture
def others(live: Site) -> Iterator[Others]:
    started = Others(live)
    yield started
    for process in started.processes:
        process.kill()
        process.communicate()


def restored(live: Site) -> str:
    return said("dbrestore", "-i", "new.zst", "--noinput")


def unpacked(site: Site, name: str) -> str:
    """The database in a backup: a path."""
    path = site.folder / f"{name}.sqlite3"
    with storage.storage().open(name) as file, path.open("wb") as target:
        archive.unpack(file, target, [])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    return str(path)


def kept(site: Site) -> str:
    """The database as it was at the restore: a path."""
    [backup] = storage.stored()
    return unpacked(site, backup.name)


def rows(path: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute(sql)]


def test_readers_see_the_old_or_the_new_and_nothing_between(live: Site, others: Others) -> None:
    others.ready(READER)
    restored(live)
    held, then, idle, seen = json.loads(others.finish()[0])
    old, new = ["old", "old", 3000, "old"], ["new", "new", 3000, "new"]
    assert (held, then, idle) == (old, new, new)
    assert seen in ([old], [old, new])


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_commit_that_was_acknowledged_is_lost(live: Site, others: Others, seed: int) -> None:
    """It is in what the restore kept, or it came after and is in what was restored."""
    connection.settings_dict["OPTIONS"]["timeout"] = 20
    count = "SELECT COUNT(*) FROM acknowledged"
    files = [live.folder / name for name in ("first", "second")]
    for file in files:
        others.start(WRITER, file.name, str(file))
    until(lambda: all(file.exists() and file.stat().st_size > 99 for file in files), "no writer")
    restored(live)
    until(lambda: rows(live.name, count) > [20], "nobody writes any more")
    others.finish()
    before = rows(kept(live), "SELECT number FROM acknowledged")
    after = rows(live.name, "SELECT number FROM acknowledged")
    assert before
    acknowledged = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(before + after) == sorted(acknowledged)


def test_a_stale_wal_is_kept_and_does_not_come_back(live: Site, others: Others) -> None:
    assert finish(others.start(CRASH)).returncode == -9
    assert Path(live.name + "-wal").stat().st_size > 50_000
    restored(live)
    assert rows(live.name, "SELECT state FROM marker") == ["new"]
    assert rows(kept(live), "SELECT state FROM marker") == ["in the WAL"]
    assert rows(kept(live), "SELECT DISTINCT state FROM ballast") == ["old"]


def test_a_writer_that_does_not_end_is_not_overwritten(live: Site, others: Others) -> None:
    others.ready(HOLDER)
    code, message = refused("dbrestore", "-i", "new.zst", "--noinput")
    assert (code, storage.stored()) == (5, [])
    assert message == (
        f"Another process has been writing into {live.name} for 0.3 seconds: stop it and restore "
        "again."
    )
    others.finish()
    assert rows(live.name, "SELECT state FROM marker") == ["held"]


def test_a_writer_that_ends_in_time_is_waited_for(
    live: Site, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = sqlite.SQLite.prepare

    def then_stop(engine: sqlite.SQLite, target: sqlite3.Connection) -> None:
        prepare(engine, target)
        others.stop.touch()

    monkeypatch.setattr(sqlite.SQLite, "prepare", then_stop)
    connection.settings_dict["OPTIONS"]["timeout"] = 20
    others.ready(HOLDER)
    restored(live)
    assert rows(live.name, "SELECT state FROM marker") == ["new"]
    assert rows(kept(live), "SELECT state FROM marker") == ["held"]


def test_without_a_wal_a_reader_that_does_not_end_is_waited_for(live: Site) -> None:
    with closing(sqlite3.connect(live.name, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = DELETE")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM marker").fetchall()
        code, message = refused("dbrestore", "-i", "new.zst", "--noinput")
        assert (code, message) == (5, f"{live.name}: database is locked.")
        reader.execute("COMMIT")
        restored(live)
        assert reader.execute("SELECT state FROM marker").fetchall() == [("new",)]


def test_a_backup_is_of_one_moment(
    live: Site, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PAGES", 4)
    live.execute("UPDATE marker SET state = 0")
    live.execute("UPDATE ballast SET state = 0")
    others.ready(PAIRS)
    seen = []
    for number in range(3):
        said("dbbackup", "-o", f"{number}.zst")
        path = unpacked(live, f"{number}.zst")
        [state] = rows(path, "SELECT state FROM marker")
        assert rows(path, "SELECT DISTINCT state FROM ballast") == [state]
        seen.append(state)
    others.finish()
    assert seen[0] < seen[-1]


def overwritten(path: str, start: int, length: int) -> None:
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * length)


def cut(path: str, size: int) -> None:
    os.truncate(path, size)


def without_its_file(path: str) -> None:
    """But with a WAL beside it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE marker SET state = 'in the WAL'")
        database.commit()
        shutil.copy(path + "-wal", path + ".kept")
    os.rename(path + ".kept", path + "-wal")
    os.unlink(path)


@pytest.mark.parametrize("gone", [os.unlink, lambda path: cut(path, 0), without_its_file])
def test_onto_nothing(live: Site, gone: Callable[[str], None]) -> None:
    gone(live.name)
    assert "There was no database before." in restored(live)
    assert rows(live.name, "SELECT state FROM marker") == ["new"]
    assert rows(live.name, "PRAGMA integrity_check") == ["ok"]
    assert storage.stored() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: Path(path).write_text("No database.\n" * 1000),
        lambda path: overwritten(path, 0, 16),
        lambda path: overwritten(path, 100, 3000),
        lambda path: cut(path, 40_000),
        lambda path: cut(path, 50),
    ],
    ids=["text", "header", "schema", "half", "start"],
)
def test_onto_what_sqlite_cannot_open(live: Site, spoil: Callable[[str], None]) -> None:
    spoil(live.name)
    before = Path(live.name).read_bytes()
    code, message = refused("dbrestore", "-i", "new.zst", "--noinput")
    assert code == 4
    assert message.startswith(f"{live.name} is there and is no database of SQLite (")
    assert message.endswith("together with its -wal and -shm, and restore again.")
    assert Path(live.name).read_bytes() == before
    assert storage.stored() == []


def test_onto_a_damaged_database(live: Site) -> None:
    """It is kept as it was, and said to be damaged."""
    [page] = rows(live.name, "SELECT rootpage FROM sqlite_schema WHERE name = 'videos'")
    with closing(sqlite3.connect(live.name)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwritten(live.name, (page - 1) * 4096, 4096)
    before = Path(live.name).read_bytes()
    code, message = refused("dbbackup")
    assert (code, message[: len(live.name) + 25]) == (3, f"The database {live.name} is damaged:")
    restored(live)
    assert rows(live.name, "PRAGMA integrity_check") == ["ok"]
    [backup] = storage.stored()
    assert backup.manifest
    assert backup.manifest.damage
    path = live.folder / "kept"
    with storage.storage().open(backup.name) as file, path.open("wb") as target:
        archive.unpack(file, target, [])
    assert path.read_bytes()[100:] == before[100:]
    assert refused("dbrestore", "-i", backup.name, "--noinput")[0] == 3


@pytest.mark.parametrize("size", [512, 8192, 65536])
def test_pages_of_another_size(live: Site, size: int) -> None:
    with closing(sqlite3.connect(live.name)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute(f"PRAGMA page_size = {size}")
        database.execute("VACUUM")
    restored(live)
    assert rows(live.name, "PRAGMA page_size") == [size]
    assert rows(live.name, "PRAGMA integrity_check") == ["ok"]
    assert content_of_sqlite(live.name) == content_of_sqlite(unpacked(live, "new.zst"))
    assert rows(kept(live), "SELECT state FROM marker") == ["old"]
