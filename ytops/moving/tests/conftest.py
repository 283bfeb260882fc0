"""A SQLite database with something of everything, and places in PostgreSQL to move it to."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import override_settings

from settings_app.models import ConfigurationChange, SystemConfiguration
from stats_app.models import VideoStatistics
from ytops.db.secrets import Secret
from ytops.moving.tests.moves import SERVER_URL, Server, as_default, name_of, url_of
from ytops.tests import examples

HARD_TEXT = "tab\t newline\n return\r backslash \\ \\N \\. quote ' \" 😀 é \x7f \x01 ,-"
HARD_JSON = {
    "é 😀": "\t\n\\ \" ' \\N",
    "z": [100.0, 1e-7, -0.5, 0, -0.0, 10**18, 12345678901234567890, 0.1, 1.5e15],
    "a": {"b": None, "c": [True, False, {}], "": ""},
}


@pytest.fixture(autouse=True)
def no_database_of_the_test(django_db_setup: Any, django_db_blocker: Any) -> Iterator[None]:
    """They make their own, which the marker `django_db` would not let them open."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def filled(tmp_path_factory: Any, django_db_blocker: Any) -> Path:
    """A SQLite file with rows in every table. Copy it before a change."""
    file: Path = tmp_path_factory.mktemp("copydb") / "filled.sqlite3"
    with django_db_blocker.unblock(), as_default(url_of(file)):
        call_command("migrate", verbosity=0)
        fill()
    return file


def fill() -> None:
    user = User.objects.create_user("operator", password="x", last_login=None)
    User.objects.create_user("gone").delete()
    group = Group.objects.create(name="Operators")
    group.permissions.add(*Permission.objects.all()[:3])
    user.groups.add(group)
    user.user_permissions.add(Permission.objects.all()[4])
    for key in ("b" * 32, "Ä" * 8, "a" * 32, "B" * 32):
        expires = datetime(2026, 1, 2, tzinfo=UTC)
        Session.objects.create(session_key=key, session_data=HARD_TEXT, expire_date=expires)
    rows = [examples.one_of_each(number) for number in range(3)]
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get(model="channel"),
        object_id="1",
        object_repr=HARD_TEXT[:200],
        action_flag=CHANGE,
    )
    row = next(iter(rows[0].values()))
    row.parameters, row.description = HARD_JSON, HARD_TEXT
    row.save()
    examples.channel(name="Without", credentials=None)
    with override_settings(FERNET_KEYS=["older-key-for-tests-only-0123456789"]):
        examples.channel(name="Older key")
    with override_settings(FERNET_KEYS=["a-key-that-is-gone-0123456789-0123456789"]):
        examples.channel(name="Key is gone")
        secret = Secret.encrypt("a token")
    SystemConfiguration.objects.filter(key="github.token").update(secret=secret)
    made = examples.video()
    noon = datetime(2026, 2, 28, 12, tzinfo=UTC)
    times = [noon + timedelta(days=1, microseconds=step) for step in (0, 1, 100, 120_000, 999_999)]
    VideoStatistics.objects.bulk_create(
        VideoStatistics(video=made, timestamp=time, view_count=2**63 - 1) for time in times
    )
    ConfigurationChange.objects.create(key="a.b", by="x", through="admin", old=0, new=HARD_JSON)
    ConfigurationChange.objects.create(key="a.b", by="x", through="admin", old="", new=[])


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "source.sqlite3"
    with sqlite3.connect(filled) as whole, sqlite3.connect(copy) as into:
        whole.backup(into)
    whole.close()
    into.close()
    return copy


@pytest.fixture(scope="session")
def server(django_db_setup: Any) -> Iterator[Server]:
    server = Server(SERVER_URL)
    yield server
    server.drop()


@pytest.fixture(scope="session")
def migrated(server: Server, django_db_blocker: Any) -> str:
    """The name of a database that `migrate` has been run on."""
    url = server.create()
    with django_db_blocker.unblock(), as_default(url):
        call_command("migrate", verbosity=0)
    return name_of(url)


@pytest.fixture
def target(server: Server, migrated: str) -> str:
    """The URL of a database that is migrated and has no rows else."""
    return server.create(template=migrated)


@pytest.fixture
def empty(server: Server) -> str:
    """The URL of a database without tables."""
    return server.create()
