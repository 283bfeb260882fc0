"""Backup and restore of a PostgreSQL database that others use, and under whatever name."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg import errors
from psycopg.sql import SQL, Identifier

from ytops.backup import pg_swap, postgresql
from ytops.backup.tests.killing import until
from ytops.backup.tests.site import Site, connected_to, refused, said
from ytops.tests.processes import environment, finish, start

PROVE = os.environ.get("YTOPS_PROVE") == "1"
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="of PostgreSQL alone"),
]
takes_long = pytest.mark.skipif(not PROVE, reason="make prove runs it")
NAMES = [
    'Capital "quoted" one\'s; $(touch x) -- = %s',
    "a" + "é" * 31,  # 63 bytes: the server cuts off what is longer
    *(["-dash", "postgresql://nowhere/x", "x" * 63, "😀" * 15] if PROVE else []),
]
ALLOWED = (["old", "new"], ["old", "old", "new"])
POOL = """
import django, json, sys, threading, os
django.setup()
from django.db import DatabaseError, connection
seen = [[] for _ in range(4)]

def requests(outcomes):
    while not os.path.exists(sys.argv[1]):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT state FROM marker")
                outcome = cursor.fetchone()[0]
        except DatabaseError:
            outcome = "failed"
        finally:
            connection.close()
        if outcome == "failed" or outcomes[-1:] != [outcome]:
            outcomes.append(outcome)
        if outcomes == ["old"]:
            ready.release()

ready = threading.Semaphore(0)
threads = [threading.Thread(target=requests, args=[outcomes]) for outcomes in seen]
for thread in threads:
    thread.start()
    ready.acquire()
print("ready", flush=True)
for thread in threads:
    thread.join()
