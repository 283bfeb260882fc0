import datetime
from collections.abc import Iterator
from typing import Any, assert_type

import pytest
from django.core.exceptions import ValidationError

from channels_app.models import Channel
from jobs_app.conf import GITHUB_TOKEN, MAX_CONCURRENT, PAUSED
from settings_app import registry
from settings_app.registry import Setting
from videos_app.conf import DESCRIPTION_FOOTER, POSTS_PER_DAY, PRIVACY
from ytops.db.secrets import Secret

UNBOUNDED = {"min": None, "max": None}


@pytest.fixture(autouse=True)
def same_settings_after() -> Iterator[None]:
    before = dict(registry._registered)
    yield
    assert registry._registered == before


@pytest.mark.django_db
def test_mypy_knows_the_type_of_a_value() -> None:
    channel = Channel(name="Cooking")
    assert_type(POSTS_PER_DAY.get(), int)
    assert_type(POSTS_PER_DAY.get(channel), int)
    assert_type(PAUSED.get(), bool)
    assert_type(PRIVACY.get(channel), str)
    assert_type(GITHUB_TOKEN.get(), Secret | None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "posts"}, "lower-case words joined by dots"),
        ({"key": "publish.posts-per-day"}, "lower-case words joined by dots"),
        ({"key": "publish.posts_per_day"}, "YTOPS_PUBLISH_POSTS_PER_DAY is taken"),
        ({"key": "publish.posts.per_day"}, "YTOPS_PUBLISH_POSTS_PER_DAY is taken"),
        ({"key": "config.file"}, "YTOPS_CONFIG_FILE is taken"),
        ({"value_type": float}, "must be one of bool, int, str, secret"),
        ({"default": 51}, "its default must be a whole number from 0 to 50"),
        ({"default": None}, "its default must be"),
        ({"default": True}, "its default must be"),
        ({"value_type": Secret, "default": None}, "only a number or a free text has bounds"),
        ({"value_type": bool, "default": True}, "only a number or a free text has bounds"),
        ({"choices": (1, 99), "default": 1}, "only a number or a free text has bounds"),
        ({"value_type": Secret, "default": "x", **UNBOUNDED}, "a secret has no default"),
        (
            {"value_type": Secret, "default": None, "per_channel": True, **UNBOUNDED},
            "never per channel",
        ),
    ],
    ids=str,
)
def test_a_wrong_declaration_is_refused(wrong: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"key": "example.number", "value_type": int, "default": 2}
    with pytest.raises(ValueError, match=said):
        Setting(**{**given, "min": 0, "max": 50, "help": "", **wrong})


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (POSTS_PER_DAY, "0", 0),
        (POSTS_PER_DAY, " +7 ", 7),
        *[(PAUSED, text, True) for text in ("1", "true", "YES", "on ")],
        *[(PAUSED, text, False) for text in ("0", "false", "no", "Off")],
        (DESCRIPTION_FOOTER, " kept as it is\n", " kept as it is\n"),
    ],
    ids=str,
)
def test_text_is_read_as_its_type(setting: Setting[Any], text: str, value: Any) -> None:
    read = setting.parse(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["", "2.0", "1e3", "0x10", "１", "1_000", "51", "-1", "9" * 101, "true", "null"]
)
def test_text_that_is_no_whole_number_in_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="expected a whole number from 0 to 50, not"):
        POSTS_PER_DAY.parse(text)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (POSTS_PER_DAY, True, "not true"),
        (POSTS_PER_DAY, 2.0, "not 2.0"),
        (POSTS_PER_DAY, "2", 'not "2"'),
        (POSTS_PER_DAY, None, "null is no value"),
        (POSTS_PER_DAY, [2], r"not \[2\]"),
        (POSTS_PER_DAY, datetime.date(2026, 1, 1), "not 2026-01-01"),
        (PAUSED, 1, "expected true or false, not 1"),
        (PRIVACY, "Public", "one of private, unlisted, public"),
        (DESCRIPTION_FOOTER, "x" * 1001, "a text of at most 1000 characters, not .{80}…"),
        (DESCRIPTION_FOOTER, "\ud800", "not .*d800"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_value_of_another_shape_is_refused(setting: Setting[Any], value: Any, said: str) -> None:
    assert not setting.accepts(value)
    with pytest.raises(ValidationError, match=said) as refused:
        setting.clean(value)
    assert "\ud800" not in str(refused.value)


def test_a_secret_is_never_quoted_and_comes_back_encrypted() -> None:
    cleaned = GITHUB_TOKEN.clean("plain-text")
    assert isinstance(cleaned, Secret)
    assert cleaned.reveal() == "plain-text"
    for wrong in ("", "plain\x00text", 5, ["plain-text"]):
        with pytest.raises(ValidationError) as refused:
            GITHUB_TOKEN.clean(wrong)
        assert "plain" not in str(refused.value)


def test_a_channel_for_what_is_not_per_channel_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match=r"jobs\.max_concurrent is not per channel"):
        MAX_CONCURRENT.get(Channel(name="Cooking"))


def test_the_nearest_key_is_named() -> None:
    with pytest.raises(ValidationError, match=r'Did you mean "publish\.posts_per_day"'):
        registry.find("publish.post_per_day")
