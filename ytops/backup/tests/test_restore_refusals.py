"""dbrestore and backup_drill of files that must not be restored: an exit code, one line, and
nothing is changed: no row, no file, no database."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone
from pyrage import encrypt

from ytops.backup import storage
from ytops.backup.tests.files import KEY, forged
from ytops.backup.tests.site import (
    Good,
    Site,
    refused,
    said,
)
from ytops.db.secrets import fingerprint
from ytops.tests.processes import manage

pytestmark = pytest.mark.django_db


ENGINES = {"sqlite": "postgresql", "postgresql": "sqlite"}


def one_row_more(good: Good) -> dict[str, int]:
    rows: dict[str, int] = good.manifest["facts"]["rows"]
    return rows | {"channels": rows["channels"] + 1}


NO_BACKUP = "It does not begin as a backup of ytops does."


ALTERED = "it is cut short or was altered."


CASES: dict[str, tuple[Callable[[Good], bytes], int, str]] = {
    "nothing": (lambda good: b"", 3, NO_BACKUP),
    "a text": (lambda good: b"a text\n" * 1000, 3, NO_BACKUP),
    # The file of SQLite, or pg_dump's archive.
    "of stock dbbackup": (lambda good: good.payload, 3, NO_BACKUP),
    "of stock dbbackup -z": (lambda good: gzip.compress(good.payload), 3, NO_BACKUP),
    "in gz": (lambda good: gzip.compress(good.file), 3, NO_BACKUP),
    "in zstd once more": (
        lambda good: zstandard.ZstdCompressor().compress(good.file),
        3,
        "Its checksum does not match",
    ),
    "without a manifest": (
        lambda good: zstandard.ZstdCompressor().compress(good.payload),
        3,
        "Its checksum does not match",
    ),
    "cut at a half": (lambda good: good.file[: len(good.file) // 2], 3, ALTERED),
    "cut by a byte": (lambda good: good.file[:-1], 3, ALTERED),
    "longer by a byte": (lambda good: good.file + b"\n", 3, ALTERED),
    "a bit flipped": (
        lambda good: good.file[:500] + bytes([good.file[500] ^ 1]) + good.file[501:],
        3,
        ALTERED,
    ),
    "with another payload": (
        lambda good: forged(good.payload + b"x", good.manifest),
        3,
        "Its payload is not the one of its manifest.",
    ),
    "cut before it was packed": (
        lambda good: good.told(good.payload[: len(good.payload) // 2]),
        3,
        "",
    ),
    "empty before it was packed": (lambda good: good.told(b""), 3, ""),
    "of a text": (lambda good: good.told(b"a text\n" * 1000), 3, ""),
    "of the other engine": (
        lambda good: good.told(engine=ENGINES[connection.vendor]),
        4,
        f"It is a backup of {ENGINES[connection.vendor]}, and this database is "
        f"{connection.vendor}.",
    ),
    "of an engine that nobody knows": (
        lambda good: good.told(engine="ytops.settings"),
        4,
        "It is a backup of ytops.settings",
    ),
    "with another number of rows": (
        lambda good: good.facts(rows=one_row_more(good)),
        3,
        "It does not come back as it was: channels has 2 rows instead of 3.",
    ),
    "with a table less": (
        lambda good: good.facts(rows=good.manifest["facts"]["rows"] | {"lost": 0}),
        3,
        "lost has no rows instead of 0",
    ),
    "with other migrations": (
        lambda good: good.facts(migrations={}),
        3,
        "its migrations are not those of the manifest",
    ),
    "of a schema to come": (
        lambda good: good.facts(
            migrations=good.manifest["facts"]["migrations"]
            | {"videos_app": ["0999_more"], "shop_app": ["0001_initial"]}
        ),
        4,
        "Its schema is newer than this code, which does not know videos_app.0999_more and 1 more: "
        "it was made by ytops",
    ),
    "of a ytops to come": (
        lambda good: good.told(format=2, ytops="9.9"),
        4,
        "It was made by a newer ytops (9.9): update this one.",
    ),
    "of keys that are lost": (
        lambda good: good.facts(keys=["00c0ffee", "0badcafe"]),
        4,
        "Its secrets need the keys with the fingerprints 00c0ffee, 0badcafe, which are not in "
        "FERNET_KEYS: put them behind the others.",
    ),
    "of a damaged database": (
        lambda good: good.told(damage="page 3 is gone"),
        3,
        "It was made of a damaged database: page 3 is gone",
    ),
    "with a connector": (
        lambda good: good.told(connector="hostile_module.Connector"),
        3,
        "Its manifest cannot be read.",
    ),
    "encrypted": (
        lambda good: encrypt(good.file, [KEY.to_public()]),
        4,
        "It is encrypted: BACKUP_IDENTITY_FILE must name",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_must_not_be_restored_is_refused(
    case: str, unchanged: Site, good: Good, tmp_path: Path
) -> None:
    make, expected, words = CASES[case]
    (file := tmp_path / "file").write_bytes(make(good))
    code, message = refused("dbrestore", "-I", str(file), "--noinput")
    assert (code, message.startswith(f"{file}: ")) == (expected, True)
    assert words in message
    assert len(message) < 500


def test_the_drill_of_a_backup_that_would_not_come_back_fails(unchanged: Site, good: Good) -> None:
    soon = timezone.now() + timedelta(minutes=10)
    newer = storage.file_name(unchanged.database, good.name.split(".")[-2], soon, encrypted=False)
    try:
        for case in ("cut at a half", "nothing", "with another number of rows"):
            make, expected, words = CASES[case]
            (unchanged.backups / newer).write_bytes(make(good))
            code, message = refused("backup_drill")
            assert (code, message.startswith(f"{newer}: ")) == (expected, True)
            assert words in message
        assert refused("dbrestore", "--noinput") == (code, message)
    finally:
        (unchanged.backups / newer).unlink()


def test_what_lies_in_the_folder_of_an_older_tool_is_not_taken(unchanged: Site, good: Good) -> None:
    """Stock dbrestore took a partial file under its final name, and the database was gone."""
    junk = [
        f"{unchanged.database}-vm-2999-01-01-000000.sqlite3",
        "default-vm-2999-01-01-000000.psql.bin.gz",
        f"{unchanged.database}-vm-29990101T000000.000Z.sqlite3.zst.part",
    ]
    try:
        for name in junk:
            (unchanged.backups / name).write_bytes(b"half of a file")
        assert said("dbrestore", "--dry-run").startswith(f"{good.name} would come back: ")
        code, message = refused("dbrestore", "-i", junk[0], "--noinput")
        assert (code, message) == (3, f"{junk[0]}: {NO_BACKUP}")
    finally:
        for name in junk:
            (unchanged.backups / name).unlink()


def test_keys_that_are_not_at_hand_are_named_by_their_fingerprints(
    unchanged: Site, settings: LazySettings
) -> None:
    """GitLab's users learned it at the restore; listbackups says it before."""
    needed = fingerprint(settings.FERNET_KEYS[0])
    settings.FERNET_KEYS = ["another-key-for-tests-only"]
    for command in (("dbrestore", "--noinput"), ("backup_drill",)):
        code, message = refused(*command)
        assert (code, f"the fingerprints {needed}, which are not in FERNET_KEYS" in message) == (
            4,
            True,
        )
    assert needed in said("listbackups", "--format=json")