print(json.dumps(seen))
"""


@pytest.fixture
def live(site: Site) -> Site:
    """Its backup says “new”, it says “old”."""
    site.execute("CREATE TABLE marker AS SELECT 'new' AS state")
    site.execute("CREATE TABLE acknowledged (number text PRIMARY KEY)")
    said("dbbackup", "-o", "new.zst")
    site.execute("UPDATE marker SET state = 'old'")
    return site


def session(name: str) -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], dbname=name, autocommit=True)


def rows(name: str, sql: str) -> list[Any]:
    with session(name) as server:
        return [row[0] for row in server.execute(sql)]


def restored(*options: str) -> str:
    return said("dbrestore", "-i", "new.zst", "--noinput", *options)


def not_restored(live: Site, *options: str) -> tuple[int, str]:
    """What is said; everything is as it was."""
    before = live.databases()
    told = refused("dbrestore", "-i", "new.zst", "--noinput", *options)
    assert live.databases() == before
    assert rows(live.name, "SELECT state FROM marker") == ["old"]
    return told


def kept(live: Site) -> str:
    [name] = [name for name in live.databases() if "_before_" in name]
    return name


def test_sessions_are_ended_and_what_they_have_not_committed_is_not_there(live: Site) -> None:
    ended: list[BaseException] = []

    def look(server: psycopg.Connection[Any]) -> None:
        try:
            server.execute("SELECT pg_sleep(600)")
        except psycopg.OperationalError as error:
            ended.append(error)

    idle, busy, writer = (session(live.name) for _ in range(3))
    writer.execute("BEGIN")
    writer.execute("UPDATE marker SET state = 'never committed'")
    looking = Thread(target=look, args=[busy])
    looking.start()
    restored()
    looking.join()
    for server in (idle, writer):
        with pytest.raises(errors.AdminShutdown):
            server.execute("SELECT 1")
    for server in (idle, busy, writer):
        server.close()
    assert [type(error) for error in ended] == [errors.AdminShutdown]
    assert rows(live.name, "SELECT state FROM marker") == ["new"]
    assert rows(kept(live), "SELECT state FROM marker") == ["old"]


class Writer(Thread):
    """Commits one number after another, and connects anew when it fails."""

    def __init__(self, database: str, name: str):
        super().__init__(name=name)
        self.database, self.enough = database, Event()
        self.acknowledged: list[str] = []
        self.failed = self.in_a_row = 0

    def run(self) -> None:
        while not self.enough.is_set():
            with suppress(psycopg.OperationalError), session(self.database) as server:
                while not self.enough.is_set():
                    number = f"{self.name} {len(self.acknowledged) + self.failed}"
                    server.execute("INSERT INTO acknowledged VALUES (%s)", [number])
                    self.acknowledged.append(number)
                    self.in_a_row = 0
                return
            self.failed += 1
            self.in_a_row += 1
            assert self.in_a_row < 3


@pytest.mark.parametrize("seed", range(20 if PROVE else 1))
def test_no_commit_that_was_acknowledged_is_lost(live: Site, seed: int) -> None:
    """It is in the database that is kept, or it came after and is in the one that was restored."""
    writers = [Writer(live.name, name) for name in ("first", "second")]
    try:
        for writer in writers:
            writer.start()
        until(lambda: all(len(writer.acknowledged) > 20 for writer in writers), "no writer")
        restored()
        reached = [len(writer.acknowledged) for writer in writers]
        until(
            lambda: all(len(w.acknowledged) > r for w, r in zip(writers, reached, strict=True)),
            "nobody writes any more",
        )
    finally:
        for writer in writers:
            writer.enough.set()
            writer.join()
    before = set(rows(kept(live), "SELECT number FROM acknowledged"))
    after = set(rows(live.name, "SELECT number FROM acknowledged"))
    assert before
    assert after
    assert not before & after
    assert before | after >= {number for writer in writers for number in writer.acknowledged}


def test_a_request_in_flight_may_fail_once_and_the_next_one_works(live: Site) -> None:
    stop = live.folder / "stop"
    process = start("-c", POOL, str(stop), **live.environment)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        restored()
        until(lambda: sessions_of(live.name), "it does not come back")
    finally:
        stop.touch()
        ended = finish(process)
    assert ended.returncode == 0, ended.stderr
    for outcomes in json.loads(ended.stdout):
        assert [outcome for outcome in outcomes if outcome != "failed"] in ALLOWED, outcomes
        assert ("failed", "failed") not in pairwise(outcomes)


def sessions_of(name: str) -> list[Any]:
    sql = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND state = 'idle'"
    return rows("postgres", sql)


def test_a_database_that_is_being_altered_is_not_waited_for_for_ever(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who connect would wait, too."""
    monkeypatch.setattr(pg_swap, "LOCK_WAIT", "SET lock_timeout = '0.1s'")
    with session("postgres") as other, other.transaction():
        other.execute(f"COMMENT ON DATABASE {live.name} IS 'The site.'")
        assert not_restored(live) == (
            5,
            f"Another session has altered {live.name} and not committed that: end it and restore "
            "again.",
        )


@takes_long  # the five seconds for which the server waits
def test_a_session_that_cannot_be_ended_stays_and_nothing_is_renamed(live: Site) -> None:
    role = f"{live.name}_role"
    with session("postgres") as server, session(live.name) as other:
        server.execute(f"CREATE ROLE {role} LOGIN CREATEDB")
        try:
            server.execute(f"ALTER DATABASE {live.name} OWNER TO {role}")
            connection.settings_dict["USER"] = role
            assert not_restored(live, "--pg-options=--no-owner --no-privileges") == (
                5,
                f"Sessions in {live.name} could not be ended, of postgres: stop them and restore "
                "again. (There is 1 other session using the database.)",
            )
            assert other.execute("SELECT state FROM marker").fetchall() == [("old",)]
        finally:
            server.execute(f"ALTER DATABASE {live.name} OWNER TO postgres")
            server.execute(f"DROP ROLE {role}")


