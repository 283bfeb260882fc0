"""Where a backup is made: who may read it, what is left of a killed run, what is not ours."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ytops.backup import storage
from ytops.backup.tests.files import manifest_of

pytestmark = pytest.mark.once


def test_links_and_folders_of_others_are_let_alone(tmp_path: Path, backups: Path) -> None:
    (backups / ".unfinished-novel").mkdir(parents=True)
    (backups / f"{storage.UNFINISHED}link").symlink_to(tmp_path)
    with storage.shared_workplace():
        pass
    assert len(list(backups.iterdir())) == 3


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: Any) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_nobody_else_may_read_what_is_made_or_where(umask: None, backups: Path) -> None:
    with storage.workplace(backups) as work:
        assert (mode(backups), mode(work)) == (0o700, 0o700)
        (file := work / "backup").touch(mode=0o600)
        storage.publish(file, "mine", manifest_of(b""), encrypted=True)
    assert mode(backups / "mine") == 0o600
    assert mode(backups / "mine.manifest") == 0o600


def test_a_workplace_goes_with_all_that_is_in_it(backups: Path) -> None:
    def interrupted() -> None:
        with storage.shared_workplace() as work:
            (work / "some" / "more").mkdir(parents=True)
            (work / "payload").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(backups) == [storage.TRIED]


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_has_stays(backups: Path) -> None:
    killed = backups / f"{storage.UNFINISHED}killed"
    killed.mkdir(parents=True)
    (killed / "payload").write_bytes(b"x")
    with storage.shared_workplace() as running:
        assert not killed.exists()
        (running / "payload").write_bytes(b"x")
        with storage.shared_workplace() as other:
            assert (running / "payload").exists()
            assert other != running
        assert (running / "payload").exists()
    assert os.listdir(backups) == [storage.TRIED]


def test_a_disk_that_locks_no_folders_will_do(
    backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def flock(file: Any, operation: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "as NFS says it")
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    killed = backups / f"{storage.UNFINISHED}killed"
    killed.mkdir(parents=True)
    with storage.shared_workplace() as running:
        assert not killed.exists()
        with storage.shared_workplace():
            assert running.exists()


def test_a_workplace_that_another_holds_is_not_removed_by_its_name(backups: Path) -> None:
    """The lock tells, and not the age or a number of a process."""
    left = backups / f"{storage.UNFINISHED}left"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    holder = os.open(left / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with storage.shared_workplace():
        assert left.exists()
    os.close(holder)
    with storage.shared_workplace():
        assert not left.exists()
