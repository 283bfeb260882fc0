"""Which layer wins, for the system and for a channel."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel
from settings_app import snapshot
from settings_app.layers import explain_all
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from videos_app.conf import POSTS_PER_DAY

pytestmark = pytest.mark.django_db

SOURCES = ("environment", "channel", "database", "file")
KEY = "example.number"
Declare = Callable[..., Setting[int]]


@pytest.mark.parametrize("given", list(product((True, False), repeat=4)), ids=str)
def test_the_highest_layer_that_is_set_wins(
    given: tuple[bool, ...], declare: Declare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    is_set = dict(zip(SOURCES, given, strict=True))
    file = tmp_path / "ytops.toml"
    file.write_text("[example]\nnumber = 4" if is_set["file"] else "")
    monkeypatch.setenv("YTOPS_CONFIG_FILE", str(file))
    if is_set["environment"]:
        monkeypatch.setenv("YTOPS_EXAMPLE_NUMBER", "1")
    setting = declare(KEY, int, default=5, per_channel=True)
    SystemConfiguration.objects.create(key=KEY, value=3 if is_set["database"] else None)
    channel = Channel(name="Cooking", settings={KEY: 2} if is_set["channel"] else {})

    [system], [own] = explain_all([setting]), explain_all([setting], channel)
    assert [layer.source for layer in own.layers if layer.is_set] == [
        *(source for source in SOURCES if is_set[source]),
        "default",
    ]
    winner = own.layers[[layer.is_set for layer in own.layers].index(True)]
    assert own.source == winner.source
    assert own.value == setting.get(channel) == [*SOURCES, "default"].index(own.source) + 1
    assert system.value == setting.get()
    assert system.source != "channel"
    if not is_set["channel"]:
        assert setting.get(channel) == setting.get()
    assert setting.pinned == is_set["environment"]


@pytest.mark.parametrize(("kind", "empty"), [(int, 0), (bool, False), (str, "")])
def test_empty_zero_and_false_win_over_what_lies_below(
    kind: type, empty: Any, declare: Callable[..., Setting[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {int: 7, bool: True, str: "text"}[kind]
    setting = declare("example.one", kind, default=some, per_channel=True)
    channel = Channel(name="Cooking", settings={setting.key: empty})
    assert setting.get(channel) == empty
    SystemConfiguration.objects.create(key=setting.key, value=empty)
    assert setting.get() == empty
    SystemConfiguration.objects.filter(key=setting.key).update(value=some)
    text = {int: "0", bool: "false", str: ""}[kind]
    monkeypatch.setenv("YTOPS_EXAMPLE_TWO", text)
    assert declare("example.two", kind, default=some).get() == empty


class TestAChannel:
    def test_that_is_not_saved_has_its_overrides(self) -> None:
        assert POSTS_PER_DAY.get(Channel(name="Cooking", settings={POSTS_PER_DAY.key: 7})) == 7
        assert POSTS_PER_DAY.get(Channel(name="Baking")) == 2

    def test_whose_settings_are_deferred_asks_for_them_once(self) -> None:
        Channel.objects.create(name="Cooking", settings={POSTS_PER_DAY.key: 7})
        deferred = Channel.objects.defer("settings").get()
        POSTS_PER_DAY.get()
        with CaptureQueriesContext(connection) as queries:
            assert [POSTS_PER_DAY.get(deferred) for _ in range(5)] == [7] * 5
        assert len(queries) == 1

    def test_among_many_of_one_query_asks_nothing(self) -> None:
        Channel.objects.bulk_create(
            Channel(name=f"Channel {number}", settings={POSTS_PER_DAY.key: number})
            for number in range(30)
        )
        channels = list(Channel.objects.order_by("name"))
        snapshot.expire()
        with CaptureQueriesContext(connection) as queries:
            assert sorted(map(POSTS_PER_DAY.get, channels)) == list(range(30))
            assert POSTS_PER_DAY.get() == 2
        assert len(queries) == 1  # the renewal

    @pytest.mark.parametrize("wrong", [None, "7", 51, True, 7.0, [7]])
    def test_with_a_wrong_override_inherits_and_says_so_once(
        self, wrong: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = Channel(name="Cooking", settings={POSTS_PER_DAY.key: wrong})
        assert [POSTS_PER_DAY.get(channel) for _ in range(3)] == [2] * 3
        [line] = caplog.messages
        assert line.startswith(
            f'Passed over: channel "Cooking" ({channel.pk}), {POSTS_PER_DAY.key}: '
        )
