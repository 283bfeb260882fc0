"""Where backups lie: names, the list, what is removed and what never is, storages of all kinds."""

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage

from ytops.backup import storage
from ytops.backup.refusals import DoesNotFit
from ytops.backup.tests.files import FACTS, forged, manifest_of, noise, packed

pytestmark = pytest.mark.once

NOON = datetime(2020, 11, 22, 12, tzinfo=UTC)
PLAIN, ENCRYPTED = packed(b"payload"), packed(b"payload", "encrypted")
IN_MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}


def put(
    folder: Path,
    *,
    hours: float = 0,
    content: bytes = PLAIN,
    database: str = "ytops",
    encrypted: bool = False,
    server: str = "web",
) -> str:
    """A backup that was made so many hours after noon; its name."""
    created = NOON + timedelta(hours=hours)
    name = storage.file_name(database, "sqlite3", created, server=server, encrypted=encrypted)
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    if encrypted:
        beside = {"manifest": manifest_of(b"payload").as_json(), "file_size": len(content)}
        (folder / f"{name}{storage.BESIDE}").write_text(json.dumps(beside))
    return name


def names(database: str | None = None) -> list[str]:
    return [one.name for one in storage.stored(database)]


def state_of(name: str) -> str:
    [found] = [one for one in storage.stored() if one.name == name]
    return found.state


def test_a_name_says_what_it_is_and_when() -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC)
    made = storage.file_name("ytops", "pgdump", created, server="web-1.example", encrypted=True)
    assert made == "ytops-web-1.example-20260102T030405.678Z.pgdump.zst.age"
    made = storage.file_name("ytops", "sqlite3", created, encrypted=False)
    assert made == f"ytops-{socket.gethostname()}-20260102T030405.678Z.sqlite3.zst"


@pytest.mark.parametrize("database", ["a b", "../a", "a-b", "Küche", "a\nb", "a/b", ".", "x" * 63])
@pytest.mark.parametrize("server", ["web", "../web", "we b", "web-1.example", "wéb\0"])
def test_every_database_and_server_has_a_name_that_is_listed(
    database: str, server: str, backups: Path
) -> None:
    made = storage.file_name(database, "sqlite3", NOON, server=server, encrypted=False)
    assert Path(made).name == made
    assert made.isascii()
    assert made.isprintable()
    put(backups, database=database, server=server)
    assert names(database) == [made]


def test_names_sort_as_their_times() -> None:
    times = [NOON + timedelta(milliseconds=step) for step in (0, 1, 999, 1000, 86_400_000)]
    made = [storage.file_name("a", "sqlite3", time, encrypted=False) for time in times]
    assert made == sorted(made)


def test_without_a_folder_there_is_no_backup(backups: Path) -> None:
    assert storage.stored() == []
    backups.mkdir()
    assert storage.stored() == []


def test_the_newest_is_the_first_whatever_the_files_order_and_kind(backups: Path) -> None:
    made = [put(backups, hours=hours, encrypted=hours % 2 == 1) for hours in (3, 1, 5, 2, 4)]
    for age, name in enumerate(made):  # a copied file has another time
        os.utime(backups / name, (age, age))
    assert names() == [made[2], made[4], made[0], made[3], made[1]]


@pytest.mark.parametrize(
    "junk",
    [
        "default-vm-2026-11-22-120000.psql.bin",
        "default-vm-2026-11-22-120000.sqlite3.gz",
        "ytops-web-20261122T120000.000Z.sqlite3.zst.part",
        "ytops-web-20261122T120000.000Z.sqlite3.zst.manifest",
        "ytops-web-20261122T120000.000Z.sqlite3",
        "ytops-web-20261122T120000Z.sqlite3.zst",
        "ytops-web-20269999T999999.999Z.sqlite3.zst",
        "ytops-web-20261122T250000.000Z.sqlite3.zst.age",
        "ytops-web-20261122T120000.000Z.dump.zst",
        ".ytops-web.swp",
        "notes.txt",
    ],
)
def test_what_has_no_backup_s_name_is_none(junk: str, backups: Path) -> None:
    made = put(backups)
    (backups / junk).write_bytes(PLAIN)
    (backups / "ytops-dir-20261122T120000.000Z.sqlite3.zst").mkdir()
    assert names() == [made]


def test_a_backup_that_goes_meanwhile_is_left_out(backups: Path) -> None:
    made = put(backups)
    (backups / "ytops-web-20261123T120000.000Z.sqlite3.zst").symlink_to(backups / "gone")
    assert names() == [made]


def test_a_whole_one_says_what_it_holds(backups: Path) -> None:
    put(backups)
    [found] = storage.stored()
    assert (found.database, found.created, found.size) == ("ytops", NOON, len(PLAIN))
    assert found.manifest == manifest_of(b"payload")
    assert (found.keys, found.state, found.encrypted) == (frozenset(FACTS.keys), "whole", False)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", PLAIN[:-1], noise(5000), bytes(5000)],
    ids=["empty", "text", "cut", "noise", "zeros"],
)
def test_one_that_is_cut_or_foreign_is_damaged(content: bytes, backups: Path) -> None:
    made = put(backups, content=content)
    [found] = storage.stored()
    assert (found.manifest, found.keys) == (None, None)
    assert "cut short" in state_of(made)


