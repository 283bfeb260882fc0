"""The tables themselves: names, columns, indexes, and checks that any tool understands."""

import io
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory

from channels_app.models import Channel, Music, TransformationPreset
from jobs_app.models import VideoProcessingJob
from settings_app.models import SystemConfiguration
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.processes import manage

pytestmark = pytest.mark.django_db

BASE = {"id", "created_at", "updated_at"}
COLUMNS: dict[Any, tuple[str, set[str]]] = {
    Channel: (
        "channels",
        {
            *("name", "youtube_channel_id", "is_active", "credentials", "settings", "schedule"),
            *("filters", "metadata", "default_preset_id"),
        },
    ),
    TransformationPreset: (
        "transformation_presets",
        {"name", "description", "parameters", "is_active"},
    ),
    Music: ("music", {"title", "artist", "spotify_track_id", "file_path", "metadata"}),
    Video: (
        "videos",
        {
            *("channel_id", "source_url", "title", "status", "metadata", "processing_history"),
            *("preset_id", "music_id", "scheduled_for", "youtube_video_id", "published_at"),
        },
    ),
    VideoProcessingJob: (
        "video_processing_jobs",
        {
            *("video_id", "channel_id", "kind", "status", "priority", "run_at", "attempts"),
            *("max_attempts", "backoff_seconds", "progress", "worker", "lease_token"),
            *("lease_expires_at", "cancel_requested_at", "github_workflow_run_id"),
            *("error_message", "result", "started_at", "finished_at"),
        },
    ),
    ChannelStatistics: (
        "channel_statistics",
        {"channel_id", "timestamp", "subscriber_count", "view_count", "video_count"},
    ),
    VideoStatistics: (
        "video_statistics",
        {"video_id", "timestamp", "view_count", "like_count", "comment_count"},
    ),
    SystemConfiguration: ("system_configuration", {"key", "value", "encrypted", "secret"}),
}
TYPES = {
    "sqlite": {
        "UUIDField": "char(32)",
        "DateTimeField": "datetime",
        "JSONField": "text",
        "BinaryField": "blob",
        "BigIntegerField": "bigint",
        "BooleanField": "bool",
    },
    "postgresql": {
        "UUIDField": "uuid",
        "DateTimeField": "timestamp with time zone",
        "JSONField": "jsonb",
        "BinaryField": "bytea",
        "BigIntegerField": "bigint",
        "BooleanField": "boolean",
    },
}


@pytest.fixture(params=COLUMNS, ids=lambda model: model.__name__)
def model(request: pytest.FixtureRequest) -> Any:
    return request.param


def columns_of(table: str) -> dict[str, str]:
    """Name → type, as the database itself says."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, type FROM pragma_table_info(%s)", [table])
        else:
            cursor.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_name = %s",
                [table],
            )
        return {name: kind.lower() for name, kind in cursor.fetchall()}


def test_these_eight_are_all() -> None:
    ours = [f"{app}_app" for app in ("settings", "channels", "videos", "jobs", "stats")]
    models = {model for app in ours for model in apps.get_app_config(app).get_models()}
    assert models >= set(COLUMNS)
    assert {model._meta.db_table for model in models} >= {table for table, _ in COLUMNS.values()}


def test_a_table_has_its_name_and_its_columns(model: Any) -> None:
    table, columns = COLUMNS[model]
    assert model._meta.db_table == table
    assert columns_of(table).keys() == BASE | columns


def test_a_column_has_the_type_of_its_kind(model: Any) -> None:
    there = columns_of(model._meta.db_table)
    for field in model._meta.concrete_fields:
        kind = getattr(field, "target_field", field).get_internal_type()
        assert there[field.column] == TYPES[connection.vendor].get(kind, there[field.column])


def checks() -> dict[str, str]:
    """Name → SQL of every table or CHECK of ours, as the database keeps it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        else:
            cursor.execute(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
            )
        return dict(cursor.fetchall())


def test_every_constraint_of_the_models_is_in_the_database(model: Any) -> None:
    with connection.cursor() as cursor:
        there = connection.introspection.get_constraints(cursor, model._meta.db_table)
    assert {constraint.name for constraint in model._meta.constraints} <= there.keys()
    assert {index.name for index in model._meta.indexes} <= there.keys()


def test_django_can_read_the_tables_back(model: Any) -> None:
    """Later migrations do; a table's SQL on SQLite can make it fail."""
    out = io.StringIO()
    call_command("inspectdb", model._meta.db_table, stdout=out)
    for field in model._meta.concrete_fields:
        assert f"    {field.name} = models." in out.getvalue()


