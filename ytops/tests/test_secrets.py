"""Secrets in the database: what is written, what comes back, which key does it."""

from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured, ValidationError
from django.db import connection
from django.test import override_settings
from hypothesis import given, settings

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db.secrets import CannotDecrypt, JSONSecret, Secret, fingerprint
from ytops.tests import examples
from ytops.tests.test_strict_json import STORABLE, TEXT

pytestmark = pytest.mark.django_db

NEWEST, OLDER = "newest-key-for-tests-only-0123456789", "older-key-for-tests-only-0123456789"
PLAIN = {"client_secret": "kept to ourselves"}
OTHER = {"client_secret": "another one"}


def raw_columns(table: str = "channels", column: str = "credentials") -> list[bytes | None]:
    """What stands in the database, past every field."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} ORDER BY id")
        return [None if value is None else bytes(value) for (value,) in cursor.fetchall()]


def assert_encrypted(*plaintexts: str) -> None:
    for stored in raw_columns():
        assert stored is not None
        assert stored.startswith(b"gAAAA")
        assert not any(plain.encode() in stored for plain in plaintexts)


def lose_the_keys() -> Any:
    return override_settings(FERNET_KEYS=["a-key-that-opens-nothing-here-0123456789"])


class TestWriting:
    def test_save(self) -> None:
        channel = Channel(name="Cooking")
        channel.credentials = PLAIN
        channel.save()
        assert Channel.objects.get().credentials.reveal() == PLAIN
        assert_encrypted("kept to ourselves")

    def test_the_instance_holds_no_plaintext_even_before_it_is_saved(self) -> None:
        channel = Channel(name="Cooking", credentials=PLAIN)
        assert "kept" not in repr(vars(channel))
        assert channel.credentials.reveal() == PLAIN

    def test_save_of_other_fields_leaves_the_ciphertext(self) -> None:
        channel = examples.channel()
        before = raw_columns()
        channel.save_fields(name="Baking")
        assert raw_columns() == before

    def test_save_of_a_row_as_read_leaves_the_ciphertext(self) -> None:
        examples.channel()
        before = raw_columns()
        Channel.objects.get().save()
        assert raw_columns() == before

    def test_bulk_create(self) -> None:
        Channel.objects.bulk_create(Channel(name=name, credentials=PLAIN) for name in "ab")
        assert [channel.credentials.reveal() for channel in Channel.objects.all()] == [PLAIN] * 2
        assert_encrypted("kept to ourselves")

    def test_bulk_create_that_updates_on_conflict(self) -> None:
        channel = examples.channel()
        again = Channel(pk=channel.pk, name="Baking", credentials=PLAIN)
        Channel.objects.bulk_create(
            [again], update_conflicts=True, unique_fields=["id"], update_fields=["credentials"]
        )
        assert Channel.objects.get().credentials.reveal() == PLAIN
        assert_encrypted("kept to ourselves")

    def test_bulk_update(self) -> None:
        channels = [examples.channel(name=name) for name in "abc"]
        channels[0].credentials = PLAIN
        channels[1].credentials = None
        Channel.objects.bulk_update(channels, ["credentials", "name"])
        revealed = [c.credentials and c.credentials.reveal() for c in Channel.objects.all()]
        assert revealed == [PLAIN, None, examples.CREDENTIALS]

    def test_update_with_an_object(self) -> None:
        examples.channel()
        Channel.objects.update(credentials=OTHER)
        assert Channel.objects.get().credentials.reveal() == OTHER
        assert_encrypted("another one")

    def test_update_with_a_text(self) -> None:
        row = SystemConfiguration.objects.create(key="a.b", encrypted=True, secret="first")
        SystemConfiguration.objects.filter(pk=row.pk).update(secret="second")
        row.refresh_from_db()
        assert row.secret.reveal() == "second"

    def test_update_with_another_rows_secret_copies_its_ciphertext(self) -> None:
        one = examples.channel()
        two = examples.channel(name="Baking", credentials=None)
        Channel.objects.filter(pk=two.pk).update(credentials=one.credentials)
        assert len(set(raw_columns())) == 1

    def test_update_or_create_does_both(self) -> None:
        for value in (PLAIN, OTHER):
            Channel.objects.update_or_create(name="Cooking", defaults={"credentials": value})
            assert Channel.objects.get().credentials.reveal() == value
        assert_encrypted("kept to ourselves", "another one")

    def test_none_is_null(self) -> None:
        examples.channel(credentials=None)
        assert raw_columns() == [None]
        assert Channel.objects.get().credentials is None
        assert Channel.objects.filter(credentials__isnull=True).exists()

    def test_removing(self) -> None:
        examples.channel()
        Channel.objects.update(credentials=None)
        assert raw_columns() == [None]

    def test_the_empty_text_is_a_value(self) -> None:
        SystemConfiguration.objects.create(key="a.b", encrypted=True, secret="")
        assert SystemConfiguration.objects.get(key="a.b").secret.reveal() == ""

    @pytest.mark.parametrize("value", [5, b"bytes", {"a": 1}, ["a"]])
    def test_a_secret_text_must_be_a_text(self, value: Any) -> None:
        with pytest.raises(ValidationError, match="must be a str"):
            SystemConfiguration(key="example.token", secret=value)

    def test_the_mask_is_refused_so_that_no_round_trip_stores_it(self) -> None:
        channel = examples.channel()
        with pytest.raises(ValidationError, match="the mask of a secret"):
            channel.credentials = str(channel.credentials)
        with pytest.raises(ValidationError, match="the mask of a secret"):
            JSONSecret.encrypt(channel.credentials)

    @pytest.mark.parametrize(
        "value", [{"a": float("nan")}, {1: "a", "1": "b"}, {"a": 10**100}, "\ud800"]
    )
    def test_what_could_not_be_read_back_is_refused(self, value: Any) -> None:
        with pytest.raises(ValidationError):
            examples.channel(credentials=value)

    @pytest.mark.parametrize("lookup", ["exact", "in", "contains", "gt", "startswith", "regex"])
    def test_no_lookup_but_isnull(self, lookup: str) -> None:
        value = ["a"] if lookup == "in" else "a"
        with pytest.raises(FieldError, match="does not support lookups"):
            list(Channel.objects.filter(**{f"credentials__{lookup}": value}))


class TestTaggedCiphertext:
    def test_is_taken_as_it_is(self) -> None:
        tagged = JSONSecret.encrypt(PLAIN).tagged()
        channel = Channel.objects.create(name="Cooking", credentials=tagged)
        assert raw_columns() == [tagged.removeprefix("fernet:").encode()]
        assert channel.credentials.reveal() == PLAIN

    @pytest.mark.parametrize("text", ["fernet:", "fernet:no", "fernet:gAAAAA", "fernet:{}"])
    def test_is_refused_when_it_is_no_ciphertext(self, text: str) -> None:
        with pytest.raises(ValidationError, match="not the ciphertext that dumpdata writes"):
            Channel(name="Cooking", credentials=text)

    def test_is_refused_with_a_line_end_behind_it(self) -> None:
        with pytest.raises(ValueError, match="not the ciphertext"):
            Secret.of(Secret.encrypt("a").tagged() + "\n")


class TestARowWhoseKeyIsGone:
    @pytest.fixture(autouse=True)
    def _row(self) -> Any:
        examples.channel()
        with lose_the_keys():
            yield

    def test_is_listed(self) -> None:
        assert [str(channel.credentials) for channel in Channel.objects.all()] == ["********"]

    def test_is_in_values(self) -> None:
        row = Channel.objects.values("credentials").get()
        assert repr(row["credentials"]) == "<JSONSecret ********>"
        assert Channel.objects.values_list("credentials", flat=True).get().ciphertext

    def test_is_deferred_and_fetched(self) -> None:
        for channel in (
            Channel.objects.defer("credentials").get(),
            Channel.objects.only("name").get(),
        ):
            assert channel.get_deferred_fields() >= {"credentials"}
            assert channel.credentials.ciphertext

    def test_is_refreshed(self) -> None:
        channel = Channel.objects.get()
        channel.refresh_from_db()
        assert channel.credentials.ciphertext

    def test_says_so_when_it_is_asked_for(self) -> None:
        with pytest.raises(CannotDecrypt, match="its key is not in FERNET_KEYS"):
            Channel.objects.get().credentials.reveal()
        with pytest.raises(CannotDecrypt):
            Channel.objects.get().credentials.key_fingerprint()

    def test_is_saved_without_a_change_to_it(self) -> None:
        before = raw_columns()
        channel = Channel.objects.get()
        channel.name = "Baking"
        channel.full_clean()
        channel.save()
        assert raw_columns() == before

    def test_is_deleted(self) -> None:
        Channel.objects.get().delete()
        assert not Channel.objects.exists()


@pytest.mark.parametrize("stored", [b"no ciphertext at all", b"\xff\x00\xfe", b""])
def test_rubbish_in_the_column_breaks_no_list(stored: bytes) -> None:
    examples.channel()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET credentials = %s", [stored])
    with pytest.raises(CannotDecrypt):
        Channel.objects.get().credentials.reveal()


def test_text_in_the_column_breaks_no_list() -> None:
    """SQLite keeps what a tool other than Django wrote as text."""
    examples.channel(credentials=PLAIN)
    token = Channel.objects.get().credentials.ciphertext.decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET credentials = %s", [token])
    assert Channel.objects.get().credentials.reveal() == PLAIN


class TestKeys:
    def test_an_older_key_still_opens(self) -> None:
        with override_settings(FERNET_KEYS=[OLDER]):
            examples.channel(credentials=PLAIN)
        assert Channel.objects.get().credentials.reveal() == PLAIN
        assert Channel.objects.get().credentials.key_fingerprint() == fingerprint(OLDER)

    def test_the_newest_writes(self) -> None:
        secret = examples.channel(credentials=PLAIN).credentials
        assert secret.key_fingerprint() == fingerprint(NEWEST)
        with override_settings(FERNET_KEYS=[NEWEST]):
            assert secret.reveal() == PLAIN

    def test_a_change_of_settings_takes_effect_at_once(self) -> None:
        secret = examples.channel(credentials=PLAIN).credentials
        assert secret.reveal() == PLAIN
        with lose_the_keys(), pytest.raises(CannotDecrypt):
            secret.reveal()
        assert secret.reveal() == PLAIN

    @pytest.mark.parametrize("keys", [None, [], ()])
    def test_without_keys_nothing_is_written_or_read(self, keys: Any) -> None:
        secret = examples.channel().credentials
        with override_settings(FERNET_KEYS=keys):
            with pytest.raises(ImproperlyConfigured, match="FERNET_KEYS is not set"):
                examples.channel(name="Baking")
            with pytest.raises(ImproperlyConfigured):
                secret.reveal()

    def test_a_fingerprint_is_short_and_not_part_of_the_key(self) -> None:
        assert len(fingerprint(NEWEST)) == 8
        assert fingerprint(NEWEST) != fingerprint(OLDER)


class TestAnyValue:
    @settings(max_examples=60, deadline=None)
    @given(TEXT | TEXT.map(lambda text: f"fernet:{text}"))
    def test_a_text_comes_back(self, text: str) -> None:
        row = SystemConfiguration.objects.create(
            key="example.token", encrypted=True, secret=Secret.encrypt(text)
        )
        row.refresh_from_db()
        assert row.secret.reveal() == text
        row.delete()

    def test_a_very_long_text_comes_back(self) -> None:
        text = "🗝️ long " * 100_000
        row = SystemConfiguration.objects.create(key="a.b", encrypted=True, secret=text)
        row.refresh_from_db()
        assert row.secret.reveal() == text

    @settings(max_examples=60, deadline=None)
    @given(STORABLE)
    def test_a_json_value_comes_back(self, value: Any) -> None:
        channel = Channel.objects.create(name="Cooking", credentials=JSONSecret.encrypt(value))
        channel.refresh_from_db()
        assert channel.credentials.reveal() == value


class TestDamaged:
    def test_a_handle_is_not_made_of_plaintext(self) -> None:
        with pytest.raises(ValueError, match="takes ciphertext"):
            Secret(b"plain")

    def test_a_handle_inside_json_is_refused(self) -> None:
        kept = examples.channel().credentials
        for values in ({"metadata": {"copy": kept}}, {"credentials": {"copy": kept}}):
            with pytest.raises(ValidationError, match="mask"):
                examples.channel(**values)

    def test_what_is_no_ciphertext_is_dumped_unread_and_comes_back(self) -> None:
        row = examples.channel()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET credentials = %s", [b"plain-\xff-garbage"])
        dumped = serializers.serialize("json", Channel.objects.all())
        assert "garbage" not in dumped
        row.delete()
        for restored in serializers.deserialize("json", dumped):
            restored.save()
        assert Channel.objects.get().credentials.ciphertext == b"plain-\xff-garbage"
