"""Every app's tables come, go and come again; the migrations say what they do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

pytestmark = pytest.mark.django_db

# Each stands on those before it.
APPS = ["settings_app", "channels_app", "videos_app", "jobs_app", "stats_app"]
SCRATCH = "scratch"
LIFE = [
    ("channels_app", "Channel"),
    ("videos_app", "Video"),
    ("jobs_app", "VideoProcessingJob"),
]


@pytest.fixture(scope="module")
def scratch(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Any]:
    """A migrated database of its own: what fails here leaves the tests' database whole."""
    database: Any = connection.copy(SCRATCH)
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            database.settings_dict["NAME"] = str(tmp_path_factory.mktemp("db") / "scratch.sqlite3")
        else:
            database.settings_dict["NAME"] += "_scratch"
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {database.settings_dict['NAME']}")
        connections[SCRATCH] = database
        try:
            migrate_all(database)
            yield database
        finally:
            del connections[SCRATCH]
            database.close()
            if connection.vendor == "postgresql":
                database.close_pool()
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP DATABASE {database.settings_dict['NAME']}")


def migrate_all(database: Any) -> None:
    executor = MigrationExecutor(database)
    executor.migrate(executor.loader.graph.leaf_nodes())


def schema(database: Any) -> dict[str, Any]:
    """Table → columns and constraints, as the database itself says."""
    with database.cursor() as cursor:
        look = database.introspection
        return {
            table: (look.get_table_description(cursor, table), look.get_constraints(cursor, table))
            for table in look.table_names(cursor)
        }


def test_every_apps_tables_go_and_come_again_as_they_were(scratch: Any) -> None:
    before = schema(scratch)
    models = MigrationLoader(None).project_state().models
    try:
        for app in reversed(APPS):
            MigrationExecutor(scratch).migrate([(app, None)])
            own = {
                state.options["db_table"] for (label, _), state in models.items() if label == app
            }
            assert own
            assert not own & schema(scratch).keys()
    finally:
        migrate_all(scratch)
    assert schema(scratch) == before


def test_what_others_stand_on_goes_with_them(scratch: Any) -> None:
    try:
        call_command("migrate", "channels_app", "zero", database=SCRATCH, verbosity=0)
        left = schema(scratch).keys()
    finally:
        migrate_all(scratch)
    assert not {"channels", "videos", "video_processing_jobs", "video_statistics"} & left
    assert "system_configuration" in left


def test_a_publication_that_ran_without_a_lease_is_reviewed_and_not_queued(scratch: Any) -> None:
    before = ("jobs_app", "0001_create_processing_jobs")
    executor = MigrationExecutor(scratch)
    executor.migrate([before])
    models = executor.loader.project_state(before).apps
    rows = [models.get_model(*name).objects.using(SCRATCH) for name in LIFE]
    channels, videos, jobs = rows
    try:
        channel = channels.create(name="Cooking")
        for kind in ("download", "publish"):
            video = videos.create(channel=channel, source_url=kind, status="transformed")
            jobs.create(channel=channel, video=video, kind=kind, status="running")
        migrate_all(scratch)
        assert {job.kind: job.status for job in jobs.all()} == {
            "download": "queued",
            "publish": "failed",
        }
        reviewed = videos.get(status="needs_review")
        assert reviewed.source_url == "publish"
        assert reviewed.processing_history[-1]["to"] == "needs_review"
    finally:
        channels.all().delete()
        migrate_all(scratch)


def test_the_models_need_no_migration_that_is_not_there() -> None:
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)


def test_the_tests_ran_on_a_migrated_database() -> None:
    call_command("migrate", check_unapplied=True, verbosity=0)


@pytest.mark.parametrize("app", APPS)
def test_a_migration_says_what_it_does(app: str) -> None:
    names = [name for label, name in MigrationLoader(None).disk_migrations if label == app]
    assert names
    for name in names:
        assert re.fullmatch(r"\d{4}(_[a-z]+){2,}", name)
        assert not re.search(r"_(auto|initial)(_|$)", name)


@pytest.mark.parametrize("app", APPS)
def test_migrations_are_numbered_without_gap_or_fork(app: str) -> None:
    files = sorted(Path(__file__).parents[2].joinpath(app, "migrations").glob("[0-9]*.py"))
    numbers = [int(file.name[:4]) for file in files]
    assert numbers == list(range(1, len(files) + 1))
