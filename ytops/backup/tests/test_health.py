"""What `check` and the first page of the admin say of the newest backup."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from ytops.backup import health, storage
from ytops.backup.health import backups_are_in_order
from ytops.backup.tests.site import Site

DAYS = 24 * 3600


def said() -> list[tuple[str | None, str]]:
    return [(found.id, found.msg) for found in backups_are_in_order()]


@pytest.fixture
def empty(backups: Path) -> Path:
    backups.mkdir()
    return backups


def test_a_missing_folder_is_warned_of(backups: Path) -> None:
    assert said() == [("ytops.W003", f"The folder of the backups, {backups}, is missing.")]


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT"])
def test_a_folder_that_everybody_can_read_is_warned_of(
    name: str, empty: Path, settings: LazySettings
) -> None:
    setattr(settings, name, empty.parent)
    [(code, words)] = said()
    assert code == "ytops.W004"
    assert f"inside {name} ({empty.parent})" in words


def test_a_folder_among_the_sources_of_static_files_is_warned_of(
    empty: Path, settings: LazySettings
) -> None:
    settings.STATICFILES_DIRS = [str(empty.parent)]
    assert [code for code, _ in said()] == ["ytops.W004"]


def test_the_first_backup_is_due_when_the_folder_is_old(
    empty: Path, settings: LazySettings
) -> None:
    assert said() == []
    before = time.time() - 3 * DAYS
    os.utime(empty, (before, before))
    assert said() == [("ytops.W005", "There is no backup.")]
    settings.BACKUP_MAX_AGE_HOURS = 4 * 24
    assert said() == []


def test_the_first_backup_is_due_when_one_was_tried(empty: Path) -> None:
    with storage.shared_workplace():
        pass
    assert said() == [("ytops.W005", "There is no backup.")]


def test_an_old_backup_is_warned_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("dbbackup", quiet=True)
    assert said() == []
    later = timezone.now() + timedelta(hours=49)
    monkeypatch.setattr(timezone, "now", lambda: later)
    [(code, words)] = said()
    assert code == "ytops.W005"
    assert words.endswith("is 49 hours old: at most 48 are wanted.")


def test_a_damaged_backup_is_warned_of(site: Site) -> None:
    call_command("dbbackup", quiet=True)
    [backup] = storage.stored()
    with (site.backups / backup.name).open("ab") as file:
        file.write(b"x")
    [(code, words)] = said()
    assert code == "ytops.W005"
    assert f"{backup.name}, is damaged" in words


def test_that_of_another_server_is_not_ours(site: Site, settings: LazySettings) -> None:
    call_command("dbbackup", "-s", "staging", quiet=True)
    assert said() == [("ytops.W005", "There is no backup.")]
    call_command("dbbackup", quiet=True)
    call_command("dbbackup", "-s", "staging", quiet=True)
    later = storage.listed()[0]
    (site.backups / later.name).write_bytes(b"")
    assert (later.server, said()) == ("staging", [])
    settings.BACKUP_SERVER = "staging"
    [(_, words)] = said()
    assert f"{later.name}, is damaged" in words


def test_a_storage_that_cannot_be_listed_is_warned_of(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("no such bucket")

    monkeypatch.setattr(storage, "listed", fail)
    assert said() == [("ytops.W005", "The backups cannot be listed: no such bucket")]


@pytest.mark.django_db
class TestPanel:
    def text(self, client: Client) -> str:
        return client.get("/admin/").content.decode()

    def test_it_says_that_there_is_none_yet(self, empty: Path, page_of: Client) -> None:
        assert "none yet" in self.text(page_of)

    def test_it_says_that_there_is_none(self, empty: Path, page_of: Client) -> None:
        os.utime(empty, (1, 1))
        assert "There is no backup." in self.text(page_of)

    def test_who_sees_the_settings_sees_it(
        self, empty: Path, member: Callable[[str], Client]
    ) -> None:
        assert "none yet" in self.text(member("Viewers"))


def test_the_panel_shows_the_newest(site: Site) -> None:
    call_command("dbbackup", quiet=True)
    [backup] = storage.stored()
    context = health.backup_panel(HttpRequest())
    assert context is not None
    assert context["newest"] == backup
    assert backup.manifest is not None
    assert context["rows"] == backup.manifest.facts.total_rows
    assert not context["problem"]
