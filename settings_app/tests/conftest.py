from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

from settings_app.models import SystemConfiguration
from settings_app.registry import Setting


@pytest.fixture
def number(committing: None, declare: Callable[..., Setting[int]]) -> Setting[int]:
    """A setting, `test.number`, whose row holds 1."""
    SystemConfiguration.objects.create(key="test.number", value=1)
    return declare("test.number", int, default=0)


@pytest.fixture
def member(db: Any) -> Callable[[str], Client]:
    call_command("loaddata", "defaults", verbosity=0)

    def client_of(group: str) -> Client:
        user = User.objects.create_user(group, password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return client_of
