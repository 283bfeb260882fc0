"""`manage.py rotate_keys`, in this process."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.test.utils import isolate_apps
from pytest_django import DjangoAssertNumQueries, Settings

from channels_app.models import Channel
from settings_app import changes
from settings_app.models import SystemConfiguration
from ytops.db import rotation, secret_columns
from ytops.db.fields import SecretField
from ytops.db.secrets import JSONSecret, ciphers, fingerprint
from ytops.management import progress
from ytops.management.commands import rotate_keys
from ytops.tests import examples
from ytops.tests.admin_client import opened, post
from ytops.tests.rotations import (
    LOST,
    NEW,
    OLD,
    OTHER,
    PLAIN,
    TOKEN,
    channels,
    put_in_front,
    refused,
    rotate,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def old_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FERNET_KEYS = [OLD]
    monkeypatch.setattr(rotate_keys, "stored", list)  # no backup
    monkeypatch.setattr(rotate_keys, "folder", lambda: None)


def overwrite(row: models.Model, column: str, content: bytes | str) -> None:
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s", [content])


def before_a_batch_is_written(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Once."""
    write = rotation.Column.write

    def acting_first(self: rotation.Column, rows: Any) -> int:
        monkeypatch.setattr(rotation.Column, "write", write)
        act()
        return write(self, rows)

    monkeypatch.setattr(rotation.Column, "write", acting_first)


