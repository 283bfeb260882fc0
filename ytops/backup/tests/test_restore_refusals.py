"""dbrestore and backup_drill of files that must not be restored: an exit code, one line, and
nothing is changed: no row, no file, no database."""

import gzip
import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from pyrage import encrypt

from ytops.backup import archive
from ytops.backup.tests.conftest import new_site
from ytops.backup.tests.files import KEY, OTHER_KEY, forged
from ytops.backup.tests.site import Site, on_sqlite, refused, said
from ytops.db.secrets import fingerprint
from ytops.tests.processes import manage

pytestmark = pytest.mark.django_db
ENGINES = {"sqlite": "postgresql", "postgresql": "sqlite"}


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


@pytest.fixture(scope="module")
def still(
    filled: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Good]]:
    with django_db_blocker.unblock(), new_site(filled, tmp_path_factory.mktemp("still")) as site:
        with site.at_work():
            call_command("dbbackup", "-q")
        [(name, file)] = site.files().items()
        payload = io.BytesIO()
        manifest = archive.unpack(io.BytesIO(file), payload, [])
        yield site, Good(name, file, payload.getvalue(), manifest.as_json())


@pytest.fixture
def site(still: tuple[Site, Good]) -> Iterator[Site]:
    """The one site of this file; every test of it ends with a look at all that there is."""
    site, _ = still
    with site.at_work():
        before = site.state()
        yield site
        assert site.state() == before


@pytest.fixture
def good(still: tuple[Site, Good]) -> Good:
    return still[1]


def one_row_more(good: Good) -> dict[str, int]:
    rows: dict[str, int] = good.manifest["facts"]["rows"]
    return rows | {"channels": rows["channels"] + 1}


def with_a_bad_page(good: Good) -> bytes:
    """The page of a row, and of nothing that every look at the file would meet."""
    payload = bytearray(good.payload)
    place = payload.index(b"Song 1") & ~4095
    payload[place : place + 4096] = b"\xab" * 4096
    return good.told(bytes(payload))


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
    case: str, site: Site, good: Good, tmp_path: Path
) -> None:
    make, expected, words = CASES[case]
    (file := tmp_path / "file").write_bytes(make(good))
    code, message = refused("dbrestore", "-I", str(file), "--noinput")
    assert (code, message.startswith(f"{file}: ")) == (expected, True)
    assert words in message
    assert len(message) < 500


@pytest.mark.parametrize("case", ["cut at a half", "nothing", "with another number of rows"])
def test_the_drill_of_a_backup_that_would_not_come_back_fails(
    case: str, site: Site, good: Good
) -> None:
    make, expected, words = CASES[case]
    newer = good.name.replace("-20", "-29", 1)  # 2926
    (site.backups / newer).write_bytes(make(good))
    try:
        for command in (("backup_drill",), ("dbrestore", "--dry-run"), ("dbrestore", "--noinput")):
            code, message = refused(*command)
            assert (code, message.startswith(f"{newer}: ")) == (expected, True)
            assert words in message
    finally:
        (site.backups / newer).unlink()


@on_sqlite
def test_one_bad_page_is_refused(site: Site, good: Good, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(with_a_bad_page(good))
    code, message = refused("dbrestore", "-I", str(file), "--noinput")
    assert (code, message.startswith(f"{file}: SQLite finds it damaged: ")) == (3, True)


@on_sqlite
def test_a_row_that_a_constraint_forbids_or_an_index_lacks_is_refused(
    site: Site, good: Good, tmp_path: Path
) -> None:
    (database := tmp_path / "payload").write_bytes(good.payload)
    with closing(sqlite3.connect(database)) as open_one, open_one:
        open_one.execute("PRAGMA writable_schema = ON")
        open_one.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'auth_group') WHERE name = 'music'"
        )
    (file := tmp_path / "file").write_bytes(good.told(database.read_bytes()))
    assert refused("dbrestore", "-I", str(file), "--noinput")[0] == 3


def test_what_lies_in_the_folder_of_an_older_tool_is_not_taken(site: Site, good: Good) -> None:
    """Stock dbrestore took a partial file under its final name, and the database was gone."""
    junk = [
        f"{site.database}-vm-2999-01-01-000000.sqlite3",
        "default-vm-2999-01-01-000000.psql.bin.gz",
        f"{site.database}-vm-29990101T000000.000Z.sqlite3.zst.part",
    ]
    try:
        for name in junk:
            (site.backups / name).write_bytes(b"half of a file")
        assert said("dbrestore", "--dry-run").startswith(f"{good.name} would come back: ")
        code, message = refused("dbrestore", "-i", junk[0], "--noinput")
        assert (code, message) == (3, f"{junk[0]}: {NO_BACKUP}")
    finally:
        for name in junk:
            (site.backups / name).unlink()


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        (None, 4, "BACKUP_IDENTITY_FILE must name the file"),
        (f"{OTHER_KEY}", 4, "encrypted to other keys than that of BACKUP_IDENTITY_FILE"),
        ("not a key", 4, "is no file of private keys"),
        ("", 4, "is no file of private keys"),
    ],
    ids=["none", "another", "wrong", "empty"],
)
def test_an_encrypted_one_needs_its_key(
    key: str | None, code: int, words: str, site: Site, good: Good, tmp_path: Path,
    settings: LazySettings,
) -> None:  # fmt: skip
    (file := tmp_path / "file").write_bytes(encrypt(good.file, [KEY.to_public()]))
    if key is not None:
        (tmp_path / "key").write_text(key)
        settings.BACKUP_IDENTITY_FILE = str(tmp_path / "key")
    for options in (("--noinput",), ("--dry-run",)):
        got, message = refused("dbrestore", "-I", str(file), *options)
        assert (got, words in message, str(OTHER_KEY) in message) == (code, True, False)
    (tmp_path / "key").write_text(str(KEY))
    settings.BACKUP_IDENTITY_FILE = str(tmp_path / "key")
    assert " would come back: " in said("dbrestore", "-I", str(file), "--dry-run")