def test_a_table_that_is_locked_is_not_waited_for_for_ever(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK_WAIT", "0.1s")
    before = live.files()
    with session(live.name) as other, other.transaction():
        other.execute("LOCK TABLE marker")
        code, message = refused("dbbackup")
    assert (code, live.files()) == (1, before)
    assert "lock timeout" in message
    assert "public.marke" in message


def killed(pid: int) -> None:
    """The pg_dump of this process."""
    for process in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, name, _, parent = process.read_text().split()[:4]
            if (name, parent) == ("(pg_dump)", str(os.getpid())):
                os.kill(int(process.parent.name), signal.SIGKILL)


def terminated(pid: int) -> None:
    rows("postgres", f"SELECT pg_terminate_backend({pid})")


@pytest.mark.parametrize(
    ("end", "why"),
    [(killed, "killed by SIGKILL"), (terminated, "terminating connection")],
    ids=["killed", "terminated"],
)
def test_a_dump_that_ends_in_the_middle_is_no_backup(
    live: Site, end: Callable[[int], None], why: str
) -> None:
    """It waits for the lock of a table."""
    before = live.files()
    waiting = f"""
        SELECT pid FROM pg_stat_activity
        WHERE datname = '{live.name}' AND application_name = 'pg_dump' AND wait_event_type = 'Lock'
    """

    def end_it() -> None:
        with session(live.name) as other, other.transaction():
            other.execute("LOCK TABLE marker")
            locked.set()
            until(lambda: rows("postgres", waiting), "it does not wait")
            end(rows("postgres", waiting)[0])

    locked, ending = Event(), Thread(target=end_it)
    ending.start()
    assert locked.wait(20)
    code, message = refused("dbbackup")
    ending.join()
    assert (code, live.files()) == (1, before)
    assert message.startswith("pg_dump failed: ")
    assert why in message


@takes_long
def test_in_a_container_of_its_own(live: Site) -> None:
    """Its process has the number 1, which is elsewhere that of those who adopt orphans."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("unshare may not make a container")
    command = [*alone, sys.executable, "manage.py", "dbbackup"]
    env = environment(**live.environment)
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "proved" in done.stdout


@takes_long
def test_on_the_disk_of_the_one_that_it_replaces(live: Site) -> None:
    [data] = rows("postgres", "SHOW data_directory")
    space = f"{live.name}_disk"
    on_it = (
        "SELECT datname FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace "
        f"WHERE spcname = '{space}'"
    )
    with tempfile.TemporaryDirectory() as disk, session("postgres") as server:
        try:
            os.chown(disk, os.stat(data).st_uid, -1)
        except OSError:
            pytest.skip("the server is on another machine, or of a user whom we may not act for")
        server.execute(f"CREATE TABLESPACE {space} LOCATION '{disk}'")
        try:
            server.execute(f"ALTER DATABASE {live.name} SET TABLESPACE {space}")
            restored()
            assert sorted(rows("postgres", on_it)) == sorted([live.name, kept(live)])
        finally:
            for name in rows("postgres", on_it):
                server.execute(f"ALTER DATABASE {name} SET TABLESPACE pg_default")
            server.execute(f"DROP TABLESPACE {space}")


@pytest.fixture
def named(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    """A database of this name."""
    name = str(request.param)
    with session("postgres") as server:
        earlier = {found for (found,) in server.execute("SELECT datname FROM pg_database")}
        server.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        try:
            with session(name) as database:
                database.execute("CREATE TABLE marker AS SELECT 'new' AS state")
            with connected_to(name):
                yield name
        finally:
            for (found,) in server.execute("SELECT datname FROM pg_database").fetchall():
                if found not in earlier and found[:1] == name[:1]:
                    server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(found)))


@pytest.mark.parametrize("named", NAMES, indirect=True)
def test_under_any_name(named: str) -> None:
    """There, and back by the command that it says."""
    said("dbbackup", "-o", "new.zst")
    with session(named) as database:
        database.execute("UPDATE marker SET state = 'old'")
    back, _ = commands_in(restored())
    assert rows(named, "SELECT state FROM marker") == ["new"]
    subprocess.run(back, check=True)
    assert rows(named, "SELECT state FROM marker") == ["old"]
    if PROVE:
        _, drop = commands_in(restored())
        subprocess.run(drop, check=True)


def commands_in(told: str) -> list[list[str]]:
    return [shlex.split(line) for line in told.splitlines() if line.startswith("  ")]
