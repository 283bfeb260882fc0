"""A fleet with many videos and jobs, written past the ORM: it is not what is measured."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from uuid_utils.compat import uuid7

CHANNELS, OTHERS = 60, 200
NOW = datetime.now(UTC)
BEFORE, LONG_BEFORE = NOW - timedelta(hours=1), NOW - timedelta(days=1)
VIDEO = {
    **{"id": None, "channel_id": None, "source_url": None, "created_at": NOW, "updated_at": NOW},
    **{"title": "A video", "status": "scraped", "metadata": "{}", "processing_history": "[]"},
}
JOB = {
    **{"id": None, "video_id": None, "channel_id": None, "status": None, "run_at": BEFORE},
    **{"created_at": LONG_BEFORE, "updated_at": LONG_BEFORE, "kind": "download", "priority": 0},
    **{"attempts": 0, "max_attempts": 5, "backoff_seconds": 60, "progress": 0, "worker": ""},
    **{"error_message": "", "result": "{}", "started_at": None, "finished_at": None},
}

STATISTICS = {
    **{"id": None, "video_id": None, "timestamp": None, "created_at": None, "updated_at": None},
    **{"view_count": None, "like_count": None, "comment_count": None},
}


def fill_statistics(count: int) -> None:
    """So many rows of statistics, of a thousand videos of the fleet; no two are alike."""
    channels = make_channels()
    fill(channels, 1000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM videos")
        videos = [UUID(str(id)) for (id,) in cursor.fetchall()]
    random = Random(count)

    def row(n: int) -> dict[str, Any]:
        asked = LONG_BEFORE + timedelta(minutes=n // len(videos), microseconds=n)
        created = asked + timedelta(microseconds=random.randrange(10**6))
        return {
            "id": uuid7(),
            "video_id": videos[n % len(videos)],
            "timestamp": asked,
            "created_at": created,
            "updated_at": created + timedelta(microseconds=random.randrange(100)),
            "view_count": random.randrange(10**9),
            "like_count": random.randrange(10**6),
            "comment_count": random.randrange(10**4),
        }

    insert("video_statistics", STATISTICS, map(row, range(count)))


def make_channels() -> list[Any]:
    """An empty fleet."""
    from channels_app.models import Channel

    with connection.cursor() as cursor:
        for table in ("video_processing_jobs", "video_statistics", "videos"):
            cursor.execute(f"DELETE FROM {table}")
    Channel.objects.all().delete()
    return Channel.objects.bulk_create(Channel(name=f"Channel {n}") for n in range(CHANNELS))


def fill(channels: list[Any], queued: int, *, ended: int = 0, ahead: bool = False) -> None:
    """`queued` jobs, each of its own video, and as many that have ended as `ended` says.

    Of all channels in turn; or, `ahead`, of the first one, and due before OTHERS of each of them.
    """
    turns = [channels[0 if ahead else n % CHANNELS] for n in range(queued)]
    if ahead:
        turns += channels * OTHERS
    videos = [(channel.pk, uuid7()) for channel in turns]
    insert(
        "videos", VIDEO, ({"id": id, "channel_id": c, "source_url": str(id)} for c, id in videos)
    )
    times = {"started_at": LONG_BEFORE, "finished_at": LONG_BEFORE}
    insert(
        "video_processing_jobs",
        JOB,
        (
            {"id": uuid7(), "video_id": id, "channel_id": c, "status": "succeeded", **times}
            for c, id in islice(videos, ended)
        ),
    )
    insert(
        "video_processing_jobs",
        JOB,
        (
            {
                "id": uuid7(),
                "video_id": id,
                "channel_id": c,
                "status": "queued",
                "run_at": LONG_BEFORE if n < queued else BEFORE,
            }
            for n, (c, id) in enumerate(videos)
        ),
    )


def insert(table: str, row: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
    columns = ", ".join(row)
    made = (tuple({**row, **values}.values()) for values in rows)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for values in made:
                    copy.write_row(values)
        else:
            marks = ", ".join(["%s"] * len(row))
            streamed: Any = map(plain, made)
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", streamed)


def plain(values: Iterable[Any]) -> list[Any]:
    """As Django writes them into SQLite."""
    written = []
    for value in values:
        if isinstance(value, datetime):
            value = str(value.replace(tzinfo=None))
        written.append(value.hex if isinstance(value, UUID) else value)
    return written
