"""What `manage.py check` says of the project as a whole."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

SHORTEST_KEY = 32


@register(Tags.security)
def fernet_keys_are_long(**kwargs: Any) -> list[CheckMessage]:
    """A key is stretched, never strengthened: a short one can be guessed."""
    return [
        Warning(
            f"Key {position} of FERNET_KEYS has fewer than {SHORTEST_KEY} characters.",
            hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            id="ytops.W001",
        )
        for position, key in enumerate(settings.FERNET_KEYS, 1)
        if len(key) < SHORTEST_KEY
    ]
