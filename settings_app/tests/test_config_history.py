"""The history of `manage.py config`, its restore, and the command as a process."""

import json

import pytest

from channels_app.models import Channel
from settings_app.models import ConfigurationChange
from settings_app.tests.command import KEY, answer, config, refusal, system_row
from ytops.tests.processes import manage

pytestmark = pytest.mark.django_db


class TestHistory:
    def test_says_who_when_through_what_and_both_values(self) -> None:
        made = Channel.objects.create(name="Cooking")
        config("set", KEY, "3", "--channel", "Cooking")
        config("set", KEY, "0")
        config("set", "jobs.paused", "on")
        assert [entry["key"] for entry in answer("history")] == ["jobs.paused", KEY, KEY]
        system, channel = answer("history", KEY)
        assert (
            channel.items()
            >= {
                "channel": "Cooking",
                "channel_id": str(made.pk),
                "through": "command",
                "old": None,
                "new": 3,
            }.items()
        )
        assert (system["channel"], system["new"]) == (None, 0)
        assert system["by"]
        assert "inherited → 3 for Cooking" in config("history", KEY)

    def test_of_an_unknown_key_is_refused_but_not_of_one_that_once_was(self) -> None:
        assert "Did you mean" in refusal("history", "publish.post_per_day")
        ConfigurationChange.objects.create(key="publish.gone", by="x", through="admin", new=1)
        assert "publish.gone: inherited → 1" in config("history", "publish.gone")

    def test_stays_when_its_channel_goes(self) -> None:
        Channel.objects.create(name="Cooking")
        config("set", KEY, "3", "--channel", "Cooking")
        Channel.objects.all().delete()
        assert answer("history")[0]["channel"] == "Cooking"


class TestRestore:
    def test_sets_again_what_a_change_set_and_is_a_change_itself(self) -> None:
        for value in ("3", "4"):
            config("set", KEY, value)
        config("unset", KEY)
        inherited, four, three = answer("history")
        assert answer("restore", three["id"]).items() >= {"old": None, "new": 3}.items()
        assert config("get", KEY) == "3"
        config("restore", four["id"])
        assert config("get", KEY) == "4"
        config("restore", inherited["id"])
        assert answer("explain", KEY)["source"] == "default"
        assert ConfigurationChange.objects.count() == 6

    def test_of_a_channel(self) -> None:
        made = Channel.objects.create(name="Cooking")
        config("set", KEY, "3", "--channel", "Cooking")
        first = answer("history")[0]["id"]
        config("set", KEY, "4", "--channel", "Cooking")
        Channel.objects.update(name="Renamed")
        config("restore", first)
        made.refresh_from_db()
        assert made.settings == {KEY: 3}

    def test_refuses_what_cannot_be(self) -> None:
        made = Channel.objects.create(name="Cooking")
        config("set", KEY, "3", "--channel", "Cooking")
        change = ConfigurationChange.objects.get()
        made.delete()
        assert "There is no channel" in refusal("restore", str(change.pk))
        ConfigurationChange.objects.update(channel_id=None, new=51)
        assert "from 0 to 50, not 51" in refusal("restore", str(change.pk))
        ConfigurationChange.objects.update(key="publish.gone")
        assert "There is no setting" in refusal("restore", str(change.pk))
        for unknown in ("nonsense", str(made.pk)):
            assert "There is no change" in refusal("restore", unknown)
        assert ConfigurationChange.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestAsAProcess:
    """Exit codes, and that no traceback reaches an operator."""

    def test_what_is_pinned_by_the_environment_is_read_only(self) -> None:
        pinned = {"YTOPS_PUBLISH_POSTS_PER_DAY": "7"}
        Channel.objects.create(name="Cooking", settings={KEY: 5})
        done = manage(
            "config", "explain", KEY, "--channel", "Cooking", "--format", "json", **pinned
        )
        why = json.loads(done.stdout)
        assert (why["value"], why["source"], why["pinned"]) == (7, "environment", True)
        done = manage("config", "set", KEY, "3", **pinned)
        assert done.returncode == 1
        assert "pinned by the environment variable YTOPS_PUBLISH_POSTS_PER_DAY" in done.stderr
        assert system_row().value is None

    def test_a_bad_variable_is_named_and_nothing_is_taken_for_the_default(self) -> None:
        bad = {"YTOPS_PUBLISH_POSTS_PER_DAY": "many"}
        asked = manage("config", "explain", KEY, "--format", "json", **bad)
        why = json.loads(asked.stdout)
        assert (why["value"], why["source"]) == (None, "environment")
        unset = manage("config", "unset", KEY, **bad)
        for done in (asked, unset):
            assert done.returncode == 1
            assert "YTOPS_PUBLISH_POSTS_PER_DAY: expected a whole number" in done.stderr
            assert "Traceback" not in done.stderr

    @pytest.mark.once
    def test_wrong_usage_exits_with_2(self) -> None:
        assert manage("config", "frob").returncode == 2
