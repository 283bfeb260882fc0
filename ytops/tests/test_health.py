import json
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import Settings

from ytops.tests.processes import answer_of_server, manage, scratch_database


@pytest.mark.django_db
def test_ok(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_migrations_to_apply(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("videos_app", "0001_create_videos")
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "migrations to apply",
        "migrations": ["videos_app.0001_create_videos"],
    }


@pytest.mark.django_db
def test_plain_http_is_enough_for_it_alone(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/healthz").status_code == 200
    response = Client().get("/admin/")
    assert response.status_code == 301
    assert response["Location"].startswith("https://")


def test_the_answer_never_says_where_the_database_is(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: MigrationRecorder) -> None:
        raise OperationalError('connection to "db.internal" failed for user "prod"')

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", fail)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {"status": "the database does not answer"}


def test_a_real_server(tmp_path: Path) -> None:
    with scratch_database(tmp_path) as url:
        assert manage("migrate", "-v0", DATABASE_URL=url).returncode == 0
        status, body = answer_of_server("/healthz", DATABASE_URL=url)
        assert (status, json.loads(body)) == (200, {"status": "ok"})