def test_one_of_a_newer_ytops_says_so_and_hides_no_other(backups: Path) -> None:
    newer = manifest_of(b"").as_json() | {"format": 2, "ytops": "9.9"}
    made = put(backups, hours=1, content=forged(b"", newer))
    other = put(backups)
    assert names() == [made, other]
    assert state_of(made) == "It was made by a newer ytops (9.9): update this one."


def test_one_of_a_damaged_database_is_not_whole(backups: Path) -> None:
    bad = manifest_of(b"payload", damage="page 3 is gone")
    made = put(backups, content=forged(b"payload", bad.as_json()))
    assert "page 3 is gone" in state_of(made)


def test_one_that_may_not_be_read_says_so_and_hides_no_other(
    backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = put(backups, hours=1), put(backups)
    real = FileSystemStorage._open  # type: ignore[attr-defined]

    def opened(self: FileSystemStorage, name: str, mode: str = "rb") -> Any:
        if name == made:
            raise PermissionError(13, "Permission denied")
        return real(self, name, mode)

    monkeypatch.setattr(FileSystemStorage, "_open", opened)
    assert names() == [made, other]
    assert state_of(made) == "It cannot be read: Permission denied."


def test_an_encrypted_one_is_told_by_what_stands_beside(backups: Path) -> None:
    put(backups, content=ENCRYPTED, encrypted=True)
    [found] = storage.stored()
    assert (found.manifest, found.state) == (manifest_of(b"payload"), "encrypted")


NESTED = b"[" * 300_000


@pytest.mark.parametrize(
    "beside",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'"manifest"',
        b'{"manifest": 1}',
        b'{"manifest": {}, "file_size": 1}',
        b'{"manifest": ' + NESTED,
        NESTED,
        b"\xff",
        noise(5000),
        b" " * (2 << 20),
        json.dumps({"manifest": manifest_of(b"").as_json() | {"format": 2}}).encode(),
        json.dumps({"manifest": manifest_of(b"").as_json() | {"connector": "os.system"}}).encode(),
    ],
)
def test_an_encrypted_one_is_there_whatever_stands_beside(
    beside: bytes | None, backups: Path
) -> None:
    made = put(backups, content=ENCRYPTED, encrypted=True)
    place = backups / f"{made}{storage.BESIDE}"
    place.unlink() if beside is None else place.write_bytes(beside)
    [found] = storage.stored()
    assert (found.manifest, found.keys, found.state) == (None, None, "encrypted")


@pytest.mark.parametrize(
    "content", [ENCRYPTED[:-1], ENCRYPTED + b"x", b""], ids=["cut", "longer", "empty"]
)
def test_an_encrypted_one_of_another_length_than_it_had_is_damaged(
    content: bytes, backups: Path
) -> None:
    made = put(backups, content=ENCRYPTED, encrypted=True)
    (backups / made).write_bytes(content)
    assert state_of(made) == f"It has {len(content)} bytes instead of {len(ENCRYPTED)}."


def test_the_newest_are_kept_counted_over_all_kinds(backups: Path, settings: LazySettings) -> None:
    settings.BACKUP_KEEP = 3
    made = [
        put(backups, hours=0),
        put(backups, hours=1, content=ENCRYPTED, encrypted=True),
        put(backups, hours=2),
        put(backups, hours=3, content=ENCRYPTED, encrypted=True),
        put(backups, hours=4),
    ]
    assert storage.clean("ytops", "web", made[4]) == [made[1], made[0]]
    assert names() == [made[4], made[3], made[2]]
    assert not (backups / f"{made[1]}{storage.BESIDE}").exists()
    assert (backups / f"{made[3]}{storage.BESIDE}").exists()
    assert storage.clean("ytops", "web", made[4]) == []


def test_damaged_ones_and_junk_are_neither_counted_nor_removed(
    backups: Path, settings: LazySettings
) -> None:
    settings.BACKUP_KEEP = 2
    whole = [put(backups, hours=hours) for hours in (0, 1)]
    bad = [put(backups, hours=hours, content=PLAIN[:50]) for hours in (-1, 2, 3)]
    of_bad = manifest_of(b"payload", damage="page 3 is gone").as_json()
    bad += [put(backups, hours=4, content=forged(b"payload", of_bad))]
    newer = manifest_of(b"").as_json() | {"format": 2}
    bad += [put(backups, hours=5, content=forged(b"", newer))]
    (backups / "ytops-9.sqlite3.zst").write_bytes(b"")
    before = sorted(os.listdir(backups))
    assert storage.clean("ytops", "web", whole[1]) == []
    assert sorted(os.listdir(backups)) == before
    third = put(backups, hours=6)
    assert storage.clean("ytops", "web", third) == [whole[0]]
    assert set(names()) == {whole[1], third, *bad}


