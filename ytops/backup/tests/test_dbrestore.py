"""dbrestore: everything comes back, what was there is kept, and the way back is one that works."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.db import connection

from channels_app.models import Channel
from videos_app.models import Video
from ytops.backup.tests.files import KEY
from ytops.backup.tests.site import (
    METADATA,
    TITLE,
    Site,
    backup_of,
    close,
    copy_of,
    go_back,
    said,
    spoil,
)
from ytops.tests.examples import CREDENTIALS

pytestmark = pytest.mark.django_db


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


def test_the_site_goes_on_with_what_was_restored(site: Site) -> None:
    backup_of(site)
    Video.objects.update(title="spoilt")
    said("dbrestore", "--noinput", "-q")
    assert Video.objects.filter(title=TITLE).update(title="goes on") == 1
    close()
    assert Video.objects.filter(title="goes on").count() == 1


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
