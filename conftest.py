"""What every test may use."""

import gc
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client

from settings_app import registry, snapshot, static_layers
from settings_app.models import SystemConfiguration

PROVE = os.environ.get("YTOPS_PROVE") == "1"
# Playwright runs an event loop in the thread of the test, which also asks the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.fixture
def operator(db: Any) -> User:
    return User.objects.create_superuser("operator", password="operator")


@pytest.fixture
def page_of(operator: User, client: Client) -> Client:
    """A client that is logged in as the operator."""
    client.force_login(operator)
    return client


@pytest.fixture
def member(db: Any) -> Callable[[str], Client]:
    """Makes a client that is logged in as a member of the group of this name."""
    call_command("loaddata", "defaults", verbosity=0)

    def client_of(group: str) -> Client:
        user = User.objects.create_user(group, password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return client_of


@pytest.fixture(autouse=True)
def no_snapshot_of_another_test() -> None:
    snapshot.forget()


@pytest.fixture
def committing(db: Any) -> Iterator[None]:
    """Transactions of the test are its own; the settings' table is put back, without a flush."""
    in_the_test_s_transaction = connections["default"]
    in_the_test_s_transaction.close()
    connections["default"] = in_the_test_s_transaction.copy()
    rows = SystemConfiguration.objects
    before = list(rows.all())
    yield
    connection.close()
    with transaction.atomic():
        rows.all().delete()
        rows.bulk_create(before)
    connection.close()
    connections["default"] = in_the_test_s_transaction


@pytest.fixture
def declare() -> Iterator[Callable[..., registry.Setting[Any]]]:
    """Declare a setting for one test: `declare("test.key", int, default=1)`."""
    others = dict(registry._registered)
    yield partial(registry.Setting, help="For a test.")
    registry._registered.clear()
    registry._registered.update(others)
    static_layers._read.cache_clear()
    snapshot.forget()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if connection.vendor == "sqlite" or PROVE:
        return
    reason = "its database has little part in it: on SQLite, and in make prove on both"
    left_out = pytest.mark.skip(reason=reason)
    for item in items:
        if item.get_closest_marker("once"):
            item.add_marker(left_out)


def pytest_collection_finish() -> None:
    # What all tests share stays to the end: the collector need not look at it again and again.
    gc.freeze()


def pytest_report_header() -> str:
    return f"database: {connection.vendor}"
