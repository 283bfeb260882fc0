from collections.abc import Callable

import pytest

from settings_app.models import SystemConfiguration
from settings_app.registry import Setting


@pytest.fixture
def number(committing: None, declare: Callable[..., Setting[int]]) -> Setting[int]:
    """A setting, `test.number`, whose row holds 1."""
    SystemConfiguration.objects.create(key="test.number", value=1)
    return declare("test.number", int, default=0)
