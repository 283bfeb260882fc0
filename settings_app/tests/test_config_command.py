import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel
from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.tests.command import KEY, answer, config, refusal, system_row
from videos_app.conf import DESCRIPTION_FOOTER, POSTS_PER_DAY

pytestmark = pytest.mark.django_db

SOURCES = ["environment", "channel", "database", "file", "default"]


class TestGet:
    def test_prints_the_bare_value(self) -> None:
        assert config("get", KEY) == "2"
        assert config("get", "jobs.paused") == "false"
        assert config("get", "publish.privacy") == "private"
        assert config("get", DESCRIPTION_FOOTER.key) == ""
        assert answer("get", "publish.privacy") == "private"

    def test_a_channel_has_its_own(self) -> None:
        made = Channel.objects.create(name="Cooking", settings={KEY: 0})
        assert config("get", KEY, "--channel", "Cooking") == "0"
        assert config("get", KEY, "--channel", str(made.pk)) == "0"
        assert config("get", "jobs.max_concurrent", "--channel", "Cooking") == "4"

    def test_an_unknown_key_names_the_nearest(self) -> None:
        assert 'Did you mean "publish.posts_per_day"?' in refusal("get", "publish.post_per_day")

    def test_an_unknown_channel_names_the_nearest(self) -> None:
        Channel.objects.create(name="Cooking")
        assert '"Cooking"' in refusal("get", KEY, "--channel", "Coking")

    def test_a_name_that_two_bear_is_refused(self) -> None:
        both = [Channel.objects.create(name="Twice") for _ in range(2)]
        said = refusal("get", KEY, "--channel", "Twice")
        assert all(str(channel.pk) in said for channel in both)


