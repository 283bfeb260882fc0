"""JSON columns: what is read, what is refused, and that both databases give it back."""

import json
import os
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db import strict_json
from ytops.db.secrets import MASK
from ytops.tests import examples

PROVE = os.environ.get("YTOPS_PROVE") == "1"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(
    lambda text: text != MASK
)
NUMBER = (
    st.integers(-(10**100) + 1, 10**100 - 1)
    | st.integers()
    | st.floats(-1e16, 1e16, exclude_min=True, exclude_max=True)
)
STORABLE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
# Anything that Python's json writes, whether a database takes it or not.
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FRAGMENTS = st.lists(
    st.sampled_from([*'{}[],:-"', '"a"', "1", "01", "0.5", "1e400", "NaN", "null", '"\\u0000"'])
).map("".join)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def types_in(value: Any) -> str:
    """With the sign of zero left out, which jsonb does not keep."""
    return json.dumps(value, sort_keys=True).replace("-0.0", "0.0")


class TestParse:
    @settings(max_examples=300 if PROVE else 75, deadline=None)
    @given(ANY.map(json.dumps) | STORABLE.map(json.dumps) | FRAGMENTS)
    def test_takes_nothing_but_what_json_takes_and_reads_it_alike(self, text: str) -> None:
        try:
            value = strict_json.parse(text)
        except ValueError:
            return
        assert value == json.loads(text)  # which a NaN would not be

    @settings(max_examples=100 if PROVE else 25, deadline=None)
    @given(STORABLE)
    def test_takes_everything_storable(self, value: Any) -> None:
        assert strict_json.parse(json.dumps(value)) == value

    @settings(max_examples=100 if PROVE else 25, deadline=None)
    @given(STORABLE)
    def test_reads_what_is_shown(self, value: Any) -> None:
        assert strict_json.parse(strict_json.pretty(value)) == value

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "not valid JSON at line 1, column 1"),
            ('{"a": 1,\n "b" 2}', "not valid JSON at line 2, column 6"),
            ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
            ('{"b": [{"a": 1, "a": 1}]}', "the key 'a' stands twice"),
            ("[NaN]", "NaN is not JSON"),
            ('{"a": "NaN",\n"b": NaN}', r"NaN is not JSON \(line 2\)"),
            ("-Infinity", "-Infinity is not JSON"),
            ("1e400", "a number is too large"),
            ("1" * 101, "more than 100 digits"),
            ("1" * 10_000, "more than 100 digits"),
            ("[" * 100_000, "nested deeper"),
            ("{} {}", "not valid JSON at line 1, column 4"),
            ("\ufeff{}", "not valid JSON at line 1, column 1"),
        ],
    )
    def test_says_what_is_wrong_and_where(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            strict_json.parse(text)

    @pytest.mark.parametrize("text", ['{"a": "hunter2" "b"}', '["hunter2', '{"a": hunter2}'])
    def test_never_quotes_a_value(self, text: str) -> None:
        with pytest.raises(ValueError, match="not valid JSON") as raised:
            strict_json.parse(text)
        assert "hunter" not in str(raised.value)


class TestStorable:
    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("a\x00b", "unstorable"),
            ("\ud83d", "unstorable"),
            ({"a": [{"b": "\x00"}]}, "unstorable"),
            ({"\x00": 1}, "unstorable"),
            (("\x00",), "unstorable"),
            (float("nan"), "not_finite"),
            ([float("-inf")], "not_finite"),
            (1e16, "too_large"),
            (10**100, "too_large"),
            ([-(10**5000)], "too_large"),
            ({1: "a"}, "not_a_text"),
            (nested(101), "too_deep"),
        ],
    )
    def test_refuses(self, value: Any, code: str) -> None:
        with pytest.raises(ValidationError) as raised:
            strict_json.validate_storable(value)
        assert raised.value.code == code

    @pytest.mark.parametrize(
        "value", [nested(100), 10**100 - 1, 9999999999999998.0, 5e-324, -0.0, "😀", None, {}]
    )
    def test_takes_what_is_just_within_the_bounds(self, value: Any) -> None:
        strict_json.validate_storable(value)

    @pytest.mark.django_db
    @settings(max_examples=120 if PROVE else 30, deadline=None)
    @given(STORABLE | ANY)
    def test_what_passes_is_saved_and_comes_back_equal(self, value: Any) -> None:
        assume(value is not None)
        try:
            strict_json.validate_storable(value)
        except ValidationError:
            with pytest.raises(ValidationError), transaction.atomic():
                SystemConfiguration.objects.create(key="a.b", value=value)
            return
        SystemConfiguration.objects.update_or_create(key="a.b", defaults={"value": value})
        stored = SystemConfiguration.objects.get(key="a.b").value
        assert stored == value
        assert types_in(stored) == types_in(value)

    @pytest.mark.django_db
    def test_what_cannot_be_stored_is_refused_however_it_is_written(self) -> None:
        channel = examples.channel()
        channel.metadata = {"title": "a\x00b"}
        for write in (
            channel.save,
            lambda: Channel.objects.update(metadata=channel.metadata),
            lambda: Channel.objects.bulk_update([channel], ["metadata"]),
            lambda: Channel.objects.bulk_create([Channel(name="b", metadata=channel.metadata)]),
        ):
            message = r"Character 2 is U\+0000"
            with pytest.raises(ValidationError, match=message), transaction.atomic():
                write()
        assert Channel.objects.get().metadata == {}


class TestShown:
    def test_what_no_page_can_show_stays_escaped(self) -> None:
        assert strict_json.pretty({"a": "\ud800"}) == '{\n  "a": "\\ud800"\n}'

    def test_other_scripts_stay_readable(self) -> None:
        assert strict_json.pretty("Küche 料理") == '"Küche 料理"'