def test_no_check_needs_a_function_that_the_database_has_not_built_in() -> None:
    functions = {
        name.upper() for sql in checks().values() for name in re.findall(r"(\w+)\s*\(", sql or "")
    }
    assert not functions & {"REGEXP", "DJANGO_REGEXP"}
    assert not [sql for sql in checks().values() if " REGEXP " in (sql or "").upper()]


class TestWithoutDjango:
    @pytest.fixture
    def plain(self, tmp_path: Path) -> Iterator[sqlite3.Connection]:
        """A copy of the file as it is on disk, opened as any tool would."""
        name = connection.settings_dict["NAME"]
        if connection.vendor != "sqlite":
            name = f"{tmp_path}/plain.sqlite3"
            manage("migrate", "-v0", DATABASE_URL=f"sqlite:///{name}")
        copied = sqlite3.connect(":memory:")
        source = sqlite3.connect(name)
        source.backup(copied)
        source.close()
        yield copied
        copied.close()

    def test_the_file_is_sound(self, plain: sqlite3.Connection) -> None:
        assert plain.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []

    def test_a_row_goes_in_and_a_wrong_one_does_not(self, plain: sqlite3.Connection) -> None:
        insert = (
            "INSERT INTO channels (id, created_at, updated_at, name, is_active, settings, "
            "schedule, filters, metadata) VALUES (?, '2026-01-01', '2026-01-01', ?, 1, "
            "'{}', '{}', '{}', ?)"
        )
        plain.execute(insert, ["a" * 32, "Cooking", "{}"])
        for name, metadata in (("", "{}"), ("Cooking", "[]"), ("a" * 201, "{}"), ("a\x00", "{}")):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
                plain.execute(insert, ["b" * 32, name, metadata])
        assert plain.execute("SELECT name FROM channels").fetchall() == [("Cooking",)]


ROWS = 100


@pytest.fixture
def many() -> None:
    """Enough rows of every table for a plan to be worth making."""
    owner = examples.channel()
    Channel.objects.bulk_create(Channel(name=f"Channel {n % 50}") for n in range(ROWS))
    Music.objects.bulk_create(Music(title=f"Song {n}", artist=f"{n % 50}") for n in range(ROWS))
    TransformationPreset.objects.bulk_create(
        TransformationPreset(name=f"Preset {n}") for n in range(ROWS)
    )
    SystemConfiguration.objects.bulk_create(
        SystemConfiguration(key=f"a.b{n}", value=n) for n in range(ROWS)
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=n) for n in range(ROWS)]
    videos = Video.objects.bulk_create(
        Video(channel=owner, source_url=f"https://example.org/{n}", created_at=time)
        for n, time in enumerate(times)
    )
    VideoProcessingJob.objects.bulk_create(
        VideoProcessingJob(video=video, channel=owner, kind="download", created_at=time)
        for video, time in zip(videos, times, strict=True)
    )
    ChannelStatistics.objects.bulk_create(
        ChannelStatistics(channel=owner, timestamp=time) for time in times
    )
    VideoStatistics.objects.bulk_create(
        VideoStatistics(video=videos[0], timestamp=time) for time in times
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plan_of(rows: Any) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Of a few hundred rows the planner would rightly read and sort them all.
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        return str(rows.explain())


def sorts_all(plan: str) -> bool:
    """A sort within rows that the index has brought in order already is cheap, and passes."""
    if connection.vendor == "sqlite":
        return "USE TEMP B-TREE FOR ORDER BY" in plan
    return bool(re.search(r"(?<!Incremental )Sort  \(", plan))


@pytest.mark.usefixtures("many")
class TestListsInTheAdmin:
    def test_open_by_an_index(self, model: Any, rf: RequestFactory, operator: Any) -> None:
        request = rf.get("/")
        request.user = operator
        changes: ChangeList = admin.site._registry[model].get_changelist_instance(request)
        plan = plan_of(changes.queryset[:100])
        assert "index" in plan.lower()
        assert not sorts_all(plan), plan

    @pytest.mark.parametrize("listed", [Video, VideoProcessingJob])
    @pytest.mark.parametrize("field", ["status", "channel"])
    def test_filtered_open_by_an_index(self, listed: Any, field: str) -> None:
        value = Channel.objects.get(name="Cooking") if field == "channel" else "published"
        plan = plan_of(listed.objects.filter(**{field: value}).order_by("-created_at", "-pk")[:100])
        assert "index" in plan.lower()
        assert not sorts_all(plan), plan


def test_a_plan_that_sorts_is_told_from_one_that_does_not(many: None) -> None:
    assert sorts_all(plan_of(Video.objects.order_by("title")[:100]))
