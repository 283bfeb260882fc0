"""One backup or restore of a database at a time: the second is refused, the first goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbbackup.signals import pre_backup, pre_restore
from django.conf import LazySettings
from django.db import connection
from django.dispatch import Signal

from ytops.backup import pg_swap, postgresql, storage
from ytops.backup.tests.site import Site, folder_storage, refused, said

pytestmark = pytest.mark.django_db
BUSY = (5, "Another backup or restore of this database is running.")


def others_are_refused() -> None:
    assert refused("dbbackup") == BUSY
    assert refused("dbrestore", "--noinput") == BUSY
    assert refused("dbrestore", "--dry-run") == BUSY
    assert refused("backup_drill") == BUSY


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Others begin in the middle of the first."""
    begun: list[str] = []

    def others(**known: Any) -> None:
        begun.append("others")
        others_are_refused()

    signal: Signal = request.param
    signal.connect(others)
    yield begun
    signal.disconnect(others)


@pytest.mark.parametrize("tried", [pre_backup], indirect=True)
def test_during_a_backup(site: Site, tried: list[str]) -> None:
    assert "proved" in said("dbbackup")
    assert tried == ["others"]
    assert len(site.files()) == 1


@pytest.mark.parametrize("tried", [pre_restore], indirect=True)
def test_during_a_restore(site: Site, tried: list[str]) -> None:
    said("dbbackup")
    before = site.content()
    site.execute("DELETE FROM video_statistics")
    said("dbrestore", "--noinput")
    assert tried == ["others"]
    assert site.content() == before


def test_during_a_swap(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may be in the database then, so that a lock in it is not enough."""
    if connection.vendor == "sqlite":
        pytest.skip("of PostgreSQL alone")
    said("dbbackup")
    tried = []

    def swap_later(*given: Any) -> str:
        assert refused("dbrestore", "--noinput") == BUSY
        assert refused("backup_drill") == BUSY
        tried.append("others")
        return pg_swap.swap(*given)

    monkeypatch.setattr(postgresql, "swap", swap_later)
    said("dbrestore", "--noinput")
    assert tried == ["others"]


def test_after_one_that_failed(site: Site) -> None:
    assert refused("dbrestore", "--noinput")[0] == 4
    assert "proved" in said("dbbackup")


def test_of_two_databases_the_folders_are_not_taken_for_left_behind(
    tmp_path: Path, settings: LazySettings
) -> None:
    settings.STORAGES = settings.STORAGES | {"dbbackup": folder_storage(tmp_path)}
    killed = tmp_path / f"{storage.UNFINISHED}killed"
    killed.mkdir()
    with storage.shared_workplace() as first:
        assert not killed.exists()
        with storage.shared_workplace() as second:
            assert first.exists()
            assert second.exists()
    assert [path.name for path in tmp_path.iterdir()] == [storage.TRIED]
