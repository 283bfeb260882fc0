"""dbrestore: everything comes back, what was there is kept, and the way back is one that works."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dbbackup.signals import post_restore, pre_restore
from django.conf import LazySettings
from django.db import connection

from channels_app.models import Channel
from videos_app.models import Video
from ytops.backup.tests.files import KEY
from ytops.backup.tests.site import (
    METADATA,
    TITLE,
    Site,
    close,
    copy_of,
    on_sqlite,
    refused,
    said,
)
from ytops.db.secrets import Secret
from ytops.tests.examples import CREDENTIALS

pytestmark = pytest.mark.django_db


def backup_of(site: Site) -> str:
    return said("dbbackup").partition(":")[0]


def spoil(site: Site) -> None:
    """What somebody did since the backup: rows, a table, a column."""
    site.execute("DELETE FROM video_statistics")
    site.execute("UPDATE videos SET title = 'spoilt'")
    site.execute("CREATE TABLE made_since (x integer)")
    site.execute("ALTER TABLE music ADD COLUMN more text")


def go_back(words: str) -> None:
    """Do what dbrestore says, as it says it."""
    close()
    if connection.vendor == "sqlite":
        found = re.search(
            r"^.*To go back to what was there: manage\.py (dbrestore) (-i \S+)$", words, re.M
        )
        assert found
        said(found[1], *found[2].split(), "--noinput")
    else:
        found = re.search(r"^  (psql .*)$", words, re.M)
        assert found
        subprocess.run(["bash", "-euc", found[1]], check=True, capture_output=True)


def test_every_row_value_and_constraint_comes_back_and_goes_again(site: Site) -> None:
    before = site.content()
    name = backup_of(site)
    spoil(site)
    spoilt = site.content()
    assert spoilt != before
    words = said("dbrestore", "--noinput")
    assert f"Restored {site.database} from {name}. " in words
    assert site.content() == before
    # As Django reads it, with its secrets.
    video = Video.objects.get(title=TITLE)
    assert video.metadata == METADATA
    assert {channel.credentials.reveal()["refresh_token"] for channel in Channel.objects.all()} == {
        CREDENTIALS["refresh_token"]
    }
    go_back(words)
    assert site.content() == spoilt


def test_what_was_there_is_kept_once_and_nothing_else_is_left(site: Site) -> None:
    name = backup_of(site)
    spoil(site)
    words = said("dbrestore", "--noinput")
    if connection.vendor == "sqlite":
        kept = re.findall(r"-i (\S+)", words)
        assert sorted(site.files()) == sorted([name, *kept])
        assert site.databases() == ["site.sqlite3"]
    else:
        [kept] = re.findall(r'kept as the database "(\S+)"', words)
        assert sorted(site.files()) == [name]
        assert site.databases() == [site.name, kept]
        [drop] = re.findall(r"^  (dropdb .*)$", words, re.M)
        subprocess.run(["bash", "-euc", drop], check=True)
        assert site.databases() == [site.name]


def test_two_restores_in_one_second_keep_both(site: Site) -> None:
    name = backup_of(site)
    for _ in range(2):
        said("dbrestore", "-i", name, "--noinput")
    kept = site.files() if connection.vendor == "sqlite" else site.databases()
    assert len(kept) == 3


def test_the_site_goes_on_with_what_was_restored(site: Site) -> None:
    backup_of(site)
    Video.objects.update(title="spoilt")
    said("dbrestore", "--noinput", "-q")
    assert Video.objects.filter(title=TITLE).update(title="goes on") == 1
    close()
    assert Video.objects.filter(title="goes on").count() == 1


def test_a_yes_restores(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.content()
    name = backup_of(site)
    for answer in ("y", " YES ") if connection.vendor == "sqlite" else ("yes",):
        spoil(site)
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        said("dbrestore", "-i", name)
        assert site.content() == before


def test_the_newest_or_the_one_that_is_named_or_the_newest_of_a_server(site: Site) -> None:
    names = []
    for server in ("one", "two"):
        site.execute(f"UPDATE music SET title = '{server}'")
        names.append(said("dbbackup", "-s", server).partition(":")[0])
    options = [
        ((), "two"),
        (("-i", names[0]), "one"),
        (("-s", "two"), "two"),
        (("-s", "one"), "one"),
    ]
    for option, title in options:
        words = said("dbrestore", "--dry-run", *option)
        assert words.startswith(names[title == "two"])
    said("dbrestore", "--noinput", "-s", "one")
    assert "'one'" in str(site.content()["music"]) or "one," in str(site.content()["music"])


def test_a_backup_of_another_place_comes_into_an_empty_database(site: Site) -> None:
    """Moving house on one engine, as docs/DATABASE.md says it."""
    before = site.content()
    file = site.folder / "copy"
    said("dbbackup", "-O", str(file))
    with empty_site(site.folder) as new:
        words = said("dbrestore", "-I", str(file), "--noinput")
        assert new.content() == before
        if connection.vendor == "sqlite":
            assert words.endswith("There was no database before.\n")
            assert new.files() == {}
        assert Channel.objects.all()[0].credentials.reveal()
    assert site.content() == before


@contextmanager
def empty_site(folder: Path) -> Iterator[Site]:
    (place := folder / "new").mkdir()
    new = Site(str(place / "new.sqlite3"), place, place / "backups")
    if connection.vendor == "sqlite":
        with new.at_work():
            yield new
    else:
        new = Site(f"new_{uuid4().hex[:8]}", place, place / "backups")
        with copy_of("template0", new.name), new.at_work():
            yield new


def test_one_of_an_older_schema_says_that_migrations_are_to_be_run(site: Site) -> None:
    newest = "DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0012%'"
    site.execute(newest)
    backup_of(site)
    words = said("dbrestore", "--noinput")
    assert words.endswith("It has 1 migration less than this code: run manage.py setup.\n")
    site.execute("DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0011%'")
    backup_of(site)
    words = said("dbrestore", "--noinput")
    assert words.endswith("It has 2 migrations less than this code: run manage.py setup.\n")


def test_secrets_that_nothing_opened_come_back_as_they_were(
    site: Site, settings: LazySettings
) -> None:
    keys = settings.FERNET_KEYS
    settings.FERNET_KEYS = ["a key that is lost"]
    Channel.objects.create(name="lost", credentials=CREDENTIALS)
    settings.FERNET_KEYS = keys
    before = site.content()
    backup_of(site)
    spoil(site)
    said("dbrestore", "--noinput")
    assert site.content() == before
    lost: Secret = Channel.objects.get(name="lost").credentials
    settings.FERNET_KEYS = ["a key that is lost"]
    assert lost.reveal() == CREDENTIALS


def test_an_encrypted_one_comes_back_and_what_is_kept_is_encrypted_too(
    site: Site, settings: LazySettings
) -> None:
    settings.BACKUP_RECIPIENTS = [str(KEY.to_public())]
    (key := site.folder / "key").write_text(f"# mine\n{KEY}\n")
    before = site.content()
    name = backup_of(site)
    (site.backups / f"{name}.manifest").unlink()  # only an aid
    spoil(site)
    spoilt = site.content()
    settings.BACKUP_IDENTITY_FILE = str(key)
    assert said("backup_drill").startswith(f"{name} comes back")
    words = said("dbrestore", "--noinput")
    assert site.content() == before
    assert all(one.endswith((".zst.age", ".manifest")) for one in site.files())
    go_back(words)
    assert site.content() == spoilt


def test_the_signals_of_dbbackup_are_sent(site: Site) -> None:
    heard: list[dict[str, Any]] = []

    def hear(**given: Any) -> None:
        heard.append(given)

    name = backup_of(site)
    pre_restore.connect(hear)
    post_restore.connect(hear)
    try:
        said("dbrestore", "--dry-run")
        assert heard == []
        said("dbrestore", "--noinput")
    finally:
        pre_restore.disconnect(hear)
        post_restore.disconnect(hear)
    assert [one["signal"] for one in heard] == [pre_restore, post_restore]
    assert {one["filename"] for one in heard} == {name}


@on_sqlite
def test_a_damaged_database_is_kept_as_it_is_and_is_not_a_backup_to_go_back_to(site: Site) -> None:
    before = site.content()
    name = backup_of(site)
    file = Path(site.name)
    content = bytearray(file.read_bytes())
    place = content.index(b"Song 1") & ~4095
    content[place : place + 4096] = b"\xab" * 4096
    file.write_bytes(content)
    words = said("dbrestore", "--noinput")
    assert site.content() == before
    listed = json.loads(said("listbackups", "--format=json"))
    kept = listed[0]["name"]
    assert kept in words
    assert "damaged" in words
    assert listed[0]["state"].startswith("It was made of a damaged database: ")
    assert refused("dbrestore", "-i", kept, "--noinput")[0] == 3
    assert said("dbrestore", "-i", name, "--dry-run")


@on_sqlite
@pytest.mark.parametrize("size", [512, 1024, 8192, 65536])
def test_pages_of_any_size_come_back(size: int, site: Site) -> None:
    """With which the database was made on another machine."""
    before = site.content()
    backup_of(site)
    close()
    file = Path(site.name)
    shutil.copy(file, site.folder / "old")
    file.unlink()
    for left in site.folder.glob("site.sqlite3-*"):
        left.unlink()
    other = sqlite3.connect(file)
    other.execute(f"PRAGMA page_size = {size}")
    other.execute("CREATE TABLE made_since (x)")
    other.close()
    words = said("dbrestore", "--noinput")
    assert site.content() == before
    go_back(words)
    assert list(site.content()) == ["", "made_since"]