class TestEverySecret:
    def test_comes_under_the_newest_key(self, settings: Settings) -> None:
        made = channels(3)
        empty = examples.channel(credentials=None)
        SystemConfiguration.objects.filter(key=TOKEN).update(encrypted=True, secret="a token")
        put_in_front(settings)
        assert rotate().startswith("Rotated: 4 secrets.\n")
        settings.FERNET_KEYS = [NEW]
        for channel in made:
            channel.refresh_from_db()
            assert channel.credentials.reveal() == PLAIN
        empty.refresh_from_db()
        assert empty.credentials is None
        row = SystemConfiguration.objects.get(key=TOKEN)
        assert row.secret is not None
        assert row.secret.reveal() == "a token"

    def test_in_many_batches(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rotation, "BATCH", 2)
        channels(4)
        put_in_front(settings)
        rotate()
        settings.FERNET_KEYS = [NEW]
        assert {channel.credentials.reveal()["client_secret"] for channel in Channel.objects.all()}

    def test_is_not_edited_by_that(self, settings: Settings) -> None:
        [channel] = channels(1)
        overwrite(channel, "credentials", ciphers()[fingerprint(OLD)].encrypt_at_time(b"{}", 77))
        put_in_front(settings)
        rotate()
        after = Channel.objects.get()
        assert after.updated_at == channel.updated_at
        assert ciphers()[fingerprint(NEW)].extract_timestamp(after.credentials.ciphertext) == 77

    def test_a_second_time_nothing_is_written(self, settings: Settings) -> None:
        channels(2)
        put_in_front(settings)
        rotate()
        before = list(Channel.objects.values_list("credentials", flat=True))
        assert rotate().startswith("Rotated: 0 secrets.\n")
        assert list(Channel.objects.values_list("credentials", flat=True)) == before

    def test_of_a_history_table_too(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with isolate_apps("ytops") as registry:

            class Past(models.Model):  # noqa: DJ008
                history_id = models.IntegerField(primary_key=True)
                token = SecretField(null=True, db_column="the token")

                class Meta:
                    app_label = "ytops"
                    db_table = "past tokens"

        binary = SecretField().db_type(connection)
        with connection.cursor() as cursor:
            cursor.execute(
                f'CREATE TABLE "past tokens" (history_id integer PRIMARY KEY, "the token" {binary})'
            )
        rows = Past._default_manager
        rows.bulk_create(Past(pk=number, token=f"token {number}") for number in range(5))
        monkeypatch.setattr(secret_columns, "apps", registry)
        monkeypatch.setattr(rotation, "BATCH", 2)
        put_in_front(settings)
        assert rotate().startswith("Rotated: 5 secrets.\n")
        settings.FERNET_KEYS = [NEW]
        assert [row.token.reveal() for row in rows.order_by("pk")] == [
            f"token {number}" for number in range(5)
        ]

    def test_keeps_the_fingerprint_of_its_setting_s_history(self, settings: Settings) -> None:
        SystemConfiguration.objects.filter(key=TOKEN).update(encrypted=True, secret="a token")
        before = changes.fingerprint(SystemConfiguration.objects.get(key=TOKEN).secret)
        put_in_front(settings)
        rotate()
        assert changes.fingerprint(SystemConfiguration.objects.get(key=TOKEN).secret) == before


class TestMeanwhile:
    def test_an_edit_wins(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        edited, emptied, deleted, other = channels(4)

        def edit() -> None:
            Channel.objects.filter(pk=edited.pk).update(credentials=OTHER)
            Channel.objects.filter(pk=emptied.pk).update(credentials=None)
            deleted.delete()

        put_in_front(settings)
        before_a_batch_is_written(monkeypatch, edit)
        assert rotate().startswith("Rotated: 1 secret.\n")
        settings.FERNET_KEYS = [NEW]
        kept = dict(Channel.objects.values_list("pk", "credentials"))
        assert kept[edited.pk].reveal() == OTHER
        assert kept[other.pk].reveal() == PLAIN
        assert kept[emptied.pk] is None

    def test_another_rotation_does_it_once(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channels(3)
        put_in_front(settings)
        said = []
        before_a_batch_is_written(monkeypatch, lambda: said.append(rotate()))
        said.append(rotate())
        assert [text.partition(".")[0] for text in said] == [
            "Rotated: 3 secrets",
            "Rotated: 0 secrets",
        ]
        settings.FERNET_KEYS = [NEW]
        assert all(row.credentials.reveal() == PLAIN for row in Channel.objects.all())

    def test_what_is_written_under_the_older_key_is_rotated_too(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [channel] = channels(1)
        late = JSONSecret.encrypt(OTHER)
        put_in_front(settings)
        before_a_batch_is_written(
            monkeypatch,
            lambda: Channel.objects.filter(pk=channel.pk).update(credentials=late),
        )
        assert "Nothing in the database needs" in rotate()
        settings.FERNET_KEYS = [NEW]
        assert Channel.objects.get().credentials.reveal() == OTHER

    def test_what_stays_under_the_older_key_is_named(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channels(1, youtube_channel_id="UC" + "x" * 22)
        put_in_front(settings)
        monkeypatch.setattr(rotation.Column, "write", lambda self, changes: 0)
        monkeypatch.setattr(rotation, "PATIENCE", 0)
        code, out, why = refused()
        assert code == 5
        assert f'  channels "UC{"x" * 22}" credentials\n' in out
        assert "An older key still holds 1 secret" in why

    def test_an_open_page_of_the_admin_saves(self, settings: Settings, page_of: Client) -> None:
        [channel] = channels(1)
        page = opened(page_of, channel)
        put_in_front(settings)
        rotate()
        settings.FERNET_KEYS = [NEW]
        assert post(page_of, channel, page, name="Baking").status_code == 302
        saved = Channel.objects.get()
        assert (saved.name, saved.credentials.reveal()) == ("Baking", PLAIN)

    def test_an_open_page_of_the_admin_replaces_the_secret(
        self, settings: Settings, page_of: Client
    ) -> None:
        [channel] = channels(1)
        page = opened(page_of, channel)
        put_in_front(settings)
        rotate()
        typed = '{"installed": {"client_id": "a", "client_secret": "b", "token_uri": "https://x"}}'
        assert post(page_of, channel, page, credentials=typed).status_code == 302
        assert "installed" in Channel.objects.get().credentials.reveal()

    def test_somebody_s_edit_is_still_a_conflict(self, settings: Settings, page_of: Client) -> None:
        [channel] = channels(1)
        page = opened(page_of, channel)
        Channel.objects.update(credentials=OTHER)
        put_in_front(settings)
        rotate()
        typed = '{"installed": {"client_id": "a", "client_secret": "b", "token_uri": "https://x"}}'
        answer = post(page_of, channel, page, credentials=typed)
        assert "Somebody else changed this" in answer.content.decode()
        assert Channel.objects.get().credentials.reveal() == OTHER


class TestWhatCannotBeRotated:
    def test_a_row_whose_key_is_lost(self, settings: Settings) -> None:
        channels(1)
        settings.FERNET_KEYS = [LOST]
        lost = examples.channel(youtube_channel_id="UC" + "y" * 22)
        put_in_front(settings)
        code, out, why = refused()
        assert code == 3
        assert "Rotated: 1 secret.\n" in out
        assert f'opens 1 secret:\n  channels "UC{"y" * 22}" credentials\n' in out
        assert why.startswith("No key of FERNET_KEYS opens 1 secret, named on standard output")
        settings.FERNET_KEYS = [LOST]
        assert Channel.objects.get(pk=lost.pk).credentials == lost.credentials

    @pytest.mark.parametrize("content", [b"", b"no token", b"\xff\x00\xfe", "cut"])
    def test_a_damaged_token_is_passed_over(self, settings: Settings, content: Any) -> None:
        [channel] = channels(1)
        if content == "cut":
            content = channel.credentials.ciphertext[:-7]
        overwrite(channel, "credentials", content)
        SystemConfiguration.objects.filter(key=TOKEN).update(encrypted=True, secret="a token")
        put_in_front(settings)
        code, out, _ = refused()
        assert code == 3
        assert f'  channels "{channel.pk}" credentials\n' in out
        assert Channel.objects.get().credentials.ciphertext == content
        assert f"Nothing in the database needs key {fingerprint(OLD)}" in out

    def test_a_dry_run_says_so_too(self, settings: Settings) -> None:
        channels(1)
        settings.FERNET_KEYS = [NEW]
        assert refused("--dry-run")[0] == 3

    def test_keys_of_rows_that_sqlite_cannot_read(self, settings: Settings) -> None:
        if connection.vendor != "sqlite":
            return
        channels(3)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET id = CAST(x'ff' AS TEXT) WHERE name LIKE '%0'")
            cursor.execute("UPDATE channels SET id = x'00ff' WHERE name LIKE '%1'")
        put_in_front(settings)
        said = rotate("--dry-run")
        assert 'channels "rowid 1" credentials\n  channels "rowid 2" credentials\n' in said
        assert rotate().startswith("Rotated: 3 secrets.\n")

    def test_rubbish_as_text_in_sqlite(self, settings: Settings) -> None:
        if connection.vendor != "sqlite":
            return
        channels(1)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET credentials = CAST(x'ff00' AS TEXT)")
        put_in_front(settings)
        assert refused()[0] == 3


def test_a_token_as_text_is_rotated_and_kept_as_django_keeps_it(settings: Settings) -> None:
    """SQLite keeps what a tool other than Django wrote as text; it reads like any other."""
    [channel] = channels(1)
    overwrite(channel, "credentials", channel.credentials.ciphertext.decode())
    put_in_front(settings)
    assert rotate().startswith("Rotated: 1 secret.\n")
    settings.FERNET_KEYS = [NEW]
    assert Channel.objects.get().credentials.reveal() == PLAIN
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT typeof(credentials) FROM channels")
            assert cursor.fetchone() == ("blob",)


def test_a_new_key_stands_alone_on_stdout(
    django_assert_num_queries: DjangoAssertNumQueries, capsys: pytest.CaptureFixture[str]
) -> None:
    with django_assert_num_queries(0):
        call_command("rotate_keys", "--generate")
        call_command("rotate_keys", "--generate")
    said = capsys.readouterr()
    one, other = said.out.splitlines()
    assert one != other
    assert min(len(one), len(other)) >= 43
    assert "in front of FERNET_KEYS" in said.err
    assert one not in said.err


def test_a_dry_run_makes_no_key() -> None:
    assert refused("--generate", "--dry-run")[:2] == (1, "")


def test_a_terminal_shows_how_far_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    monkeypatch.setattr(progress, "SHOWN_EVERY", 0)
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", shown)
    channels(4)
    put_in_front(settings)
    rotate()
    steps = [step.strip() for step in shown.getvalue().split("\r")]
    assert "Secrets 2 of 8" in steps
    assert steps[-3:] == ["Secrets 8 of 8", "", ""]
