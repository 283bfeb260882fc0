"""Rotations that are killed, two at once, and beside those who edit."""

import io
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import Settings

from channels_app.models import Channel
from ytops.db.secrets import JSONSecret, fingerprint
from ytops.management.commands import rotate_keys
from ytops.tests.processes import finish, start

PROVE = os.environ.get("YTOPS_PROVE") == "1"
OLD, NEW = "old-key-for-tests-only-0123456789abc", "new-key-for-tests-only-0123456789abc"
PLAIN, OTHER = {"client_secret": "kept to ourselves"}, {"client_secret": "another one"}
ROWS = 4000 if PROVE else 1200


@pytest.fixture(autouse=True)
def filled(committing: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Channels with credentials under the old key; there is a new one now, and no backup."""
    monkeypatch.setattr(rotate_keys, "stored", list)
    settings.FERNET_KEYS = [OLD]
    secret = JSONSecret.encrypt(PLAIN)
    Channel.objects.bulk_create(
        Channel(name=f"Channel {number}", credentials=secret) for number in range(ROWS)
    )
    settings.FERNET_KEYS = [NEW, OLD]
    yield
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM channels")


def key_of(channel: Channel) -> str:
    name: str = channel.credentials.key_fingerprint()
    return name


class Rotation(Thread):
    """The command on a connection of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.out = io.StringIO()
        self.start()

    def run(self) -> None:
        try:
            call_command("rotate_keys", stdout=self.out)
        finally:
            connection.close()

    def rotated(self) -> int:
        """How many secrets, when it has ended."""
        self.join()
        [number] = re.findall(r"^Rotated: ([\d,]+) secrets", self.out.getvalue())
        return int(number.replace(",", ""))


def begun(process: "subprocess.Popen[str]") -> None:
    """Wait until the first row is rotated."""
    first = Channel.objects.order_by("pk").only("credentials")
    while key_of(first[0]) == fingerprint(OLD):
        assert process.poll() is None, "it rotated nothing"
        time.sleep(0.002)


def all_are_whole() -> set[str]:
    """The keys that open them."""
    channels = list(Channel.objects.only("credentials"))
    assert len(channels) == ROWS
    assert all(channel.credentials.reveal() in (PLAIN, OTHER) for channel in channels)
    return {key_of(channel) for channel in channels}


@pytest.mark.parametrize("seed", range(50 if PROVE else 1))
def test_killed_anywhere_it_goes_on_where_it_was(seed: int, tmp_path: Path) -> None:
    keys = f"{NEW},{OLD}"
    process = start("manage.py", "rotate_keys", FERNET_KEYS=keys, BACKUP_DIR=str(tmp_path))
    begun(process)
    time.sleep(Random(seed).uniform(0, 0.6 if PROVE and connection.vendor == "postgresql" else 0.1))
    process.kill()
    finish(process)
    all_are_whole()
    call_command("rotate_keys", stdout=io.StringIO())
    assert all_are_whole() == {fingerprint(NEW)}


class Editor(Thread):
    """Sets the credentials of one channel after another until it is told to stop."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, self.edited, self.enough = Random(seed), list[Any](), Event()

    def run(self) -> None:
        try:
            keys = list(Channel.objects.values_list("pk", flat=True))
            self.random.shuffle(keys)
            for key in keys:
                with transaction.atomic():
                    channel = Channel.objects.select_for_update().get(pk=key)
                    channel.save_fields(credentials=JSONSecret.encrypt(OTHER))
                self.edited.append(key)
                if self.enough.wait(0.002):
                    return
        finally:
            connection.close()


@pytest.mark.parametrize("seed", range(50 if PROVE else 1))
def test_two_at_once_and_an_editor_lose_nothing(seed: int) -> None:
    latest = Channel.objects.latest("updated_at").updated_at
    editor = Editor(seed)
    editor.start()
    rotations = [Rotation(), Rotation()]
    rotated = sum(rotation.rotated() for rotation in rotations)
    editor.enough.set()
    editor.join()
    assert editor.edited
    assert ROWS - len(editor.edited) <= rotated <= ROWS
    assert all_are_whole() == {fingerprint(NEW)}
    kept = Channel.objects.in_bulk(editor.edited)
    assert all(kept[key].credentials.reveal() == OTHER for key in editor.edited)
    others = Channel.objects.exclude(pk__in=editor.edited)
    assert not others.filter(updated_at__gt=latest).exists()


def test_a_row_that_somebody_holds_is_waited_for_and_his_edit_stays() -> None:
    """Without holding up the others; on SQLite he holds the whole database."""
    first, *_, last = Channel.objects.order_by("pk").only("pk")
    with transaction.atomic():
        held = Channel.objects.select_for_update().get(pk=first.pk)
        rotation = Rotation()
        while connection.vendor == "postgresql" and key_of(last) == fingerprint(OLD):
            assert rotation.is_alive()
            time.sleep(0.002)
            last.refresh_from_db(fields=["credentials"])
        held.save_fields(credentials=JSONSecret.encrypt(OTHER))
    assert rotation.rotated() == ROWS - 1
    assert all_are_whole() == {fingerprint(NEW)}
    held.refresh_from_db()
    assert held.credentials.reveal() == OTHER
