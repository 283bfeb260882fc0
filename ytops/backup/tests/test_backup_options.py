"""dbbackup: its options, whom it encrypts to, storages of all kinds."""

import json
import os
import stat
from typing import Any

import pytest
from dbbackup.signals import post_backup, pre_backup
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import CommandError

from ytops.backup import storage
from ytops.backup.storage import UNFINISHED
from ytops.backup.tests.files import KEY, OTHER_KEY
from ytops.backup.tests.site import (
    Site,
    made,
    opened,
    refused,
    said,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_two_at_once_after_another_have_names_of_their_own(site: Site) -> None:
    files = {made(site) for _ in range(3)}
    assert len(files) == 3
    assert len(json.loads(said("listbackups", "--format=json"))) == 3


def test_one_of_a_name_of_ones_own_takes_the_place_of_nothing(site: Site) -> None:
    file = made(site, "-o", "before-the-move")
    assert file.name == "before-the-move"
    before = site.state()
    code, words = refused("dbbackup", "-o", "before-the-move")
    assert (code, words) == (
        4,
        "before-the-move is there already: a backup takes the place of nothing.",
    )
    assert site.state() == before
    assert said("dbrestore", "-i", "before-the-move", "--dry-run")


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", "sub/inside", ".", "..", "a\nb", "-"]
)
def test_a_name_that_is_a_place_is_refused(name: str, site: Site) -> None:
    before = site.state()
    code, words = refused("dbbackup", f"-o{name}")
    assert code == 2
    assert "-O" in words
    assert site.state() == before
    assert not (site.folder / "outside").exists()


