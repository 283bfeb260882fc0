"""What every test may use."""

import os
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

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


def pytest_report_header() -> str:
    return f"database: {connection.vendor}"
