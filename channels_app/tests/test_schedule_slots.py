"""Which instants a schedule yields, against a slow model that looks at everything each time."""

import hashlib
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.schedule import DAYS, HORIZON, Slot, next_slots, validate_schedule

pytestmark = pytest.mark.once

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"),
    *("Asia/Kathmandu", "Pacific/Kiritimati", "America/Nuuk", "Pacific/Apia"),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(*times: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    return {"timezone": zone, "slots": {day: list(times) for day in DAYS}, **more}


def slots(
    schedule: dict[str, Any],
    after: str,
    *taken: str,
    count: int = 10,
    cap: int = 50,
    gap: int = 0,
    **more: Any,
) -> list[Slot]:
    found = next_slots(
        schedule,
        utc(after),
        [utc(text) for text in taken],
        **{"seed": "", "posts_per_day": cap, "min_gap": timedelta(minutes=gap), **more},
    )
    return list(islice(found, count))


def free(*args: Any, **more: Any) -> list[str]:
    return [f"{slot.at:%Y-%m-%dT%H:%M}" for slot in slots(*args, **more) if not slot.refusal]


def why(*args: Any, **more: Any) -> list[str | None]:
    return [slot.refusal for slot in slots(*args, **more)]


class TestTheClocksChange:
    def test_a_time_that_is_skipped_is_as_much_later(self) -> None:
        found = free(daily("02:30", zone="Europe/Berlin"), "2026-03-27T12:00", count=3)
        assert found == ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]
        local = utc(found[1]).astimezone(ZoneInfo("Europe/Berlin"))
        assert f"{local:%H:%M %Z}" == "03:30 CEST"

    def test_of_a_time_that_comes_twice_the_first_holds(self) -> None:
        found = free(daily("02:30", zone="Europe/Berlin"), "2026-10-24T12:00", count=3)
        assert found == ["2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"]

    def test_it_stays_six_in_the_evening(self) -> None:
        found = free(daily("18:00", zone="America/New_York"), "2026-10-31T12:00", count=2)
        assert found == ["2026-10-31T22:00", "2026-11-01T23:00"]

    def test_half_an_hour_of_lord_howe(self) -> None:
        spring = free(daily("02:15", zone="Australia/Lord_Howe"), "2026-10-03T00:00", count=2)
        assert spring == ["2026-10-03T15:45", "2026-10-04T15:15"]
        autumn = free(daily("01:45", zone="Australia/Lord_Howe"), "2026-04-03T20:00", count=2)
        assert autumn == ["2026-04-04T14:45", "2026-04-05T15:15"]

    def test_a_midnight_that_is_skipped(self) -> None:
        found = free(daily("00:00", zone="Africa/Cairo"), "2026-04-23T00:00", count=3)
        assert found == ["2026-04-23T22:00", "2026-04-24T21:00", "2026-04-25T21:00"]

    def test_a_last_hour_that_is_skipped_is_the_first_of_the_next_day(self) -> None:
        found = free(daily("23:30", zone="America/Nuuk"), "2026-03-28T12:00", count=2)
        assert found == ["2026-03-29T01:30", "2026-03-30T00:30"]
        local = utc(found[0]).astimezone(ZoneInfo("America/Nuuk"))
        assert f"{local:%a %H:%M}" == "Sun 00:30"

    def test_two_that_fall_together_are_given_once(self) -> None:
        night = daily("02:30", "03:30", zone="Europe/Berlin")
        assert why(night, "2026-03-29T00:00", count=2) == [None, "taken"]

    def test_the_cap_counts_the_day_of_25_hours_as_one(self) -> None:
        day = daily("00:00", "23:59", zone="Europe/Berlin")
        found = why(day, "2026-10-24T22:30", "2026-10-24T22:00", cap=1, count=2)
        assert found == ["the day has its post already (publish.posts_per_day)", None]


