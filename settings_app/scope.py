"""The objects that may override settings: a model of an app above, which registers it here.

It has `settings` (a JSON object, setting key → value) and a manager whose `find(text)` takes a name
or an id.
"""

from collections.abc import Iterator
from typing import Any

from settings_app.registry import Setting

_model: Any = None


def register(model: Any) -> None:
    global _model
    _model = model


def find(text: str) -> Any:
    """DoesNotExist names the nearest, MultipleObjectsReturned the ids."""
    return _model.objects.find(text)


def locked(pk: Any) -> Any:
    """For a change of its overrides, in a transaction."""
    return _model.objects.select_for_update(of=("self",)).get(pk=pk)


def with_overrides() -> Iterator[Any]:
    """Those that override anything, with what names them and their settings alone."""
    rows = _model.objects.exclude(settings={}).only("name", "settings").order_by("name", "pk")
    return iter(rows.iterator())


def overriding(setting: Setting[Any]) -> list[Any]:
    """Those with a value of their own for this setting, one that holds."""
    rows = _model.objects.filter(settings__has_key=setting.key).only("name", "settings")
    return [row for row in rows.order_by("name") if setting.accepts(row.settings[setting.key])]


def count() -> int:
    return int(_model.objects.count())
