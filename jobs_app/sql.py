"""The one statement that Django's ORM cannot say: which job is next. One text for both databases.

The ORM has neither WITH RECURSIVE nor the comparison of rows. With them the claim looks at the
head of each lane (the queued jobs of a channel, kind and priority, by `run_at`) and at nothing
behind it: its cost is that of the lanes, whatever stands in them. A head that is not due says
that its whole lane is not.
"""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection

from channels_app.models import Channel

NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
# Of the due heads the highest priority; among equals the channel that was served longest ago, so
# that none waits for another's backlog.
NEXT_JOB = """
WITH RECURSIVE lanes (id, channel_id, kind, priority, run_at) AS (
    SELECT id, channel_id, kind, priority, run_at FROM video_processing_jobs WHERE id = (
        SELECT id FROM video_processing_jobs WHERE status = 'queued'
        ORDER BY channel_id, kind, priority, run_at, id LIMIT 1)
    UNION ALL
    SELECT head.id, head.channel_id, head.kind, head.priority, head.run_at
    FROM lanes JOIN video_processing_jobs head ON head.id = (
        SELECT id FROM video_processing_jobs queued
        WHERE status = 'queued' AND (queued.channel_id, queued.kind, queued.priority)
            > (lanes.channel_id, lanes.kind, lanes.priority)
        ORDER BY queued.channel_id, queued.kind, queued.priority, queued.run_at, queued.id LIMIT 1)
), busy AS (
    SELECT channel_id, COUNT(*) AS jobs FROM video_processing_jobs
    WHERE status = 'running' GROUP BY channel_id
)
SELECT lanes.id FROM lanes
JOIN channels ON channels.id = lanes.channel_id AND channels.is_active
LEFT JOIN busy ON busy.channel_id = lanes.channel_id
WHERE lanes.run_at <= {now} AND lanes.kind IN ({kinds})
    AND COALESCE((SELECT SUM(jobs) FROM busy), 0) < %s
    AND COALESCE(busy.jobs, 0) < CASE lanes.channel_id {overrides} ELSE %s END
ORDER BY lanes.priority DESC, (
    SELECT MAX(started_at) FROM video_processing_jobs served
    WHERE served.channel_id = lanes.channel_id) NULLS FIRST, lanes.run_at, lanes.id
LIMIT 1
"""


def next_job(
    kinds: Collection[str], most: int, most_a_channel: int, overrides: Mapping[Channel, int]
) -> Any:
    """The key of the queued job that is next, or None; in a transaction that holds the claim."""
    pk = Channel._meta.pk
    caps = [
        value
        for channel, cap in overrides.items()
        for value in (pk.get_db_prep_value(channel.pk, connection), cap)
    ]
    statement = NEXT_JOB.format(
        now=NOW[connection.vendor],
        kinds=", ".join(["%s"] * len(kinds)),
        overrides="WHEN %s THEN %s " * len(overrides) or "WHEN NULL THEN 0",
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*kinds, most, *caps, most_a_channel])
        row = cursor.fetchone()
    return row and row[0]
