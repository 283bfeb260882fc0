"""Loading of a fixture that leaves alone what is there."""

from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction


def load_missing(name: str) -> int:
    """Add the rows of a fixture whose natural key is not there yet; how many were added.

    Unlike loaddata, which restores every row to what was shipped.
    """
    text = (settings.FIXTURE_DIRS[0] / f"{name}.json").read_text(encoding="utf-8")
    added = 0
    with transaction.atomic():
        for shipped in serializers.deserialize("json", text):
            model: Any = type(shipped.object)
            try:
                model._default_manager.get_by_natural_key(*model.natural_key(shipped.object))
            except ObjectDoesNotExist:
                shipped.save()
                added += 1
    return added
