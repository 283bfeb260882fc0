"""A disk that is full: of the backups, of what is restored to be proved, of the database."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pyrage
import pytest
from django.conf import LazySettings
from django.db import connection

from ytops.backup.tests.site import Site, connected_to, refused, said

pytestmark = pytest.mark.django_db
MB = 1 << 20
# It cannot be compressed to less than half.
BALLAST = """
    CREATE TABLE ballast AS
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
    SELECT n, {noise} AS state FROM numbers
"""
NOISE = {
    "sqlite": "hex(randomblob(500))",
    "postgresql": "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30 + n%2))",
}


def filled(site: Site, megabytes: int) -> None:
    noise = NOISE[connection.vendor]
    site.execute(BALLAST.format(rows=megabytes * 1000, noise=noise))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A real file system of so many bytes."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted: only root may; see the other case")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_files(folder: Path, size: int) -> Iterator[None]:
    """No file may get larger, wherever it is: all that one can do who is not root."""
    folder.mkdir(exist_ok=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


FULL = pytest.mark.parametrize(
    ("full", "reason"),
    [(small_disk, "No space left on device"), (small_files, "File too large")],
    ids=["full disk", "file size"],
)
of_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="of SQLite alone")
of_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="of PostgreSQL alone"
)
Full = Callable[[Path, int], AbstractContextManager[None]]


def left(site: Site) -> list[str]:
    """In the folder of backups, but for the lock."""
    return sorted(path.name for path in site.backups.iterdir() if not path.name.endswith("lock"))


@FULL
@pytest.mark.parametrize("encrypted", [False, True])
def test_of_the_backups(
    site: Site, settings: LazySettings, full: Full, reason: str, encrypted: bool
) -> None:
    if encrypted:
        settings.BACKUP_RECIPIENTS = [str(pyrage.x25519.Identity.generate().to_public())]
    filled(site, 3)
    before = site.content()
    with full(site.backups, MB):
        code, message = refused("dbbackup")
        assert left(site) == []
    assert code == 1
    if connection.vendor == "sqlite":  # the copy comes first
        assert message.startswith(f"Copying {site.name} into {site.backups}: ")
    else:
        assert message.endswith(f"{reason}: '{site.backups}'")
    assert site.content() == before
    said("dbbackup")


@FULL
def test_of_what_is_restored_to_be_proved(site: Site, full: Full, reason: str) -> None:
    filled(site, 3)
    said("dbbackup", "-O", str(site.folder / "backup"))
    before = site.content()
    with full(site.backups, MB):
        code, message = refused("dbrestore", "-I", str(site.folder / "backup"), "--noinput")
        assert left(site) == []
    assert (code, message) == (1, f"[Errno {errno_of(reason)}] {reason}: '{site.backups}'")
    assert site.content() == before
    assert site.databases() == [Path(site.name).name]


def errno_of(reason: str) -> int:
    return {os.strerror(number): number for number in (27, 28)}[reason]


@of_sqlite
def test_of_the_safety_copy(site: Site) -> None:
    """PostgreSQL keeps the database itself. Nothing is swapped without one."""
    said("dbbackup", "-O", str(site.folder / "backup"))
    filled(site, 3)
    before = site.content()
    with small_disk(site.backups, 3 * MB):
        code, message = refused("dbrestore", "-I", str(site.folder / "backup"), "--noinput")
        assert left(site) == []
    reason = f"Copying {site.name} into {site.backups}: database or disk is full."
    assert (code, message) == (1, reason)
    assert site.content() == before


@contextmanager
def on_a_small_disk(site: Site, room: int) -> Iterator[Site]:
    """The site with its database on a disk on which so many bytes are free."""
    disk = site.folder / "disk"
    file = disk / "site.sqlite3"
    with small_disk(disk, Path(site.name).stat().st_size + room):
        shutil.copy(site.name, file)
        with connected_to(str(file)):
            yield Site(str(file), disk, site.backups)


@pytest.fixture
def backup(site: Site) -> str:
    """Of more than there is now: a path."""
    filled(site, 3)
    path = str(site.folder / "backup")
    said("dbbackup", "-O", path)
    site.execute("DROP TABLE ballast")
    if connection.vendor == "sqlite":
        site.execute("VACUUM")
    return path


@of_sqlite
def test_of_the_database(site: Site, backup: str) -> None:
    before = site.content()
    with on_a_small_disk(site, MB) as live:
        code, message = refused("dbrestore", "-I", backup, "--noinput")
        assert (code, message) == (1, f"{live.name}: database or disk is full.")
        assert live.content() == before
        is_whole(live)


@of_sqlite
def test_of_the_database_when_what_is_restored_is_in_its_wal(site: Site, backup: str) -> None:
    """Then it is done: there is only no room to move it from the one file to the other."""
    before = site.content()
    with on_a_small_disk(site, 4 * MB) as live:
        said("dbrestore", "-I", backup, "--noinput")
        assert Path(live.name + "-wal").stat().st_size > 3 * MB
        assert live.content() != before
        is_whole(live)


def is_whole(live: Site) -> None:
    with closing(sqlite3.connect(live.name)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@of_postgresql
def test_of_the_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit stands for the disk: a full one ends the checkpoints of the whole server."""
    filled(site, 3)
    site.execute("CREATE INDEX by_state ON ballast (state)")
    said("dbbackup")
    before = site.content()
    monkeypatch.setenv("PGOPTIONS", "-c temp_file_limit=100kB -c maintenance_work_mem=1MB")
    code, message = refused("dbrestore", "--noinput")
    assert code == 1
    assert ".pgdump.zst: pg_restore failed: " in message
    assert "temp_file_limit" in message
    assert site.databases() == [site.name]
    assert site.content() == before
