"""Secrets to rotate, and the command that rotates them, in this process."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from channels_app.models import Channel
from ytops.tests import examples

OLD, NEW = "old-key-for-tests-only-0123456789abc", "new-key-for-tests-only-0123456789abc"
LOST = "lost-key-for-tests-only-0123456789ab"
PLAIN, OTHER = {"client_secret": "kept to ourselves"}, {"client_secret": "another one"}
TOKEN = "github.token"


def put_in_front(settings: Settings) -> None:
    settings.FERNET_KEYS = [NEW, OLD]


def channels(count: int, **values: Any) -> list[Channel]:
    values = {"credentials": PLAIN, **values}
    return [examples.channel(name=f"Channel {number}", **values) for number in range(count)]


def rotate(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[int, str, str]:
    """Exit code, what stands on stdout, and the reason."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("rotate_keys", *arguments, stdout=out)
    return error.value.returncode, out.getvalue(), str(error.value)