class TestWhatIsPassedOver:
    AFTER = "2026-11-02T00:00"  # a Monday

    def test_taken(self) -> None:
        assert why(daily("18:00"), self.AFTER, "2026-11-02T18:00", count=2) == ["taken", None]

    def test_used_counts_for_nothing_else(self) -> None:
        used = {utc("2026-11-02T18:00")}
        found = why(daily("18:00", "19:00"), self.AFTER, used=used, cap=1, gap=120, count=2)
        assert found == ["taken", None]

    def test_the_day_is_full(self) -> None:
        found = why(daily("10:00", "12:00", "14:00"), self.AFTER, cap=2, count=4)
        full = "the day has its 2 posts already (publish.posts_per_day)"
        assert found == [None, None, full, None]

    def test_a_cap_of_zero(self) -> None:
        assert why(daily("18:00"), self.AFTER, cap=0, count=1) == ["publish.posts_per_day is 0"]

    def test_published_twice_at_once_counts_twice(self) -> None:
        found = why(daily("18:00"), self.AFTER, *["2026-11-02T01:00"] * 2, cap=2, count=1)
        assert found == ["the day has its 2 posts already (publish.posts_per_day)"]

    def test_too_soon_after_another(self) -> None:
        found = why(daily("16:30", "18:00"), self.AFTER, gap=120, count=2)
        said = "90 min after the one at 16:30; the least is 120 (publish.min_gap_minutes)"
        assert found == [None, said]

    def test_too_soon_before_another(self) -> None:
        found = why(daily("16:30", zone="Asia/Tokyo"), self.AFTER, "2026-11-02T09:00", gap=120)
        said = "90 min before the one at 18:00; the least is 120 (publish.min_gap_minutes)"
        assert found[0] == said

    def test_too_soon_after_one_of_another_day_names_that_day(self) -> None:
        found = why(daily("00:10"), self.AFTER, "2026-11-01T23:00", gap=120, count=1)[0]
        assert found is not None
        assert "70 min after the one at 23:00 on Sun 01 Nov;" in found

    def test_a_gap_that_is_just_enough(self) -> None:
        assert why(daily("16:00", "18:00"), self.AFTER, gap=120, count=2) == [None, None]

    def test_a_second_less_is_not_enough(self) -> None:
        found = why(daily("18:00"), self.AFTER, "2026-11-02T16:00:01", gap=120, count=1)[0]
        assert found is not None
        assert found.startswith("119 min after")

    def test_days_that_are_no_days(self) -> None:
        schedule = daily(
            "18:00",
            valid_from="2026-11-03",
            valid_until="2026-11-05",
            blackout_days=["2026-11-04"],
        )
        assert why(schedule, self.AFTER, count=5) == [
            "before valid_from 2026-11-03",
            None,
            "a blackout day",
            None,
            "after valid_until 2026-11-05",
        ]

    def test_the_days_are_those_of_the_channel(self) -> None:
        late = daily("20:00", zone="America/New_York", blackout_days=["2026-11-03"])
        assert free(late, self.AFTER, count=3) == ["2026-11-02T01:00", "2026-11-03T01:00"]


class TestTheEdges:
    def test_yesterday_of_the_channel_may_still_be_to_come(self) -> None:
        west = daily("23:59", zone="Etc/GMT+12", jitter_minutes=120)
        east = daily("00:00", zone="Pacific/Kiritimati")
        assert free(west, "2026-11-02T11:58", count=1)[0].startswith("2026-11-02T1")
        assert free(east, "2026-11-02T09:59", count=1) == ["2026-11-02T10:00"]

    def test_a_slot_at_after_itself_is_over(self) -> None:
        assert free(daily("18:00"), "2026-11-02T18:00", count=1) == ["2026-11-03T18:00"]

    def test_no_schedule_has_no_slots(self) -> None:
        assert slots({}, "2026-11-02T00:00") == []
        assert slots({"timezone": "UTC", "slots": {}}, "2026-11-02T00:00") == []
        assert slots({"timezone": "UTC", "slots": {"mon": []}}, "2026-11-02T00:00") == []

    def test_it_ends_after_a_year(self) -> None:
        found = slots(daily("18:00"), "2026-11-02T18:00", count=10_000)
        assert len(found) == HORIZON.days
        assert found[-1].at - utc("2026-11-02T18:00") == HORIZON


