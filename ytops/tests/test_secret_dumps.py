"""dumpdata writes ciphertext, and loaddata takes it back as it is."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.core.serializers.base import DeserializationError
from hypothesis import given, settings

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from videos_app.models import Video
from ytops.db.secrets import Secret
from ytops.tests import examples
from ytops.tests.test_secrets import lose_the_keys, raw_columns
from ytops.tests.test_strict_json import TEXT

pytestmark = pytest.mark.django_db

FORMATS = ["json", "jsonl", "xml"]
APPS = ["settings_app", "channels_app", "videos_app", "jobs_app", "stats_app"]


def dump(file_format: str, *options: str) -> str:
    out = io.StringIO()
    call_command("dumpdata", *APPS, *options, format=file_format, stdout=out)
    return out.getvalue()


def load(text: str, file_format: str, folder: Path) -> None:
    file = folder / f"dump.{file_format}"
    file.write_text(text, encoding="utf-8")
    call_command("loaddata", str(file), verbosity=0)


def models() -> list[Any]:
    return [model for app in APPS for model in apps.get_app_config(app).get_models()]


def empty_the_tables() -> None:
    for model in models():
        model.objects.all().delete()


@pytest.fixture
def rows() -> dict[Any, Any]:
    SystemConfiguration.objects.create(key="example.token", encrypted=True, secret="plaintext-too")
    return {**examples.one_of_each()}


@pytest.mark.parametrize("options", [(), ("--natural-foreign",)], ids=["keys", "natural"])
@pytest.mark.parametrize("file_format", FORMATS)
class TestRoundTrip:
    def test_gives_the_same_rows_and_secrets(
        self, rows: Any, file_format: str, options: tuple[str, ...], tmp_path: Path
    ) -> None:
        text = dump(file_format, *options)
        empty_the_tables()
        load(text, file_format, tmp_path)
        assert dump(file_format, *options) == text
        assert Channel.objects.get().credentials.reveal() == examples.CREDENTIALS
        stored = SystemConfiguration.objects.get(key="example.token")
        assert stored.secret.reveal() == "plaintext-too"

    def test_holds_no_plaintext(
        self, rows: Any, file_format: str, options: tuple[str, ...]
    ) -> None:
        text = dump(file_format, *options)
        assert "fernet:gAAAA" in text
        assert not [plain for plain in (*examples.PLAINTEXTS, "plaintext-too") if plain in text]


def test_natural_primary_keys_find_the_row_that_is_there(rows: Any, tmp_path: Path) -> None:
    text = dump("json", "--natural-foreign", "--natural-primary")
    channel = rows[Channel]
    Channel.objects.update(name="Baking", credentials=None)
    load(text, "json", tmp_path)
    channel.refresh_from_db()
    assert channel.name == "Cooking 0"
    assert channel.credentials.reveal() == examples.CREDENTIALS
    assert Video.objects.get().channel == channel


def test_null_stays_null(tmp_path: Path) -> None:
    examples.channel(credentials=None)
    text = dump("json")
    load(text, "json", tmp_path)
    assert raw_columns() == [None]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_row_whose_key_is_gone_goes_through_a_dump(file_format: str, tmp_path: Path) -> None:
    examples.channel()
    with lose_the_keys():
        before, text = raw_columns(), dump(file_format)
        Channel.objects.all().delete()
        load(text, file_format, tmp_path)
        assert raw_columns() == before
    assert Channel.objects.get().credentials.reveal() == examples.CREDENTIALS


def test_a_fixture_written_by_hand_may_give_plaintext(tmp_path: Path) -> None:
    row = {"model": "channels_app.channel", "fields": {"name": "a", "credentials": {"a": 1}}}
    load(json.dumps([row]), "json", tmp_path)
    assert Channel.objects.get().credentials.reveal() == {"a": 1}
    assert (raw_columns()[0] or b"").startswith(b"gAAAA")


def test_damaged_ciphertext_is_refused(tmp_path: Path) -> None:
    examples.channel()
    rows = json.loads(dump("json"))
    channel = next(row for row in rows if row["model"] == "channels_app.channel")
    channel["fields"]["credentials"] = channel["fields"]["credentials"][:30]
    with pytest.raises(DeserializationError, match="not the ciphertext that dumpdata writes"):
        load(json.dumps(rows), "json", tmp_path)


@settings(max_examples=30, deadline=None)
@given(TEXT.filter(lambda text: len(text) >= 4))
@pytest.mark.parametrize("file_format", FORMATS)
def test_all_that_a_dump_has_of_a_secret_is_its_ciphertext(file_format: str, plain: str) -> None:
    row = SystemConfiguration(key="a.b", encrypted=True)
    texts = []
    for row.secret in (Secret.encrypt(plain), Secret.encrypt("another")):
        text = serializers.serialize(file_format, [row])
        assert row.secret.tagged() in text
        texts.append(text.replace(row.secret.tagged(), ""))
    assert texts[0] == texts[1]