class TestSet:
    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            (KEY, "3", 3),
            (KEY, "0", 0),
            ("jobs.paused", "on", True),
            ("jobs.paused", "False", False),
            ("publish.privacy", "public", "public"),
            (DESCRIPTION_FOOTER.key, "", ""),
            (DESCRIPTION_FOOTER.key, "0", "0"),
        ],
    )
    def test_a_value_of_its_type(self, key: str, text: str, value: Any) -> None:
        config("set", key, text)
        stored = system_row(key).value
        assert (stored, type(stored)) == (value, type(value))
        why = answer("explain", key)
        assert (why["value"], why["source"]) == (value, "database")

    @pytest.mark.parametrize(
        ("key", "text", "said"),
        [
            (
                KEY,
                "many",
                'publish.posts_per_day: expected a whole number from 0 to 50, not "many"',
            ),
            (KEY, "51", "from 0 to 50, not 51"),
            (KEY, "", "from 0 to 50"),
            (KEY, "2.0", "a whole number"),
            (KEY, "null", "a whole number"),
            (KEY, "1" * 5000, "a whole number"),
            ("jobs.paused", "maybe", "true or false"),
            ("publish.privacy", "Public", "one of private, unlisted, public"),
            (DESCRIPTION_FOOTER.key, "x" * 1001, "at most 1000 characters"),
            (DESCRIPTION_FOOTER.key, "a\x00", "\\u0000"),
            ("publish.post_per_day", "3", 'Did you mean "publish.posts_per_day"?'),
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_refused_and_changes_nothing(
        self, key: str, text: str, said: str
    ) -> None:
        assert said in refusal("set", key, text)
        assert not SystemConfiguration.objects.set_values().exists()
        assert not ConfigurationChange.objects.exists()

    def test_an_override_of_a_channel_leaves_the_others(self) -> None:
        made = Channel.objects.create(name="Cooking", settings={"publish.privacy": "public"})
        config("set", KEY, "0", "--channel", "Cooking")
        made.refresh_from_db()
        assert made.settings == {"publish.privacy": "public", KEY: 0}
        assert system_row().value is None

    def test_what_is_not_per_channel_is_refused_for_one(self) -> None:
        Channel.objects.create(name="Cooking")
        said = refusal("set", "jobs.max_concurrent", "1", "--channel", "Cooking")
        assert "not per channel" in said

    def test_the_same_value_again_is_no_change(self) -> None:
        config("set", KEY, "3")
        assert "nothing to change" in config("set", KEY, "3")
        assert answer("set", KEY, "3") is None
        assert ConfigurationChange.objects.count() == 1

    def test_a_row_that_is_missing_is_made(self) -> None:
        SystemConfiguration.objects.all().delete()
        config("set", KEY, "3")
        assert system_row().value == 3

    def test_a_row_that_does_not_fit_is_replaced(self) -> None:
        SystemConfiguration.objects.filter(key=KEY).update(value="many")
        config("set", KEY, "3")
        assert system_row().value == 3


class TestUnset:
    def test_lets_the_system_inherit(self) -> None:
        config("set", KEY, "3")
        assert answer("unset", KEY)["old"] == 3
        assert system_row().value is None
        assert config("get", KEY) == "2"

    def test_lets_a_channel_inherit(self) -> None:
        made = Channel.objects.create(name="Cooking", settings={KEY: None, "publish.privacy": "x"})
        config("unset", KEY, "--channel", "Cooking")
        made.refresh_from_db()
        assert made.settings == {"publish.privacy": "x"}

    def test_takes_an_entry_out_of_a_channel_that_no_setting_reads(self) -> None:
        wrong = {"no.such": 1, "jobs.max_concurrent": 2, "github.token": "plain", KEY: 3}
        made = Channel.objects.create(name="Cooking", settings=wrong)
        for key in ("no.such", "jobs.max_concurrent", "github.token"):
            config("unset", key, "--channel", "Cooking")
        made.refresh_from_db()
        assert made.settings == {KEY: 3}
        assert [entry["old"] for entry in answer("history")] == ["in clear", 2, 1]
        assert "There is no setting" in refusal("unset", "no.such", "--channel", "Cooking")


class TestWhatStandsWrong:
    """By other hands; the command shows it, and mends it."""

    @pytest.mark.parametrize("text", ["1" * 5000, '"\\ud800"', "1e999"])
    def test_in_a_row(self, text: str) -> None:
        if connection.vendor == "postgresql" and not text.isdigit():
            pytest.skip("it takes no such JSON")
        with connection.cursor() as cursor:
            statement = "UPDATE system_configuration SET value = %s WHERE key = %s"
            cursor.execute(statement, [text, KEY])
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 problem"):
            call_command("config", "check", stdout=out)
        assert f"system_configuration, {KEY}: expected a whole number" in out.getvalue()
        config("list").encode()
        assert answer("explain", KEY)["value"] == 2
        config("set", KEY, "3")
        assert system_row().value == 3
        assert config("history", KEY).encode()

    def test_is_said_beside_what_is_taken_in_its_place(self) -> None:
        Channel.objects.create(name="Cooking", settings={KEY: "many"})
        SystemConfiguration.objects.filter(key=KEY).update(value=51)
        value, override, row = config("get", KEY, "--channel", "Cooking").splitlines()
        assert value == "2"
        assert override.startswith('Passed over: channel "Cooking"')
        assert row.startswith(f"Passed over: system_configuration, {KEY}: ")

    def test_in_a_channel(self) -> None:
        made = Channel.objects.create(name="Cooking")
        digits = "1" * 151
        text = f'{{"no.such": {digits}, "{KEY}": {digits}, "publish.privacy": "public"}}'
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET settings = %s", [text])
        said = refusal("set", "publish.privacy", "private", "--channel", "Cooking")
        assert (
            f"""The settings of "Cooking" hold what cannot be stored, under 'no.such', '{KEY}'"""
            in (said)
        )
        config("unset", "no.such", "--channel", "Cooking")
        made.refresh_from_db()
        assert made.settings == {"publish.privacy": "public"}
        assert digits[:50] in str(answer("history")[0]["old"])

    def test_in_a_channel_whose_settings_cannot_be_read(self) -> None:
        made = Channel.objects.create(name="Cooking")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET settings = %s", [f'{{"{KEY}": {"1" * 5000}}}'])
        made.refresh_from_db()
        assert POSTS_PER_DAY.get(made) == 2
        assert "cannot be read" in refusal("set", KEY, "3", "--channel", "Cooking")

    def test_in_the_history_of_a_setting_that_became_a_secret(self) -> None:
        old = {"key": "github.token", "by": "x", "through": "admin"}
        ConfigurationChange.objects.create(**old, old="plain-old", new="plain-new")
        assert answer("history")[0]["new"] == "********"
        assert "plain" not in config("history") + str(answer("history"))


class TestASecret:
    @pytest.fixture
    def typed(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
        def type_(text: str) -> str:
            monkeypatch.setattr("sys.stdin", io.StringIO(text))
            return config("set", "github.token", "-")

        return type_

    def test_is_read_from_standard_input_and_never_shown(self, typed: Callable[[str], str]) -> None:
        said = [typed("plain-of-the-token\n"), config("list"), config("get", "github.token")]
        said += [config("explain", "github.token", "--format", "json"), config("history")]
        assert "plain-of" not in "".join(said)
        assert said[2] == "********"
        assert system_row("github.token").secret.reveal() == "plain-of-the-token"

    def test_on_the_command_line_it_is_refused(self) -> None:
        with pytest.raises(CommandError, match="standard input") as refused:
            config("set", "github.token", "plain-of-the-token")
        assert refused.value.returncode == 2
        assert "plain-of" not in str(refused.value)

    def test_of_a_closed_input_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        assert "standard input gave no secret" in refusal("set", "github.token", "-")

    def test_that_is_empty_is_refused(self, typed: Callable[[str], str]) -> None:
        with pytest.raises(CommandError, match="not empty"):
            typed("\n")

    def test_leaves_a_fingerprint_that_is_equal_for_equal_ones(
        self, typed: Callable[[str], str]
    ) -> None:
        for text in ("one", "two", "one"):
            typed(text)
        assert "nothing to change" in typed("one")
        three, two, one = ConfigurationChange.objects.all()
        assert one.new_fingerprint == three.new_fingerprint == two.old_fingerprint
        assert one.new_fingerprint != two.new_fingerprint
        assert (one.old, one.new, one.old_fingerprint) == (None, None, "")

    def test_cannot_be_restored(self, typed: Callable[[str], str]) -> None:
        typed("one")
        change = ConfigurationChange.objects.get()
        assert "only a fingerprint is kept" in refusal("restore", str(change.pk))

    def test_in_a_channel_is_wrong_and_not_quoted(self) -> None:
        Channel.objects.create(name="Cooking", settings={"github.token": "plain-of-the-token"})
        why = config("explain", "github.token", "--channel", "Cooking", "--format", "json")
        assert json.loads(why)["layers"][1]["value"] == "********"
        out = io.StringIO()
        with pytest.raises(CommandError):
            call_command("config", "check", stdout=out)
        assert "not per channel" in out.getvalue()
        assert "plain-of" not in why + out.getvalue()

    def test_that_stands_in_clear_is_wrong_and_not_quoted(self) -> None:
        rows = SystemConfiguration.objects.filter(key="github.token")
        rows.update(value="plain-of-the-token", encrypted=False)
        out = io.StringIO()
        with pytest.raises(CommandError):
            call_command("config", "check", stdout=out)
        assert "github.token: it is kept in clear" in out.getvalue()
        said = out.getvalue() + config("list") + config("explain", "github.token")
        assert "plain-of" not in said
        config("unset", "github.token")
        assert (
            config("history")
            .partition("  ")[2]
            .startswith("github.token: secret in clear → inherited")
        )


class TestExplain:
    def test_gives_every_layer_the_highest_first(self) -> None:
        made = Channel.objects.create(name="Cooking", settings={KEY: 5})
        config("set", KEY, "3")
        why = answer("explain", KEY, "--channel", "Cooking")
        layers = why.pop("layers")
        assert why == {
            "key": KEY,
            "type": "int",
            "value": 5,
            "source": "channel",
            "pinned": False,
        }
        assert [layer["source"] for layer in layers] == SOURCES
        assert [layer["set"] for layer in layers] == [False, True, True, False, True]
        assert [layer["value"] for layer in layers] == [None, 5, 3, None, 2]
        assert layers[0]["where"] == "YTOPS_PUBLISH_POSTS_PER_DAY"
        assert layers[1]["where"] == f'channel "Cooking" ({made.pk}), {KEY}'
        assert layers[2]["where"] == f"system_configuration, {KEY}"

    def test_a_wrong_layer_is_passed_over_and_says_why(self) -> None:
        Channel.objects.create(name="Cooking", settings={KEY: "many"})
        SystemConfiguration.objects.filter(key=KEY).update(value=51)
        why = answer("explain", KEY, "--channel", "Cooking")
        assert (why["value"], why["source"]) == (2, "default")
        assert 'not "many"' in why["layers"][1]["error"]
        assert "not 51" in why["layers"][2]["error"]
        assert "→" in config("explain", KEY)


class TestList:
    def test_shows_every_setting(self) -> None:
        found = {one["key"]: one for one in answer("list")}
        assert found[KEY] == {
            "key": KEY,
            "type": "int",
            "value": 2,
            "source": "default",
            "pinned": False,
        }
        assert len(found) == len(config("list").splitlines()) >= 12

    def test_changed_are_those_that_any_layer_sets(self) -> None:
        Channel.objects.create(name="Cooking", settings={KEY: 2})
        config("set", "jobs.paused", "false")
        assert [one["key"] for one in answer("list", "--changed")] == ["jobs.paused"]
        both = answer("list", "--changed", "--channel", "Cooking")
        assert [one["key"] for one in both] == ["jobs.paused", KEY]

    def test_nothing_changed_prints_nothing(self) -> None:
        assert config("list", "--changed") == ""

    def test_asks_once_for_all(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            config("list")
        assert len(queries) == 1


class TestCheck:
    def test_says_that_all_is_well(self) -> None:
        Channel.objects.create(name="Cooking", settings={KEY: 5})
        assert "No problem" in config("check")
        assert answer("check") == []

    def test_names_each_problem_with_its_place(self) -> None:
        SystemConfiguration.objects.filter(key=KEY).update(value="many")
        SystemConfiguration.objects.create(key="jobs.pausd", value=True)
        SystemConfiguration.objects.create(key="jobs.of_an_older_version")
        wrong = {KEY: None, "jobs.max_concurrent": 1, "publish.privcy": "public"}
        one = Channel.objects.create(name="Two\nlines", settings=wrong)
        Channel.objects.create(name="Baking", settings={KEY: 5})
        out = io.StringIO()
        with pytest.raises(CommandError, match="5 problems") as refused:
            call_command("config", "check", stdout=out)
        assert refused.value.returncode == 1
        channel = f'channel "Two lines" ({one.pk})'
        assert sorted(out.getvalue().splitlines()) == sorted(
            [
                f'system_configuration, {KEY}: expected a whole number from 0 to 50, not "many".',
                "system_configuration, jobs.pausd: no setting has this key. "
                'Did you mean "jobs.paused"?',
                f"{channel}, {KEY}: null is no value: leave the key out to inherit.",
                f"{channel}, jobs.max_concurrent: is not per channel: it holds for the whole "
                "system.",
                f"{channel}, publish.privcy: no setting has this key. "
                'Did you mean "publish.privacy"?',
            ]
        )

    def test_asks_a_fixed_number_of_times(self) -> None:
        Channel.objects.bulk_create(
            Channel(name=f"Channel {number}", settings={KEY: 1}) for number in range(30)
        )
        with CaptureQueriesContext(connection) as queries:
            config("check")
        assert len(queries) == 2
