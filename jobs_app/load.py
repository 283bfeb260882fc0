"""How much the queue has to do, and how much of it may run."""

from datetime import timedelta
from typing import Any

from channels_app.models import Channel
from jobs_app import conf
from jobs_app.models import VideoProcessingJob
from jobs_app.states import JobKind

COUNTS = ("due", "later", "running", "stuck", "failed")


def load() -> dict[str, Any]:
    """For JSON: the whole system, each kind, and each kind of each channel that has jobs of it.

    Two statements, whatever there is; ages are in seconds, by the clock of the database.
    """
    names = ("name", "is_active", "settings")
    channels = {channel.pk: channel for channel in Channel.objects.only(*names)}
    lanes = [
        lane(channels[row.pop("channel_id")], row)
        for row in VideoProcessingJob.objects.counted()
        if row["channel_id"] in channels
    ]
    lanes.sort(key=lambda one: (one["channel"], one["channel_id"], one["kind"]))
    return {
        "paused": conf.PAUSED.get(),
        "running": sum(one["running"] for one in lanes),
        "max_concurrent": conf.MAX_CONCURRENT.get(),
        "kinds": [total(kind, lanes) for kind in JobKind.values],
        "channels": lanes,
    }


def lane(channel: Channel, row: dict[str, Any]) -> dict[str, Any]:
    age: timedelta | None = row.pop("oldest_due")
    return {
        "channel": channel.name,
        "channel_id": str(channel.pk),
        "is_active": channel.is_active,
        "max_concurrent": conf.MAX_CONCURRENT_PER_CHANNEL.get(channel),
        **row,
        "oldest_due_seconds": None if age is None else round(age.total_seconds()),
    }


def total(kind: str, lanes: list[dict[str, Any]]) -> dict[str, Any]:
    of_it = [one for one in lanes if one["kind"] == kind]
    ages = [one["oldest_due_seconds"] for one in of_it if one["due"]]
    return {
        "kind": kind,
        **{name: sum(one[name] for one in of_it) for name in COUNTS},
        "oldest_due_seconds": max(ages, default=None),
    }
