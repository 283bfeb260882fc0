"""What a worker reports of an error, as it may be kept: nothing takes it out of a history again."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from django.conf import settings

from channels_app.models import Channel
from settings_app.registry import registered
from ytops.db.secrets import MASK, CannotDecrypt, Secret

LONGEST = 4000
SHORTEST_SECRET = 8
SECRET_FIELDS = ("client_secret", "refresh_token", "token", "access_token", "private_key")


def as_reported(text: str, channel: Channel) -> str:
    """The text without our secrets, and not without end."""
    text = without_secrets(text, channel)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def without_secrets(text: str, channel: Channel) -> str:
    found: str = masked(text, channel)
    return found


def masked(value: Any, channel: Channel) -> Any:
    """JSON, with the secrets in each of its texts masked."""
    return _masked(value, sorted(known_secrets(channel), key=len, reverse=True))


def _masked(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, dict):
        return {_masked(key, secrets): _masked(part, secrets) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, secrets) for part in value]
    return value


def known_secrets(channel: Channel) -> Iterator[str]:
    """What a library may have put into its message: the channel's credentials, and our own.

    Each as it is, as in an address or the body of a form, and as in JSON.
    """
    handles = [setting.get() for setting in registered().values() if setting.secret]
    found: list[Any] = [settings.SECRET_KEY, *settings.FERNET_KEYS]
    found += [database.get("PASSWORD") for database in settings.DATABASES.values()]
    for secret in (channel.credentials, *handles):
        if isinstance(secret, Secret):
            try:
                found += secrets_in(secret.reveal())
            except CannotDecrypt:
                continue
    for text in found:
        if isinstance(text, str) and len(text) >= SHORTEST_SECRET:
            yield from {text, quote(text), quote(text, safe=""), json.dumps(text)[1:-1]}


def secrets_in(revealed: Any) -> Iterator[Any]:
    if isinstance(revealed, dict):
        yield from (revealed.get(name) for name in SECRET_FIELDS)
        for part in revealed.values():
            if isinstance(part, dict):
                yield from secrets_in(part)
    else:
        yield revealed
