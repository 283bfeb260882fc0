"""What a claim and an end cost: statements, and rows that the database looks at."""

import re

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from jobs_app import conf
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.fleet import JOBS, claim, queued
from settings_app import snapshot
from ytops.tests import examples

ROWS = 4000
NUMBERS = (
    "(WITH RECURSIVE numbers (n) AS "
    f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS}) "
    "SELECT n FROM numbers) AS other"
)
TABLE = VideoProcessingJob._meta.db_table


def verbs(queries: CaptureQueriesContext) -> list[str]:
    words = [query["sql"].split()[0] for query in queries.captured_queries]
    return [word for word in words if word not in ("BEGIN", "COMMIT")]


def test_a_claim_and_its_end_are_a_handful_of_statements(
    shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the move, its history and the next job."""
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    queued()
    conf.PAUSED.get()
    lock = ["SELECT"] if connection.vendor == "postgresql" else []
    with CaptureQueriesContext(connection) as queries:
        job = claim()
    assert sorted(verbs(queries)) == [*lock, "UPDATE", "UPDATE", "WITH"]
    with CaptureQueriesContext(connection) as queries:
        job.complete()
    assert verbs(queries) == ["UPDATE", "UPDATE", "INSERT"]


@pytest.mark.django_db
class TestWithManyRows:
    @pytest.fixture(autouse=True)
    def _many_rows(self) -> None:
        """Two channels, each with as many videos, queued jobs and ended ones."""
        for number in range(2):
            video = examples.video(channel=examples.channel(name=f"Channel {number}"))
            copy(video, NUMBERS, source_url="row.source_url || other.n")
            videos = "videos AS other WHERE other.channel_id = row.channel_id"
            videos += " AND other.id != row.video_id"
            for kind, status in (("download", "queued"), ("transform", "succeeded")):
                job = examples.job(video, kind=kind, status=status, started_at=video.created_at)
                copy(job, videos, video_id="other.id")
        claim()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def test_the_claim_looks_at_the_heads_of_its_lanes_alone(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            claim()
        (statement,) = (q["sql"] for q in queries.captured_queries if "RECURSIVE" in q["sql"])
        plan = plan_of(statement)
        for index in ("jobs_lanes", "jobs_by_service"):
            assert index in plan, plan
        assert_no_job_is_read_in_vain(plan)

    @pytest.mark.parametrize("what", ["stuck", "old"])
    def test_the_others_that_run_all_the_time_have_an_index(self, what: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            JOBS.rescue() if what == "stuck" else JOBS.prune()
        for query in queries.captured_queries:
            assert_no_job_is_read_in_vain(plan_of(query["sql"]))


def copy(row: Model, others: str, **values: str) -> None:
    """This row once for each other one, by SQL, with a key and these columns of its own."""
    is_postgresql = connection.vendor == "postgresql"
    values |= {"id": "gen_random_uuid()" if is_postgresql else "LOWER(HEX(RANDOMBLOB(16)))"}
    names = [field.column for field in row._meta.concrete_fields]
    columns = ", ".join(values.get(name, f"row.{name}") for name in names)
    table, key = row._meta.db_table, row.pk if is_postgresql else row.pk.hex
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {columns} "
            f"FROM (SELECT * FROM {table} WHERE id = '{key}') AS row, {others}"
        )


def plan_of(statement: str) -> str:
    # The statements written by hand are seen as they are prepared.
    explain = "EXPLAIN (GENERIC_PLAN)" if "$1" in statement else "EXPLAIN"
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else explain
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {statement}".replace("%", "%%"), [])
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def assert_no_job_is_read_in_vain(plan: str) -> None:
    """SQLite names a table by its alias; what else it scans are rows that were just found."""
    jobs = rf"Seq Scan on {TABLE}|^SCAN ({TABLE}|head|queued|served)\b"
    assert not re.search(jobs, plan, re.MULTILINE), plan
