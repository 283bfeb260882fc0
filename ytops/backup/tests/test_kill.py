"""SIGKILL at any moment of a backup and of a restore."""

import io
import os
from collections.abc import Iterator
from random import Random

import psycopg
import pytest
from django.db import connection

from ytops.backup import archive, storage
from ytops.backup.tests.killing import Killing, commands
from ytops.backup.tests.site import Site, said

pytestmark = pytest.mark.django_db
PROVE = os.environ.get("YTOPS_PROVE") == "1"
RUNS, KILLS = (10, 10) if PROVE else (1, 2)  # as many of backups as of restores
ROWS = 60_000 if PROVE else 5_000
BALLAST = f"""
    CREATE TABLE ballast AS
    WITH RECURSIVE numbers(number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {ROWS}
    )
    SELECT number, 'new ' || number * 7919 AS state FROM numbers
"""


def moments(seed: int) -> Iterator[tuple[float, bool]]:
    """Parts of a command's time, spread over all runs; if its process group is killed with it."""
    random = Random(seed)
    for number in range(KILLS):
        yield (seed * KILLS + number + random.random()) / (RUNS * KILLS), bool(number % 2)


@pytest.fixture
def names(site: Site) -> tuple[str, str]:
    """Backups of a new state and of an old one, which is live."""
    site.execute(BALLAST)
    said("dbbackup", "-o", "new.zst")
    site.execute("UPDATE ballast SET state = 'old ' || number")
    said("dbbackup", "-o", "old.zst")
    return "new.zst", "old.zst"


def whole(site: Site) -> None:
    """Every file under a backup's name, to its last byte; and the live database."""
    for backup in storage.stored():
        with storage.storage().open(backup.name) as file:
            archive.unpack(file, io.BytesIO(), [])
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA integrity_check")
            assert cursor.fetchall() == [("ok",)]
        connection.close()


def kept(site: Site) -> list[str]:
    """Databases that were renamed out of the way; of SQLite there are backups instead."""
    return [name for name in site.databases() if "_before_" in name]


def nothing_is_left(site: Site) -> None:
    """Of a run that was killed, after the next one; what that one kept is removed."""
    assert not list(site.backups.glob(".unfinished-*/"))
    before = kept(site)
    assert set(site.databases()) - set(before) == {os.path.basename(site.name)}
    for backup in storage.stored():
        storage.remove(backup.name)
    if before:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
            for name in before:
                server.execute(f'DROP DATABASE "{name}"')


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_backup_that_is_killed_leaves_no_file_that_is_not_whole(
    site: Site, names: tuple[str, str], seed: int
) -> None:
    live = site.content()
    with commands(site) as processes:
        killing = Killing(site, processes, "dbbackup")
        for part, group in moments(seed):
            when = killing.kill(part, group=group)
            assert site.content() == live, when
            whole(site)
            said("dbbackup")
            nothing_is_left(site)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_restore_that_is_killed_has_happened_or_not(
    site: Site, names: tuple[str, str], seed: int
) -> None:
    before = site.content()
    with commands(site) as processes:
        killing = Killing(site, processes, "dbrestore", "-i", names[0], "--noinput")
        restored = site.content()
        assert restored != before
        go_back(site, names[1], before)
        for part, group in moments(seed):
            when = killing.kill(part, group=group)
            whole(site)
            content = site.content()
            assert content in (before, restored), when
            go_back(site, names[1] if content == before else "", before)


def go_back(site: Site, old: str, before: dict[str, list[str]]) -> None:
    """By the backup `old`, or by what the restore that has happened kept."""
    if not old and connection.vendor == "sqlite":
        old = storage.stored()[0].name
    elif not old:
        [name] = kept(site)
        assert Site(name, site.folder, site.backups).content() == before
    said("dbrestore", "--noinput", "-i", old or "old.zst")
    assert site.content() == before
    nothing_is_left(site)
