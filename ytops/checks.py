"""What `manage.py check` says of the project as a whole."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS

from ytops.backup.storage import folder, stored
from ytops.db import rotation

SHORTEST_KEY = 32


@register(Tags.security)
def fernet_keys_are_long(**kwargs: Any) -> list[CheckMessage]:
    """A key is stretched, never strengthened: a short one can be guessed."""
    return [
        Warning(
            f"Key {position} of FERNET_KEYS has fewer than {SHORTEST_KEY} characters.",
            hint="Make one with: manage.py rotate_keys --generate",
            id="ytops.W001",
        )
        for position, key in enumerate(settings.FERNET_KEYS, 1)
        if len(key) < SHORTEST_KEY
    ]


@register(Tags.database)
def fernet_keys_are_needed(
    databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Whoever finds a key that was kept for nothing can still read old copies with it."""
    if len(settings.FERNET_KEYS) == 1 or DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        _, *older = [(name, rows) for name, rows in rotation.survey().items() if name]
        idle = [name for name, rows in older if not rows.count]
        backups = stored() if idle else []
        is_missing = (place := folder()) and not place.is_dir()
    except Exception:  # of a database or a storage that is not ready: other checks say so
        return []
    if is_missing or any(backup.keys is None for backup in backups):
        return []  # nobody knows what is needed
    return [
        Warning(
            f"FERNET_KEYS holds key {name}, which neither a secret nor a stored backup needs.",
            hint="Take it out, as docs/KEYS.md says, unless it is a new one that is yet to come in "
            "front.",
            id="ytops.W002",
        )
        for name in idle
        if not any(name in (backup.keys or ()) for backup in backups)
    ]
