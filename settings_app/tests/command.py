"""`manage.py config`, called in this process."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from settings_app.models import SystemConfiguration
from videos_app.conf import POSTS_PER_DAY

KEY = POSTS_PER_DAY.key


def config(*args: str) -> str:
    """What the command says; with "json" at the end, parsed by `answer`."""
    out = io.StringIO()
    call_command("config", *args, stdout=out, stderr=out)
    return out.getvalue().rstrip("\n")


def answer(*args: str) -> Any:
    return json.loads(config(*args, "--format", "json"))


def refusal(*args: str) -> str:
    with pytest.raises(CommandError) as refused:
        config(*args)
    assert refused.value.returncode == 1
    return str(refused.value)


def system_row(key: str = KEY) -> SystemConfiguration:
    return SystemConfiguration.objects.get(key=key)