def test_what_was_made_just_now_stays_though_others_are_of_the_future(
    backups: Path, settings: LazySettings
) -> None:
    settings.BACKUP_KEEP = 2
    made = [put(backups, hours=hours) for hours in (0, 1, 2)]
    future = [put(backups, hours=24 * 365 * years) for years in (1000, 1001, 1002)]
    assert [state_of(name) for name in future] == [
        "Its time is in the future: a clock was wrong."
    ] * 3
    assert storage.clean("ytops", "web", made[1]) == [made[0]]
    assert names() == [made[2], made[1], *reversed(future)]
    earlier = put(backups, hours=-1)
    assert storage.clean("ytops", "web", earlier) == []


def test_backups_of_other_databases_stay(backups: Path, settings: LazySettings) -> None:
    settings.BACKUP_KEEP = 1
    others = [put(backups, hours=hours, database=f"ytops{end}") for hours in (0, 1) for end in "_2"]
    put(backups)
    made = put(backups, hours=1)
    assert len(storage.clean("ytops", "web", made)) == 1
    assert set(names()) == {made, *others}


def test_a_manifest_whose_backup_was_killed_goes(backups: Path) -> None:
    whole = put(backups, content=ENCRYPTED, encrypted=True)
    orphans = [
        put(backups, hours=1, content=ENCRYPTED, encrypted=True, database=database, server=server)
        for database, server in (("ytops", "web"), ("other", "web"), ("ytops", "web-2"))
    ]
    for name in orphans:
        (backups / name).unlink()
    storage.clean("ytops", "web", whole)
    left = {f"{name}{storage.BESIDE}" for name in (whole, *orphans[1:])}
    assert set(os.listdir(backups)) == {whole, *left}


def test_backups_of_other_servers_stay(backups: Path, settings: LazySettings) -> None:
    settings.BACKUP_KEEP = 1
    others = [put(backups, hours=hours, server="staging") for hours in (0, 1)]
    put(backups)
    made = put(backups, hours=1)
    assert len(storage.clean("ytops", "web", made)) == 1
    assert set(names()) == {made, *others}


def test_what_is_no_file_is_no_backup(backups: Path) -> None:
    whole = put(backups)
    os.mkfifo(backups / whole.replace("T12", "T13"))
    (backups / whole.replace("T12", "T14")).mkdir()
    assert names() == [whole]


def published(folder: Path, name: str, content: bytes = ENCRYPTED, **options: Any) -> None:
    file = folder / "finished"
    file.write_bytes(content)
    storage.publish(file, name, manifest_of(b"payload"), **{"encrypted": False, **options})


def test_a_backup_takes_the_place_of_nothing(tmp_path: Path, backups: Path) -> None:
    made = put(backups)
    with pytest.raises(DoesNotFit, match=f"{made} is there already"):
        published(tmp_path, made, b"other")
    assert (backups / made).read_bytes() == PLAIN


def test_any_storage_of_django_will_do(tmp_path: Path, settings: LazySettings) -> None:
    settings.STORAGES = settings.STORAGES | {"dbbackup": IN_MEMORY}
    made = [
        storage.file_name(
            "ytops", "sqlite3", NOON + timedelta(hours=hours), server="web", encrypted=bool(hours)
        )
        for hours in (0, 1)
    ]
    assert storage.folder() is None
    assert names() == []
    published(tmp_path, made[0], PLAIN)
    published(tmp_path, made[1], encrypted=True)
    assert [one.manifest for one in storage.stored()] == [manifest_of(b"payload")] * 2
    settings.BACKUP_KEEP = 1
    assert storage.clean("ytops", "web", made[1]) == [made[0]]
    assert names() == [made[1]]


class Failing(InMemoryStorage):
    """Writes a half and fails; `fails` is how the name ends at which it does."""

    def __init__(self, fails: str) -> None:
        super().__init__()
        self.fails = fails

    def _save(self, name: str, content: Any) -> str:
        if not name.endswith(self.fails):
            saved: str = super()._save(name, content)  # type: ignore[misc]
            return saved
        super()._save(name, ContentFile(content.read()[:100]))  # type: ignore[misc]
        raise ConnectionError("the storage is gone")


@pytest.mark.parametrize("fails", [".age", storage.BESIDE])
def test_a_storage_that_fails_half_way_keeps_nothing(
    fails: str, tmp_path: Path, settings: LazySettings
) -> None:
    failing = {"BACKEND": f"{__name__}.Failing", "OPTIONS": {"fails": fails}}
    settings.STORAGES = settings.STORAGES | {"dbbackup": failing}
    made = storage.file_name("ytops", "sqlite3", NOON, encrypted=True)
    with pytest.raises(ConnectionError):
        published(tmp_path, made, encrypted=True)
    assert storage.storage().listdir("") == ([], [])
