import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from channels_app.models import Channel
from channels_app.schedule import DAYS
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db

SCHEDULE = {"timezone": "Europe/Berlin", "slots": {day: ["17:00", "18:00"] for day in DAYS}}


@pytest.fixture(autouse=True)
def channel() -> Channel:
    settings = {"publish.posts_per_day": 2, "publish.min_gap_minutes": 90}
    return examples.channel(schedule=SCHEDULE, settings=settings)


def schedule(*args: str) -> str:
    out = io.StringIO()
    call_command("schedule", *args, stdout=out)
    return out.getvalue()


def answer(*args: str) -> Any:
    return json.loads(schedule(*args, "--format", "json"))


def refusal(*args: str) -> str:
    with pytest.raises(CommandError) as refused:
        schedule(*args)
    assert refused.value.returncode == 1
    return str(refused.value)


def test_says_the_rules_and_the_instants_in_both_zones() -> None:
    first, *lines = schedule("Cooking", "-n", "3").splitlines()
    assert first == (
        "Cooking: Europe/Berlin, at most 2 a day (publish.posts_per_day), "
        "at least 90 min apart (publish.min_gap_minutes)"
    )
    shown = re.compile(
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d 1[78]:00:00 CES?T +"
        r"\d{4}-\d\d-\d\d 1[567]:00:00Z(  passed over: 60 min after the one at 17:00; the least "
        r"is 90 \(publish\.min_gap_minutes\))?"
    )
    assert [line for line in lines if not shown.fullmatch(line)] == []
    assert len([line for line in lines if "passed over" not in line]) == 3
    assert "passed over" not in lines[-1]


def test_shows_twenty_and_assigns_none() -> None:
    examples.video(status="transformed", channel=Channel.objects.get())
    lines = schedule("Cooking").splitlines()[1:]
    assert len([line for line in lines if "passed over" not in line]) == 20
    assert not Video.objects.filter(scheduled_for__isnull=False).exists()


def test_as_json(channel: Channel) -> None:
    said = answer(str(channel.pk), "-n", "2")
    slots = said.pop("slots")
    assert said == {
        "channel": str(channel.pk),
        "name": "Cooking",
        "timezone": "Europe/Berlin",
        "posts_per_day": 2,
        "min_gap_minutes": 90,
        "why_no_more": None,
    }
    for slot in slots:
        local, utc = (datetime.fromisoformat(slot[name]) for name in ("local", "utc"))
        assert (local, local.hour in (17, 18), utc.tzinfo) == (utc, True, UTC)
    assert [slot["passed_over"] for slot in slots][-1] is None


def test_a_channel_without_a_schedule_says_so() -> None:
    Channel.objects.update(schedule={})
    assert schedule("Cooking").splitlines()[1:] == ["Cooking has no schedule."]
    assert (answer("Cooking")["timezone"], answer("Cooking")["slots"]) == (None, [])


def test_says_why_there_are_fewer() -> None:
    Channel.objects.update(schedule={**SCHEDULE, "valid_until": "2020-01-01"})
    assert schedule("Cooking").splitlines()[1] == "The schedule of Cooking ended on 2020-01-01."
    assert answer("Cooking")["why_no_more"] == "The schedule of Cooking ended on 2020-01-01."


def test_a_wrong_schedule_is_named_in_one_line() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET schedule = %s", ['{"timezone": "Berlin", "slots": {}}'])
    said = refusal("Cooking")
    assert said.startswith('The schedule of Cooking is wrong: "timezone": "Berlin" is no time zone')
    assert "\n" not in said


def test_an_unknown_channel_names_the_nearest() -> None:
    assert refusal("Coking") == 'There is no channel "Coking". The nearest name is "Cooking".'


def test_a_name_that_two_bear_is_refused(channel: Channel) -> None:
    examples.channel()
    assert str(channel.pk) in refusal("Cooking")


@pytest.mark.parametrize("count", ["0", "-1", "many", "1001", "٢", "1e3"])
def test_a_number_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(CommandError, match="expected a whole number from 1 to 1000"):
        schedule("Cooking", f"-n{count}")
