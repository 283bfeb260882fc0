"""When a channel publishes: its time zone, its weekly slots, and the days it does not."""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError

from ytops.db.nearest import did_you_mean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = ("timezone", "slots", "jitter_minutes", "blackout_days", "valid_from", "valid_until")
LONGEST_JITTER = 120
WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
HORIZON = timedelta(days=366)


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


@dataclass(frozen=True, slots=True)
class Slot:
    """An instant in UTC, and why it is passed over; None if it is free."""

    at: datetime
    refusal: str | None = None


def next_slots(
    schedule: dict[str, Any],
    after: datetime,
    taken: Iterable[datetime],
    *,
    seed: str,
    posts_per_day: int,
    min_gap: timedelta,
    used: Collection[datetime] = (),
) -> Iterator[Slot]:
    """The slots of a valid schedule later than `after`, in order, until HORIZON after it.

    `taken` are the publications so far and to come: each counts for the cap and the gap, and so
    does each free slot that was yielded. Those from two days before `after` on are enough. `used`
    are instants that cannot be given again although nothing is published then. The same `seed`
    yields the same jitter in every process. All times are aware.
    """
    if not schedule:
        return
    zone, blackout = ZoneInfo(schedule["timezone"]), set(schedule.get("blackout_days", ()))
    ahead = deque(sorted(taken))
    posts = Counter(at.astimezone(zone).date() for at in ahead)
    last: datetime | None = None
    for at in _instants(schedule, zone, after, seed):
        while ahead and ahead[0] <= at:
            last = ahead.popleft()
        day = at.astimezone(zone).date()
        refusal = _no_day(schedule, blackout, day)
        if not refusal and (at == last or at in used):
            refusal = "taken"
        if not refusal and posts[day] >= posts_per_day:
            refusal = _full(posts_per_day)
        refusal = refusal or _too_near(at, (last, ahead[0] if ahead else None), min_gap, zone)
        if not refusal:
            posts[day] += 1
            last = at
        yield Slot(at, refusal)


def _instants(
    schedule: dict[str, Any], zone: ZoneInfo, after: datetime, seed: str
) -> Iterator[datetime]:
    """In order, although jitter lets slots overtake one another and pass midnight."""
    walls = {
        DAYS.index(day): [time.fromisoformat(text) for text in times]
        for day, times in schedule["slots"].items()
    }
    longest = schedule.get("jitter_minutes", 0) * 60
    # A day before: zones lie up to 12 hours behind UTC, and jitter takes 2 at the most.
    first = after.astimezone(UTC).date() - timedelta(days=1)
    pending: list[datetime] = []
    for number in range(HORIZON.days + 3):
        day = first + timedelta(days=number)
        for wall in walls.get(day.weekday(), ()):
            # Through UTC: a time that the clocks skip is that much later, of two the first holds.
            at = datetime.combine(day, wall, zone).astimezone(UTC)
            heappush(pending, at + _jitter_of(seed, day, wall, longest))
        # No offset is as much as a day: what comes of later days is not before this midnight.
        midnight = datetime.combine(day, time(), UTC)
        while pending and pending[0] < midnight:
            at = heappop(pending)
            if after < at <= after + HORIZON:
                yield at


def _jitter_of(seed: str, day: date, wall: time, longest: int) -> timedelta:
    """0 to `longest` seconds."""
    digest = hashlib.sha256(f"{seed} {day} {wall:%H:%M}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (longest + 1))


def _no_day(schedule: dict[str, Any], blackout: set[str], day: date) -> str | None:
    text = day.isoformat()
    if text < schedule.get("valid_from", text):
        return f"before valid_from {schedule['valid_from']}"
    if text > schedule.get("valid_until", text):
        return f"after valid_until {schedule['valid_until']}"
    return "a blackout day" if text in blackout else None


def _full(posts_per_day: int) -> str:
    if not posts_per_day:
        return "publish.posts_per_day is 0"
    posts = "post" if posts_per_day == 1 else f"{posts_per_day} posts"
    return f"the day has its {posts} already (publish.posts_per_day)"


def _too_near(
    at: datetime,
    neighbours: tuple[datetime | None, datetime | None],
    min_gap: timedelta,
    zone: ZoneInfo,
) -> str | None:
    for other, side in zip(neighbours, ("after", "before"), strict=True):
        if other is not None and abs(at - other) < min_gap:
            local, minute = other.astimezone(zone), timedelta(minutes=1)
            same_day = local.date() == at.astimezone(zone).date()
            when = f"{local:%H:%M}" if same_day else f"{local:%H:%M on %a %d %b}"
            return (
                f"{abs(at - other) // minute} min {side} the one at {when}; "
                f"the least is {min_gap // minute} (publish.min_gap_minutes)"
            )
    return None
