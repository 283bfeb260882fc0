"""A copydb that is killed leaves nothing behind; of two at once only one copies."""

import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from ytops.moving.tests.moves import (
    Server,
    asked,
    copydb,
    in_the_run_on_postgresql,
    is_empty,
    name_of,
    tables_of,
    url_of,
)
from ytops.tests.processes import finish, start

in_the_run_on_postgresql()

PROVE = os.environ.get("YTOPS_PROVE") == "1"
KILLS, ROWS = (50, 20_000) if PROVE else (2, 3_000)
# Seconds: when a process may be killed, and how long the server may take to see it.
EARLIEST, LATEST = 0.4, 3.0 if PROVE else 1.5
LONGEST = 30


def fill(source: Path) -> None:
    """More rows, so that there is time to be killed in."""
    now = str(timezone.now().replace(tzinfo=None))
    with closing(sqlite3.connect(source)) as file, file:
        (video,) = file.execute("SELECT id FROM videos LIMIT 1").fetchone()
        file.executemany(
            "INSERT INTO video_statistics (id, created_at, updated_at, timestamp, video_id) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                (
                    uuid7().hex,
                    now,
                    now,
                    f"2024-01-01 00:{n // 60 % 60:02}:{n % 60:02}.{n:06}",
                    video,
                )
                for n in range(ROWS)
            ],
        )


def copydb_process(source: Path, target: str) -> subprocess.Popen[str]:
    parts = urlsplit(target)
    bare = parts._replace(netloc=parts.netloc.replace(f":{parts.password or ''}@", "@"))
    command = ("manage.py", "copydb", "--from", url_of(source), "--to", bare.geturl())
    return start(*command, PGPASSWORD=parts.password)


def sessions(target: str, server: Server) -> int:
    statement = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name_of(target)}'"
    return len(asked(server.url, statement))


def is_whole(target: str) -> bool:
    if "video_statistics" not in tables_of(target):
        return False
    return asked(target, "SELECT count(*) FROM video_statistics") == [(ROWS + 8,)]


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment_it_leaves_all_or_nothing(
    source: Path, empty: str, server: Server, seed: int
) -> None:
    fill(source)
    process = copydb_process(source, empty)
    time.sleep(random.Random(seed).uniform(EARLIEST, LATEST))  # a random moment
    process.kill()
    process.communicate()
    deadline = time.monotonic() + LONGEST
    while sessions(empty, server):
        assert time.monotonic() < deadline, "a session of the server lives on"
        time.sleep(0.02)
    if is_whole(empty):
        assert copydb(source, empty).code == 4
        return
    assert is_empty(empty)
    again = copydb(source, empty)
    assert (again.code, again.error) == (0, "")
    assert is_whole(empty)


@pytest.mark.skipif(not PROVE, reason="in `make prove`: it takes two processes")
def test_of_two_at_once_one_copies_and_the_other_is_refused(
    source: Path, server: Server, migrated: str
) -> None:
    fill(source)
    for _ in range(5):
        target = server.create(template=migrated)
        both = [finish(process) for process in [copydb_process(source, target) for _ in range(2)]]
        # Busy while the first one copies, and not empty once it has.
        assert sorted(done.returncode for done in both) in ([0, 4], [0, 5]), both
        assert is_whole(target)
