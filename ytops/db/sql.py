"""The SQL that Django's ORM cannot say, for both databases, each statement with its reason.

These are the few that every job passes, so there is a second reason: the ORM takes longer to write
such a statement than the database to run it.
"""

import json
from datetime import datetime
from functools import cache
from typing import Any, Self
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

FRAGMENTS = {
    "postgresql": {
        "now": "STATEMENT_TIMESTAMP()",
        "now_in_full": "STATEMENT_TIMESTAMP()",
        "end": "GREATEST(STATEMENT_TIMESTAMP(), started_at)",
        "lease_end": "STATEMENT_TIMESTAMP() + %(lease)s * INTERVAL '1 second'",
        "json": "::jsonb",
        # Not now(): that is when the transaction began, and it may have waited for the row since.
        "appended": "processing_history || jsonb_build_array(%(entry)s::jsonb || "
        "jsonb_build_object('at', to_char(clock_timestamp() AT TIME ZONE 'UTC', "
        '\'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"\')))',
        "kinds": "jsonb_array_elements_text(%(kinds)s::jsonb) AS wanted (value)",
        "first_head": """CROSS JOIN LATERAL (
        SELECT * FROM video_processing_jobs queued
        WHERE queued.status = 'queued' AND queued.kind = wanted.value
        ORDER BY queued.channel_id, queued.priority, queued.run_at, queued.id LIMIT 1) head""",
        "next_head": """CROSS JOIN LATERAL (
        SELECT * FROM video_processing_jobs queued
        WHERE queued.status = 'queued' AND queued.kind = lanes.kind
            AND (queued.channel_id, queued.priority) > (lanes.channel_id, lanes.priority)
        ORDER BY queued.channel_id, queued.priority, queued.run_at, queued.id LIMIT 1) head""",
        "then_join": "JOIN",
        "and_is_free": """AND id = (
        SELECT job.id FROM video_processing_jobs job JOIN videos ON videos.id = job.video_id
        WHERE job.id = %(id)s FOR NO KEY UPDATE SKIP LOCKED)""",
        "by_status": "",
    },
    "sqlite": {
        "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
        # Times are compared as text, and Python writes six digits.
        "now_in_full": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now') || '000'",
        "end": "MAX(STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now'), started_at)",
        "lease_end": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %(lease)s || ' seconds')",
        "json": "",
        "appended": "json_insert(processing_history, '$[#]', json_insert(%(entry)s, '$.at', "
        "STRFTIME('%%Y-%%m-%%dT%%H:%%M:%%f+00:00', 'now')))",
        "kinds": "json_each(%(kinds)s) AS wanted",
        "first_head": """JOIN video_processing_jobs head ON head.rowid = (
        SELECT queued.rowid FROM video_processing_jobs queued INDEXED BY jobs_lanes
        WHERE queued.status = 'queued' AND queued.kind = wanted.value
        ORDER BY queued.channel_id, queued.priority, queued.run_at, queued.id LIMIT 1)""",
        # Not by a comparison of rows: SQLite would read the lane to its end.
        "next_head": """JOIN video_processing_jobs head ON head.rowid = COALESCE((
        SELECT queued.rowid FROM video_processing_jobs queued INDEXED BY jobs_lanes
        WHERE queued.status = 'queued' AND queued.kind = lanes.kind
            AND queued.channel_id = lanes.channel_id AND queued.priority > lanes.priority
        ORDER BY queued.priority, queued.run_at, queued.id LIMIT 1), (
        SELECT queued.rowid FROM video_processing_jobs queued INDEXED BY jobs_lanes
        WHERE queued.status = 'queued' AND queued.kind = lanes.kind
            AND queued.channel_id > lanes.channel_id
        ORDER BY queued.channel_id, queued.priority, queued.run_at, queued.id LIMIT 1))""",
        "and_is_free": "",
        "then_join": "CROSS JOIN",  # not first: there are fewer lanes to look at
        "by_status": "INDEXED BY jobs_by_status",
    },
}