def test_a_private_key_that_is_not_there_is_named(site: Site, settings: LazySettings) -> None:
    settings.BACKUP_IDENTITY_FILE = "/no/such/key"
    code, message = refused("dbrestore", "--noinput")
    assert (code, message) == (
        4,
        "BACKUP_IDENTITY_FILE: /no/such/key cannot be read: No such file or directory.",
    )


def test_keys_that_are_not_at_hand_are_named_by_their_fingerprints(
    site: Site, settings: LazySettings
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


OPTIONS = [
    (("-p", "secret words"), "--passphrase: backups are encrypted to keys"),
    (("-n", "public"), "--schema: a restore puts the whole database back"),
    (("-r",), "--no-drop: a restore puts the whole database back"),
    (("-d", "other"), "There is no database 'other': there is default."),
    (("-i", ""), "--input-filename: it is empty."),
    (("-I", ""), "--input-path: it is empty."),
]


def test_what_it_does_not_do_is_refused(site: Site) -> None:
    for options, words in OPTIONS:
        code, message = refused("dbrestore", "--noinput", *options)
        assert (code, message.startswith(words), "secret" in message) == (2, True, False)


def test_a_name_and_a_path_exclude_one_another(site: Site, good: Good) -> None:
    with pytest.raises(Exception, match="not allowed with"):
        said("dbrestore", "-i", good.name, "-I", "other", "--noinput")


@pytest.mark.parametrize(
    "name",
    ["none", "../site.sqlite3", "/etc/passwd", "/dev/null", "/tmp", ".", "..", "-", "x" * 300],
)
def test_what_is_no_backup_is_refused_by_its_name(name: str, site: Site) -> None:
    code, message = refused("dbrestore", "--noinput", f"-i{name}")
    assert code in (1, 3, 4)
    assert name in message


def test_without_a_backup_of_this_database_others_are_named(
    site: Site, settings: LazySettings, good: Good, tmp_path: Path
) -> None:
    assert refused("dbrestore", "-s", "other", "--noinput") == (
        4,
        f"There is no backup of {site.database} of the server other.",
    )
    options = {"location": tmp_path}
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"dbbackup": backend}
    for command in ("dbrestore", "backup_drill"):
        assert refused(command) == (4, f"There is no backup of {site.database}.")
    (tmp_path / good.name.replace(site.database, "elsewhere", 1)).write_bytes(good.file)
    assert refused("dbrestore") == (
        4,
        f"There is no backup of {site.database}: there are some of elsewhere; -i takes a name.",
    )


def test_a_server_whose_name_begins_as_another_is_another(site: Site, good: Good) -> None:
    server = good.name.removeprefix(f"{site.database}-").partition("-2")[0]
    assert good.name in said("dbrestore", "-s", server, "--dry-run")
    assert refused("dbrestore", "-s", server[:-1], "--dry-run")[0] == 4
    other = good.name.replace(f"-{server}-", f"-{server}-2-").replace("-20", "-29", 1)
    (site.backups / other).write_bytes(good.file)
    try:
        assert said("dbrestore", "-s", server, "--dry-run").startswith(good.name)
        assert said("dbrestore", "-s", f"{server}-2", "--dry-run").startswith(other)
    finally:
        (site.backups / other).unlink()


@pytest.mark.parametrize("answer", ["n", "", "no", "maybe", "yess", None])
def test_without_a_yes_nothing_is_changed(
    answer: str | None, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def reply(question: str) -> str:
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", reply)
    out = io.StringIO()
    with pytest.raises(Exception, match="Not confirmed: nothing is changed") as error:
        call_command("dbrestore", stdout=out)
    assert getattr(error.value, "returncode", None) == 6
    assert "is whole: " in out.getvalue()
    assert asked == [f"Put it in the place of {site.database}, which is kept? [y/N] "]


def test_a_drill_and_a_dry_run_change_nothing(site: Site, good: Good) -> None:
    rows = f"{sum(good.manifest['facts']['rows'].values())} rows in "
    assert said("backup_drill").startswith(f"{good.name} comes back: {rows}")
    said_by_run = said("dbrestore", "--dry-run", "-I", str(site.backups / good.name))
    assert said_by_run.startswith(f"{site.backups / good.name} would come back: {rows}")
    assert said_by_run.endswith(" Nothing is changed.\n")
    assert said("backup_drill", "-q") == ""


def test_a_refusal_in_a_process_is_one_line_and_its_code(site: Site) -> None:
    asked = manage("dbrestore", **site.environment)  # its input is at an end
    assert asked.returncode == 6
    assert asked.stderr == "CommandError: Not confirmed: nothing is changed.\n"
    assert "is whole: " in asked.stdout
