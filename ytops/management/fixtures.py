"""Loading of a fixture that leaves alone what is there."""

from typing import Any

from django.conf import settings
from django.core import serializers
from django.db import transaction


def load_missing(name: str) -> int:
    """Add the rows of a fixture that are not there yet; how many were added.

    Unlike loaddata, which restores every row to what was shipped.
    """
    text = (settings.FIXTURE_DIRS[0] / f"{name}.json").read_text(encoding="utf-8")
    added = 0
    with transaction.atomic():
        for shipped in serializers.deserialize("json", text):
            model: Any = type(shipped.object)
            # The deserializer has looked up the key of a row by its natural key.
            if not model._base_manager.filter(pk=shipped.object.pk).exists():
                shipped.save()
                added += 1
    return added