# Which job is next: WITH RECURSIVE. It looks at the head of each lane
# (the queued jobs of a kind, channel and priority, by `run_at`) and at nothing behind it, so that
# it costs as much as there are lanes, whatever stands in them; a head that is not due says that
# its whole lane is not. Of the due heads the highest priority comes first; among equals the
# channel that was served longest ago, so that none waits for another's backlog.
NEXT_JOBS = """
WITH RECURSIVE lanes (id, video_id, channel_id, kind, priority, attempts, max_attempts, run_at) AS (
    SELECT head.id, head.video_id, head.channel_id, head.kind, head.priority, head.attempts,
        head.max_attempts, head.run_at
    FROM {kinds} {first_head}
    UNION ALL
    SELECT head.id, head.video_id, head.channel_id, head.kind, head.priority, head.attempts,
        head.max_attempts, head.run_at
    FROM lanes {next_head}
), busy AS (
    SELECT channel_id, COUNT(*) AS jobs FROM video_processing_jobs {by_status}
    WHERE status = 'running' GROUP BY channel_id
)
SELECT lanes.id, lanes.video_id, lanes.channel_id, lanes.kind, lanes.priority, lanes.attempts,
    lanes.max_attempts, COALESCE(busy.jobs, 0), channels.name, channels.settings
FROM lanes {then_join} channels ON channels.id = lanes.channel_id
LEFT JOIN busy ON busy.channel_id = lanes.channel_id
WHERE channels.is_active AND lanes.run_at <= {now_in_full}
    AND COALESCE((SELECT SUM(jobs) FROM busy), 0) < %(most)s
ORDER BY lanes.priority DESC, (
    SELECT MAX(served.started_at) FROM video_processing_jobs served
    WHERE served.channel_id = lanes.channel_id) NULLS FIRST, lanes.run_at, lanes.id
LIMIT %(limit)s
"""

# A job that starts, unless somebody has touched it since it was found or holds it or its video,
# for whom the claims of all others would wait: an UPDATE with RETURNING.
START_JOB = """
UPDATE video_processing_jobs
SET status = 'running', worker = %(worker)s, attempts = attempts + 1, progress = 0,
    lease_token = %(token)s, lease_expires_at = {lease_end}, github_workflow_run_id = NULL,
    started_at = {now}, updated_at = {now}
WHERE id = %(id)s AND status = 'queued' AND attempts = %(attempts)s {and_is_free}
RETURNING attempts
"""

# A job that succeeds: an UPDATE with RETURNING, for whether it was to be cancelled.
SUCCEED_JOB = """
UPDATE video_processing_jobs
SET status = 'succeeded', progress = 100, result = %(result)s{json},
    error_message = CASE WHEN cancel_requested_at IS NULL THEN '' ELSE error_message END,
    finished_at = {end}, lease_token = NULL, lease_expires_at = NULL, updated_at = {now}
WHERE id = %(id)s AND status = 'running' AND lease_token = %(token)s
RETURNING cancel_requested_at, error_message
"""

# A new job, unless one of its video and kind is live: ON CONFLICT with RETURNING.
QUEUE_JOB = """
INSERT INTO video_processing_jobs (id, created_at, updated_at, video_id, channel_id, kind, status,
    priority, run_at, attempts, max_attempts, backoff_seconds, progress, worker, error_message,
    result)
VALUES (%(id)s, {now}, {now}, %(video)s, %(channel)s, %(kind)s, 'queued', %(priority)s,
    COALESCE(%(run_at)s, {now}), 0, %(max_attempts)s, %(backoff_seconds)s, 0, '', '', '{{}}')
ON CONFLICT DO NOTHING RETURNING id
"""

# A move: one entry more at the end of a JSON list, with the database's time in it.
MOVE_VIDEO = """
UPDATE videos SET status = %(to)s, processing_history = {appended}, updated_at = {now}
WHERE id = %(id)s AND status = %(start)s RETURNING id
"""


class PreparedCursor(psycopg.Cursor[Any]):
    """Has the server keep the plan: Django's cursors have each statement planned anew, which takes
    longer than these run.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        return super().execute(query, params, prepare=True, **options)

    def _convert_query(self, *args: Any, **options: Any) -> Any:
        self._query = super()._convert_query(*args, **options)  # what Django logs
        return self._query


@cache
def _written(statement: str, vendor: str) -> str:
    return statement.format(**FRAGMENTS[vendor])


def run(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run one of the above; the rows that it returns, as the driver reads them."""
    database = connections[DEFAULT_DB_ALIAS]
    text = _written(statement, database.vendor)
    plain = {name: _plain(value, database) for name, value in values.items()}
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.cursor = PreparedCursor(database.connection)
        cursor.execute(text, plain)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _plain(value: Any, database: BaseDatabaseWrapper) -> Any:
    """As the driver takes it."""
    if isinstance(value, UUID):
        return value.hex if database.vendor == "sqlite" else value
    if isinstance(value, datetime):
        return database.ops.adapt_datetimefield_value(value)
    return json.dumps(value) if isinstance(value, dict | list) else value