class TestJitter:
    SCHEDULE = daily("18:00", zone="Europe/Berlin", jitter_minutes=30)

    def of(self, seed: str) -> list[datetime]:
        return [slot.at for slot in slots(self.SCHEDULE, "2026-11-02T00:00", seed=seed)]

    def test_is_within_its_bounds_and_differs_by_day_and_by_channel(self) -> None:
        bare = daily("18:00", zone="Europe/Berlin")
        plain = [slot.at for slot in slots(bare, "2026-11-02T00:00")]
        late = [at - slot for at, slot in zip(self.of("a"), plain, strict=True)]
        assert all(timedelta(0) <= wait <= timedelta(minutes=30) for wait in late)
        assert all(wait == timedelta(seconds=wait // timedelta(seconds=1)) for wait in late)
        assert len(set(late)) > 5
        assert self.of("a") != self.of("b")

    def test_is_the_same_in_another_process(self) -> None:
        code = "import sys; from channels_app.tests.test_schedule_slots import TestJitter as T; "
        code += "print(T().of('a'))"
        environment = {"PYTHONHASHSEED": "7", "DJANGO_SETTINGS_MODULE": "ytops.tests.settings"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(self.of("a")), done.stderr

    def test_lets_slots_overtake_one_another_and_they_come_in_order(self) -> None:
        schedule = daily("00:00", "23:59", jitter_minutes=120)
        times = [slot.at for slot in slots(schedule, "2026-11-02T12:00", count=1000)]
        assert times == sorted(times)
        assert len(times) == 2 * HORIZON.days

    def test_may_carry_a_slot_into_a_day_off(self) -> None:
        """Whether a day counts is asked of the instant that results."""
        schedule = daily("23:59", jitter_minutes=120, blackout_days=["2026-11-03"])
        found = slots(schedule, "2026-11-02T12:00", count=2)
        for slot in found:
            assert (slot.at.date() == date(2026, 11, 3)) == (slot.refusal == "a blackout day")
        assert found[0].refusal == "a blackout day"


def model(
    schedule: dict[str, Any],
    after: datetime,
    taken: list[datetime],
    *,
    seed: str,
    posts_per_day: int,
    min_gap: timedelta,
    used: set[datetime],
) -> list[datetime]:
    """The free instants, the obvious way: every rule looks at all that is given away."""
    zone = ZoneInfo(schedule["timezone"])
    given_away, found, candidates = list(taken), [], []
    for number in range(-4, 372):
        day = after.date() + timedelta(days=number)
        for text in schedule["slots"].get(DAYS[day.weekday()], []):
            wall = datetime.combine(day, time.fromisoformat(text))
            digest = hashlib.sha256(f"{seed} {day.isoformat()} {text}".encode()).hexdigest()
            late = int(digest[:16], 16) % (schedule.get("jitter_minutes", 0) * 60 + 1)
            at = wall.replace(tzinfo=zone).astimezone(UTC) + timedelta(seconds=late)
            candidates.append(at)
    for at in sorted(candidates):
        day = at.astimezone(zone).date()
        same_day = [other for other in given_away if other.astimezone(zone).date() == day]
        if (
            after < at <= after + HORIZON
            and at not in given_away
            and at not in used
            and len(same_day) < posts_per_day
            and all(abs(at - other) >= min_gap for other in given_away)
            and day.isoformat() not in schedule.get("blackout_days", [])
            and schedule.get("valid_from", "0") <= day.isoformat()
            and schedule.get("valid_until", "9") >= day.isoformat()
        ):
            found.append(at)
            given_away.append(at)
    return found


WALLS = st.times().map("{:%H:%M}".format) | st.sampled_from(["00:00", "02:15", "02:30", "23:59"])
# Around the two changes of the clocks in all these zones.
NOWS = st.sampled_from(["2026-03-06", "2026-03-27", "2026-04-03", "2026-10-02", "2026-10-30"])


@st.composite
def cases(draw: Any) -> dict[str, Any]:
    after = utc(draw(NOWS)) + timedelta(seconds=draw(st.integers(0, 3 * 24 * 3600)))
    near = st.integers(-2 * 24 * 60, 20 * 24 * 60).map(lambda n: after + timedelta(minutes=n))
    days = near.map(lambda at: at.date().isoformat())
    week = st.dictionaries(
        st.sampled_from(DAYS), st.lists(WALLS, max_size=4, unique=True), min_size=1
    )
    schedule: dict[str, Any] = {
        "timezone": draw(st.sampled_from(ZONES)),
        "slots": draw(week),
        "jitter_minutes": draw(st.sampled_from([0, 0, 7, 120])),
        "blackout_days": draw(st.lists(days, max_size=3)),
    }
    if draw(st.booleans()):
        schedule["valid_from"] = draw(days)
    if draw(st.booleans()):
        schedule["valid_until"] = max(draw(days), schedule.get("valid_from", ""))
    validate_schedule(schedule)
    return {
        "schedule": schedule,
        "after": after,
        "taken": draw(st.lists(near, max_size=8)),
        "seed": draw(st.text(max_size=3)),
        "posts_per_day": draw(st.sampled_from([0, 1, 2, 50])),
        "min_gap": timedelta(minutes=draw(st.sampled_from([0, 1, 120, 1440]))),
        "used": set(draw(st.lists(near, max_size=2))),
    }


@settings(max_examples=20, deadline=None)
@given(cases())
def test_it_yields_what_the_slow_model_yields(case: dict[str, Any]) -> None:
    found = list(next_slots(**case))
    given_free = [slot.at for slot in found if not slot.refusal]
    # Some of them given away before, so that "taken" is met.
    again = {**case, "taken": [*case["taken"], *given_free[::3]]}
    assert given_free == model(**case)
    assert [slot.at for slot in next_slots(**again) if not slot.refusal] == model(**again)
    times = [slot.at for slot in found]
    assert times == sorted(times)
    assert found == list(next_slots(**case))


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "America/Nuuk"])
def test_a_year_of_a_slot_a_day_has_each_local_day_once(zone: str) -> None:
    """Whatever the clocks do: no day twice, none left out, and never before its wall time."""
    for wall in ("00:00", "00:30", "02:15", "02:30", "12:00", "23:59"):
        found = slots(daily(wall, zone=zone), "2026-01-01T12:00", count=360)
        local = [slot.at.astimezone(ZoneInfo(zone)) for slot in found]
        days = [at.date() for at in local]
        assert days == [days[0] + timedelta(days=number) for number in range(360)]
        assert all(f"{at:%H:%M}" >= wall for at in local)