def test_a_file_that_is_not_in_the_storage(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    file = site.folder / "elsewhere" / "copy"
    file.parent.mkdir()
    assert said("dbbackup", "-O", str(file)).startswith(f"{file}: ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert said("listbackups") == ""
    before = site.state(), file.read_bytes()
    assert refused("dbbackup", "-O", str(file))[0] == 4
    assert refused("dbbackup", "-O", str(file.parent))[0] == 4
    assert refused("dbbackup", "-O", str(file / "more"))[0] == 1
    assert (site.state(), file.read_bytes()) == before
    (file.parent / f"{UNFINISHED}killed").mkdir()
    monkeypatch.chdir(file.parent)
    assert said("dbbackup", "-O", "relative")
    assert sorted(os.listdir()) == ["copy", "relative"]
    assert said("dbrestore", "-I", "relative", "--dry-run")


def test_both_a_name_and_a_path_are_refused(site: Site) -> None:
    before = site.state()
    with pytest.raises(CommandError, match="not allowed with"):
        said("dbbackup", "-o", "name", "-O", str(site.folder / "file"))
    assert site.state() == before
    assert not (site.folder / "file").exists()


def test_quiet_says_nothing(site: Site) -> None:
    assert said("dbbackup", "-q", "-c") == ""
    assert len(site.files()) == 1


def test_the_server_in_its_name(site: Site) -> None:
    assert made(site, "-s", "web-1/é").name.startswith(f"{site.database}-web-1__-")


REFUSED = [
    (("-x", "channels"), "--exclude-tables: a backup of a part could not be restored"),
    (("-n", "public"), "--schema: a backup of a part could not be restored"),
    (("-e",), "--encrypt: BACKUP_RECIPIENTS is not set."),
    (("-d", "other"), "There is no database 'other': there is default."),
    (("-d", "default,other"), "There is no database 'other': there is default."),
]


def test_what_it_does_not_do_is_refused(site: Site) -> None:
    before = site.state()
    for options, words in REFUSED:
        code, message = refused("dbbackup", *options)
        assert (code, message.startswith(words)) == (2, True)
    assert site.state() == before


def test_a_list_of_databases(site: Site) -> None:
    assert len(said("dbbackup", "-d", "default, default").splitlines()) == 2


def test_the_oldest_go_with_clean_and_not_without(site: Site, settings: LazySettings) -> None:
    settings.BACKUP_KEEP = 2
    files = [made(site) for _ in range(3)]
    (site.backups / "notes").write_bytes(b"mine")
    lines = said("dbbackup", "-c").splitlines()
    assert lines[1:] == [f"Removed {files[1].name}.", f"Removed {files[0].name}."]
    assert len(site.files()) == 3
    assert files[2].exists()


def test_the_signals_of_dbbackup_are_sent(site: Site) -> None:
    heard: list[dict[str, Any]] = []

    def hear(**given: Any) -> None:
        heard.append(given)

    pre_backup.connect(hear)
    post_backup.connect(hear)
    try:
        file = made(site, "-s", "web")
    finally:
        pre_backup.disconnect(hear)
        post_backup.disconnect(hear)
    before, after = heard
    assert (before["signal"], after["signal"]) == (pre_backup, post_backup)
    assert before["servername"] == after["servername"] == "web"
    assert after["filename"] == file.name


def test_encrypted_to_every_recipient(site: Site, settings: LazySettings) -> None:
    settings.BACKUP_RECIPIENTS = [str(KEY.to_public()), str(OTHER_KEY.to_public())]
    line = said("dbbackup", "-e")
    assert line.endswith("tables, proved, encrypted to 2 keys.\n")
    name, beside = site.files()
    assert (beside, name.endswith(".zst.age")) == (f"{name}.manifest", True)
    one = opened(site.backups / name, KEY)
    assert one == opened(site.backups / name, OTHER_KEY)
    [listed] = json.loads(said("listbackups", "--format=json"))
    assert (listed["state"], listed["manifest"]) == ("encrypted", one[1].as_json())
    assert stat.S_IMODE((site.backups / beside).stat().st_mode) == 0o600


def test_recipients_that_are_none_are_refused_and_not_shown(
    site: Site, settings: LazySettings
) -> None:
    before = site.state()
    for wrong in ("age1wrong", str(KEY), "ssh-ed25519 AAAAC3Nz"):
        settings.BACKUP_RECIPIENTS = [str(KEY.to_public()), wrong]
        code, words = refused("dbbackup")
        assert (code, wrong in words) == (4, False)
        assert words.startswith("BACKUP_RECIPIENTS: expected public keys of age")
    assert site.state() == before


def test_a_storage_that_is_no_folder(site: Site, settings: LazySettings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"dbbackup": memory}
    settings.BACKUP_RECIPIENTS = [str(KEY.to_public())]
    (key := site.folder / "key").write_text(str(KEY))
    settings.BACKUP_IDENTITY_FILE = str(key)
    before = site.content()
    name = made(site).name
    assert site.files() == {}
    assert name in said("listbackups")
    site.execute("DELETE FROM video_statistics")
    assert said("backup_drill").startswith(f"{name} comes back: ")
    assert f"from {name}. " in said("dbrestore", "--noinput")
    assert site.content() == before
    assert site.files() == {}


class Failing(InMemoryStorage):
    """Takes a half and loses its connection."""

    def _save(self, name: str, content: Any) -> str:
        super()._save(name, ContentFile(content.read()[:100]))  # type: ignore[misc]
        raise ConnectionError("the storage is gone")


def test_a_storage_that_fails_half_way_keeps_nothing(site: Site, settings: LazySettings) -> None:
    settings.STORAGES = settings.STORAGES | {"dbbackup": {"BACKEND": f"{__name__}.Failing"}}
    before = site.state()
    assert refused("dbbackup") == (1, "the storage is gone")
    assert storage.storage().listdir("") == ([], [])
    assert site.state() == before


def test_where_no_folder_can_be_made_it_says_so(site: Site, settings: LazySettings) -> None:
    site.backups.write_bytes(b"a file")
    code, words = refused("dbbackup")
    assert code == 1
    assert str(site.backups) in words
    site.backups.unlink()
    settings.BACKUP_DIR = site.backups / "not" / "mounted"
    options = {"location": settings.BACKUP_DIR}
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"dbbackup": backend}
    code, words = refused("dbbackup")
    assert (code, site.backups.exists()) == (1, False)
