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


def overriding(setting: Setting[Any], most: int) -> tuple[int, list[str]]:
    """How many have a value of their own for this setting, one that holds; the first names."""
    rows = _model.objects.filter(settings__has_key=setting.key).order_by("name")
    count, names = 0, []
    for name, settings in rows.values_list("name", "settings").iterator():
        if isinstance(settings, dict) and setting.accepts(settings[setting.key]):
            count += 1
            if count <= most:
                names.append(name)
    return count, names


def count() -> int:
    return int(_model.objects.count())
