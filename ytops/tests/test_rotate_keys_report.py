"""What `manage.py rotate_keys` says of keys, secrets and backups."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db.secrets import fingerprint
from ytops.management.commands import rotate_keys
from ytops.tests.rotations import (
    LOST,
    NEW,
    OLD,
    PLAIN,
    TOKEN,
    channels,
    put_in_front,
    refused,
    rotate,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def old_key(settings: Settings) -> None:
    settings.FERNET_KEYS = [OLD]


@pytest.fixture(autouse=True)
def backups(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the storage has, of what the command asks."""
    found: list[Any] = []
    monkeypatch.setattr(rotate_keys, "stored", lambda: found)
    monkeypatch.setattr(rotate_keys, "folder", lambda: None)
    return found


def backup(name: str, *keys: str, silent: bool = False) -> Any:
    return SimpleNamespace(name=name, keys=None if silent else frozenset(map(fingerprint, keys)))


class TestTheReport:
    def test_names_a_key_that_nothing_needs(self, settings: Settings) -> None:
        channels(2)
        put_in_front(settings)
        assert rotate() == (
            "Rotated: 2 secrets.\n"
            f"Key {fingerprint(NEW)}, the newest, opens 2 secrets.\n"
            f"Nothing in the database needs key {fingerprint(OLD)}: "
            "it can be taken out of FERNET_KEYS here, unless it is a new one that is yet to come "
            "in front.\n"
        )

    def test_of_a_dry_run_names_what_is_to_be_rotated(self, settings: Settings) -> None:
        SystemConfiguration.objects.filter(key=TOKEN).update(encrypted=True, secret="a token")
        before = SystemConfiguration.objects.get(key=TOKEN).secret
        put_in_front(settings)
        assert rotate("--dry-run") == (
            "Nothing is changed. To be rotated: 1 secret.\n"
            f"Key {fingerprint(NEW)}, the newest, opens 0 secrets.\n"
            f"Key {fingerprint(OLD)} is needed, for 1 secret:\n"
            '  system_configuration "github.token" secret\n'
        )
        assert SystemConfiguration.objects.get(key=TOKEN).secret == before

    def test_names_twenty_and_says_how_many_more(self, settings: Settings) -> None:
        Channel.objects.bulk_create(Channel(name="x", credentials=PLAIN) for _ in range(25))
        put_in_front(settings)
        said = rotate("--dry-run").splitlines()
        assert said[2] == f"Key {fingerprint(OLD)} is needed, for 25 secrets:"
        assert (len(said), said[-1]) == (3 + 20 + 1, "  and 5 more")

    def test_names_the_backups_that_need_an_older_key(
        self, settings: Settings, backups: list[Any]
    ) -> None:
        settings.FERNET_KEYS = [NEW, OLD, LOST]
        backups += [backup("c", NEW), backup("b", NEW, OLD), backup("a", OLD)]
        assert rotate().splitlines()[4:] == [
            f"These backups need key {fingerprint(OLD)}: b, a. Keep it, elsewhere, as long as one "
            "of them is to be restored.",
        ]

    def test_names_the_backups_that_do_not_tell(
        self, settings: Settings, backups: list[Any]
    ) -> None:
        put_in_front(settings)
        backups += [backup("b", silent=True), backup("a", LOST)]
        assert rotate().splitlines()[3:] == [
            "These backups do not tell which keys they need: b. Keep every older key, elsewhere, "
            "as long as one of them is to be restored.",
            "These backups need a key that is not in FERNET_KEYS: a.",
        ]

    def test_comes_even_if_the_backups_cannot_be_listed(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreachable() -> Any:
            raise OSError("no route to the bucket")

        monkeypatch.setattr(rotate_keys, "stored", unreachable)
        put_in_front(settings)
        code, out, why = refused()
        assert code == 1
        assert f"Nothing in the database needs key {fingerprint(OLD)}" in out
        assert why.endswith("which keys they need: no route to the bucket")

    def test_comes_with_lost_secrets_too_and_these_give_the_code(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channels(1)
        settings.FERNET_KEYS = [NEW]
        monkeypatch.setattr(rotate_keys, "stored", lambda: 1 // 0)
        code, _, why = refused()
        assert code == 3
        assert why.startswith("No key of FERNET_KEYS opens 1 secret, named")
        assert "The backups cannot be listed" in why

    def test_says_that_the_folder_of_backups_is_missing(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(rotate_keys, "folder", lambda: tmp_path / "not there")
        put_in_front(settings)
        assert (
            f"The folder of backups, {tmp_path}/not there, is missing: which keys they need is not "
            "known. Keep every older key, elsewhere.\n"
        ) in rotate()

    def test_of_one_key_says_how_to_begin(self) -> None:
        assert "rotate_keys --generate" in rotate()
