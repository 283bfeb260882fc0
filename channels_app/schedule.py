"""When a channel publishes: its time zone, its weekly slots, and the days it does not."""

import re
from datetime import date
from functools import lru_cache
from typing import Any, TypeGuard
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from ytops.db.nearest import did_you_mean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = ("timezone", "slots", "jitter_minutes", "blackout_days", "valid_from", "valid_until")
LONGEST_JITTER = 120
WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def default_schedule() -> dict[str, Any]:
    """What a new channel starts with: every day at 18:00 UTC."""
    return {"timezone": "UTC", "slots": {day: ["18:00"] for day in DAYS}}


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    # Both are in Debian's tzdata; neither says the same on every machine.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def validate_schedule(value: Any) -> None:
    """{} (no schedule), or an object with `timezone` and `slots`; every problem is named.

    The zone is an IANA name, never an offset, so that a slot keeps its wall time over DST.
    """
    if not isinstance(value, dict) or not value:
        return
    problems = [
        *_unknown(value, KEYS, "key"),
        *_zone(value.get("timezone")),
        *_slots(value.get("slots")),
        *_jitter(value.get("jitter_minutes", 0)),
        *_days(value),
    ]
    if problems:
        raise ValidationError(problems)


def _unknown(value: dict[str, Any], known: tuple[str, ...], what: str) -> list[str]:
    return [
        f'"{name}" is no {what} of a schedule; known: {", ".join(known)}.'
        f"{did_you_mean(str(name), known)}"
        for name in value
        if name not in known
    ]


def _zone(zone: Any) -> list[str]:
    if not isinstance(zone, str):
        return ['"timezone" is missing: expected an IANA name such as "Europe/Berlin".']
    if zone not in time_zones():
        return [
            f'"timezone": "{zone}" is no time zone; expected an IANA name such as "Europe/Berlin".'
            f"{did_you_mean(zone, time_zones())}"
        ]
    return []


def _slots(slots: Any) -> list[str]:
    if not isinstance(slots, dict):
        return ['"slots" is missing: expected days with times, such as {"tue": ["18:00"]}.']
    problems = _unknown(slots, DAYS, "day")
    for day, times in slots.items():
        if not isinstance(times, list):
            problems.append(f'"slots": "{day}" must be a list of times, such as ["18:00"].')
            continue
        problems += [
            f'"slots": "{day}" has {time!r}: expected a time from "00:00" to "23:59".'
            for time in times
            if not isinstance(time, str) or not WALL_TIME.fullmatch(time)
        ]
        problems += [
            f'"slots": "{day}" has "{time}" twice.'
            for number, time in enumerate(times)
            if isinstance(time, str) and time in times[:number]
        ]
    return problems


def _jitter(minutes: Any) -> list[str]:
    if type(minutes) is int and 0 <= minutes <= LONGEST_JITTER:
        return []
    return [f'"jitter_minutes" must be a whole number from 0 to {LONGEST_JITTER}.']


def _days(value: dict[str, Any]) -> list[str]:
    problems = []
    blackout = value.get("blackout_days", [])
    if not isinstance(blackout, list):
        problems.append('"blackout_days" must be a list of days, such as ["2026-12-24"].')
        blackout = []
    named = [("blackout_days", day) for day in blackout]
    named += [(name, value[name]) for name in ("valid_from", "valid_until") if name in value]
    bad = [
        f'"{name}" has {day!r}: expected a day such as "2026-12-24".'
        for name, day in named
        if not _is_day(day)
    ]
    first, last = value.get("valid_from"), value.get("valid_until")
    if _is_day(first) and _is_day(last) and first > last:
        problems.append('"valid_from" is later than "valid_until".')
    return problems + bad


def _is_day(text: Any) -> TypeGuard[str]:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