@pytest.mark.parametrize(
    "name",
    ["none", "../unchanged.sqlite3", "/etc/passwd", "/dev/null", "/tmp", ".", "..", "-", "x" * 300],
)
def test_what_is_no_backup_is_refused_by_its_name(name: str, unchanged: Site) -> None:
    code, message = refused("dbrestore", "--noinput", f"-i{name}")
    assert code in (1, 3, 4)
    assert name in message


def test_without_a_backup_of_this_database_others_are_named(
    unchanged: Site, settings: LazySettings, good: Good, tmp_path: Path
) -> None:
    assert refused("dbrestore", "-s", "other", "--noinput") == (
        4,
        f"There is no backup of {unchanged.database} of the server other: there are some of "
        f"{storage.server_name()}; -s names one of them.",
    )
    options = {"location": tmp_path}
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"dbbackup": backend}
    for command in ("dbrestore", "backup_drill"):
        assert refused(command) == (4, f"There is no backup of {unchanged.database}.")
    (tmp_path / good.name.replace(unchanged.database, "elsewhere", 1)).write_bytes(good.file)
    code, message = refused("dbrestore")
    assert code == 4
    assert message.endswith(": there are some of elsewhere; -i takes a name.")


def test_a_drill_and_a_dry_run_change_nothing(unchanged: Site, good: Good) -> None:
    rows = f"{sum(good.manifest['facts']['rows'].values())} rows in "
    assert said("backup_drill").startswith(f"{good.name} comes back: {rows}")
    said_by_run = said("dbrestore", "--dry-run", "-I", str(unchanged.backups / good.name))
    assert said_by_run.startswith(f"{unchanged.backups / good.name} would come back: {rows}")
    assert said_by_run.endswith(" Nothing is changed.\n")


def test_a_refusal_in_a_process_is_one_line_and_its_code(unchanged: Site) -> None:
    asked = manage("dbrestore", **unchanged.environment)  # its input is at an end
    assert asked.returncode == 6
    assert asked.stderr == "CommandError: Not confirmed: nothing is changed.\n"
    assert "is whole: " in asked.stdout
