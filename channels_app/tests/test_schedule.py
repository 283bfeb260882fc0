from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.models import Channel
from channels_app.schedule import DAYS, default_schedule, time_zones, validate_schedule
from ytops.tests.refusals import said_of


def schedule(**changes: Any) -> dict[str, Any]:
    return {"timezone": "Europe/Berlin", "slots": {"tue": ["18:00"]}, **changes}


def said(value: Any) -> str:
    try:
        validate_schedule(value)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


class TestTaken:
    def test_the_default(self) -> None:
        assert default_schedule()["slots"].keys() == set(DAYS)
        assert said(default_schedule()) == ""

    def test_none_at_all(self) -> None:
        assert said({}) == ""

    @pytest.mark.parametrize(
        "changes",
        [
            {"timezone": "UTC"},
            {"timezone": "America/Argentina/Buenos_Aires"},
            {"timezone": "Etc/GMT+5"},
            {"slots": {}},
            {"slots": {"mon": []}},
            {"slots": {"mon": ["00:00", "23:59"], "sun": ["09:05"]}},
            {"jitter_minutes": 0},
            {"jitter_minutes": 120},
            {"blackout_days": []},
            {"blackout_days": ["2026-12-24", "2028-02-29"]},
            {"valid_from": "2026-01-01"},
            {"valid_from": "2026-01-01", "valid_until": "2026-01-01"},
        ],
    )
    def test_with(self, changes: dict[str, Any]) -> None:
        assert said(schedule(**changes)) == ""

    def test_every_zone_that_is_offered(self) -> None:
        assert "Europe/Berlin" in time_zones()
        assert not [zone for zone in time_zones() if said(schedule(timezone=zone))]

    @settings(max_examples=60, deadline=None)
    @given(st.times())
    def test_every_minute_of_a_day(self, time: Any) -> None:
        assert said(schedule(slots={"mon": [f"{time:%H:%M}"]})) == ""


class TestRefused:
    @pytest.mark.parametrize(
        ("zone", "message"),
        [
            ("Europe/Berln", 'Did you mean "Europe/Berlin"?'),
            ("europe/berlin", 'Did you mean "Europe/Berlin"?'),
            ("Berlin", '"Berlin" is no time zone'),
            ("+02:00", '"+02:00" is no time zone'),
            ("UTC+2", '"UTC+2" is no time zone'),
            ("CEST", '"CEST" is no time zone'),
            ("localtime", '"localtime" is no time zone'),
            ("Factory", '"Factory" is no time zone'),
            ("../UTC", "is no time zone"),
            ("", "is no time zone"),
            (" UTC", "is no time zone"),
            ("UTC\n", "is no time zone"),
            (2, '"timezone" is missing'),
            (None, '"timezone" is missing'),
        ],
    )
    def test_a_zone(self, zone: Any, message: str) -> None:
        assert message in said(schedule(timezone=zone))

    @pytest.mark.parametrize(
        "time",
        [
            *("24:00", "23:60", "7:00", "18", "18:00:00", "18:00+02:00", "6pm", "", " 18:00"),
            *("18:00\n", "1٨:00", "１８:00", 18, 18.5, None, ["18:00"], True),
        ],
    )
    def test_a_time(self, time: Any) -> None:
        assert 'expected a time from "00:00" to "23:59"' in said(schedule(slots={"mon": [time]}))

    @pytest.mark.parametrize(
        ("slots", "message"),
        [
            (None, '"slots" is missing'),
            ([], '"slots" is missing'),
            ("18:00", '"slots" is missing'),
            ({"monday": ["18:00"]}, '"monday" is no day of a schedule'),
            ({"Mon": ["18:00"]}, 'Did you mean "mon"?'),
            ({"tues": ["18:00"]}, 'Did you mean "tue"?'),
            ({"mon": "18:00"}, '"mon" must be a list of times'),
            ({"mon": None}, '"mon" must be a list of times'),
            ({"mon": {"18:00": 1}}, '"mon" must be a list of times'),
            ({"mon": ["18:00", "19:00", "18:00"]}, '"mon" has "18:00" twice'),
            ({1: []}, '"1" is no day of a schedule'),
        ],
    )
    def test_slots(self, slots: Any, message: str) -> None:
        assert message in said(schedule(slots=slots))

    @pytest.mark.parametrize("minutes", [-1, 121, 5.0, "5", None, True])
    def test_a_jitter(self, minutes: Any) -> None:
        message = said(schedule(jitter_minutes=minutes))
        assert message == '"jitter_minutes" must be a whole number from 0 to 120.'

    @pytest.mark.parametrize(
        "day",
        [
            *("2026-02-29", "24.12.2026", "2026-1-1", "20261224", "2026-W52-4", "", 2026, None),
            *("2026-12-24\n", "٢026-12-24", "2026-12-24T00:00:00"),
        ],
    )
    def test_a_day(self, day: Any) -> None:
        for name, value in (
            ("blackout_days", [day]),
            ("valid_from", day),
            ("valid_until", day),
        ):
            message = said(schedule(**{name: value}))
            assert f'"{name}" has {day!r}: expected a day such as "2026-12-24"' in message

    @pytest.mark.parametrize("days", ["2026-12-24", None, {"2026-12-24": 1}])
    def test_blackout_days_that_are_no_list(self, days: Any) -> None:
        assert '"blackout_days" must be a list of days' in said(schedule(blackout_days=days))

    def test_bounds_the_wrong_way_round(self) -> None:
        bounds = {"valid_from": "2026-02-01", "valid_until": "2026-01-01"}
        assert '"valid_from" is later than "valid_until"' in said(schedule(**bounds))

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("time_zone", 'Did you mean "timezone"?'),
            ("slot", 'Did you mean "slots"?'),
            ("posts_per_day", '"posts_per_day" is no key of a schedule; known: timezone, slots'),
        ],
    )
    def test_an_unknown_key(self, key: str, message: str) -> None:
        assert message in said(schedule(**{key: 1}))

    def test_every_problem_at_once(self) -> None:
        message = said(
            {
                "timezone": "Nowhere",
                "slots": {"mon": ["24:00"]},
                "jitter_minutes": -1,
                "blackout_days": ["never"],
                "valid_from": "2026-02-01",
                "valid_until": "2026-01-01",
                "colour": "red",
            }
        )
        for part in ("Nowhere", "24:00", "jitter", "never", "later than", "colour"):
            assert part in message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*DAYS, "timezone", "slots", "blackout_days", "valid_from"])
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_whatever_is_given_is_taken_or_refused_and_breaks_nothing(value: Any) -> None:
    said(value)


@pytest.mark.django_db
def test_a_channel_says_it_beside_its_field() -> None:
    channel = Channel(name="a", schedule=schedule(timezone="Europe/Berln"))
    assert 'Did you mean "Europe/Berlin"?' in said_of(channel, "schedule")
