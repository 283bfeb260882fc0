"""When the videos of a channel are published: what is taken, what is free, and why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from channels_app.models import Channel
from channels_app.schedule import HORIZON, Slot, next_slots, validate_schedule
from videos_app.conf import MIN_GAP_MINUTES, POSTS_PER_DAY
from videos_app.models import Video
from ytops.db.strict_json import validate_object

# A local day has up to 25 hours, and the longest gap is 24.
LOOKING_BACK = timedelta(days=2)


def assign(video: Video) -> datetime | None:
    """Give a video the next free instant of its channel, or None: `why_none()` says why.

    A time to come that it has already stays. The channel's row is locked until the transaction
    ends, so that no other video gets the same instant; outside of one it is refused with a
    TransactionManagementError.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError("An instant is assigned in a transaction only.")
    channels = Channel.objects.select_for_update(no_key=True).annotate(now=Now())
    channel: Any = channels.get(pk=video.channel_id)
    now: datetime = channel.now
    times = _times(channel, now)
    own, _ = times.pop(video.pk, (None, None))
    if own is not None and own > now:
        video.scheduled_for = own
        return own
    at = None if schedule_problem(channel) else _first_free(channel, now, times)
    if at is not None:
        Video.objects.filter(pk=video.pk).update(scheduled_for=at)
        video.scheduled_for = at
    return at


@dataclass(frozen=True)
class Preview:
    """What a channel publishes next, and by which rules. `zone` is None without a schedule."""

    zone: ZoneInfo | None
    posts_per_day: int
    min_gap_minutes: int
    slots: list[Slot]  # ends with the last free one
    why_no_more: str

    @property
    def rules(self) -> str:
        return (
            f"{self.zone.key if self.zone else 'no time zone'}, "
            f"at most {self.posts_per_day} a day (publish.posts_per_day), "
            f"at least {self.min_gap_minutes} min apart (publish.min_gap_minutes)"
        )

    def by_free_slot(self) -> Iterator[tuple[Slot, list[Slot]]]:
        """Each free slot with those that are passed over before it."""
        passed_over: list[Slot] = []
        for slot in self.slots:
            if slot.refusal:
                passed_over.append(slot)
            else:
                yield slot, passed_over
                passed_over = []


def upcoming(channel: Channel, now: datetime, count: int) -> Preview:
    """The next `count` free instants; fewer, if there are no more within a year."""
    why = _never(channel, now)
    readable = not schedule_problem(channel) and channel.schedule
    shown: list[Slot] = []
    passed_over: list[Slot] = []
    for slot in () if why else _slots(channel, now, _times(channel, now)):
        passed_over.append(slot)
        if slot.refusal:
            continue
        shown += passed_over
        passed_over = []
        count -= 1
        if not count:
            break
    else:
        why = why or _no_more(channel, now, shown, passed_over)
    return Preview(
        zone=ZoneInfo(channel.schedule["timezone"]) if readable else None,
        posts_per_day=POSTS_PER_DAY.get(channel),
        min_gap_minutes=MIN_GAP_MINUTES.get(channel),
        slots=shown,
        why_no_more=why,
    )


def why_none(channel: Channel, now: datetime | None = None) -> str:
    """Why a channel has no free instant; empty if it has one."""
    return upcoming(channel, now or timezone.now(), 1).why_no_more


def taken(channel: Channel, now: datetime) -> list[datetime]:
    """When its videos were or will be published, from LOOKING_BACK on.

    A published video counts once, when it was.
    """
    return _taken(_times(channel, now))


def schedule_problem(channel: Channel) -> str:
    """What is wrong with a schedule that was stored by other hands."""
    try:
        validate_object(channel.schedule)
        validate_schedule(channel.schedule)
    except ValidationError as error:
        return f"The schedule of {channel} is wrong: {' '.join(error.messages)}"
    return ""


def local_time(channel: Channel, at: datetime) -> str:
    """As "Tue 24 Nov 2026, 18:00 Europe/Berlin"; in UTC for a channel without a zone."""
    has_zone = channel.schedule and not schedule_problem(channel)
    zone = ZoneInfo(channel.schedule["timezone"] if has_zone else "UTC")
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} {zone.key}"


Times = dict[Any, tuple[datetime | None, datetime | None]]


def _times(channel: Channel, now: datetime) -> Times:
    """Video → when it is scheduled and when it was published."""
    since = now - LOOKING_BACK
    recent = Q(scheduled_for__gte=since) | Q(published_at__gte=since)
    rows = Video.objects.filter(recent, channel_id=channel.pk).order_by()
    found = rows.values_list("pk", "scheduled_for", "published_at")
    return {pk: (scheduled, published) for pk, scheduled, published in found}


def _taken(times: Times) -> list[datetime]:
    either = (published or scheduled for scheduled, published in times.values())
    return [at for at in either if at is not None]


def _slots(channel: Channel, now: datetime, times: Times) -> Iterator[Slot]:
    return next_slots(
        channel.schedule,
        now,
        _taken(times),
        seed=str(channel.pk),
        posts_per_day=POSTS_PER_DAY.get(channel),
        min_gap=timedelta(minutes=MIN_GAP_MINUTES.get(channel)),
        # The database takes an instant once a channel, even if its video was published earlier.
        used={scheduled for scheduled, _ in times.values() if scheduled},
    )


def _first_free(channel: Channel, now: datetime, times: Times) -> datetime | None:
    free = (slot.at for slot in _slots(channel, now, times) if not slot.refusal)
    return next(free, None)


def _never(channel: Channel, now: datetime) -> str:
    """Why no slot can be free, whatever is taken."""
    if wrong := schedule_problem(channel):
        return wrong
    schedule = channel.schedule
    if not schedule:
        return f"{channel} has no schedule."
    if not any(schedule["slots"].values()):
        return f"The schedule of {channel} has no slots."
    today, last = now.astimezone(ZoneInfo(schedule["timezone"])).date(), schedule.get("valid_until")
    if last and last < today.isoformat():
        return f"The schedule of {channel} ended on {last}."
    return "" if POSTS_PER_DAY.get(channel) else f"publish.posts_per_day of {channel} is 0."


def _no_more(channel: Channel, now: datetime, shown: list[Slot], passed_over: list[Slot]) -> str:
    horizon = (now + HORIZON).astimezone(ZoneInfo(channel.schedule["timezone"])).date()
    last = channel.schedule.get("valid_until")
    if last and last < horizon.isoformat():
        return (
            f"The schedule of {channel} has no {'other ' if shown else ''}free slot until {last}."
        )
    why = f": the next one is passed over, {passed_over[0].refusal}" if passed_over else ""
    return f"{channel} has no {'other ' if shown else ''}free slot within a year{why}."
