"""The tables that are moved: those of all models, but for the record of migrations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db.models import Model

from ytops.moving.columns import Column, Integer, Key, column_of


@dataclass(frozen=True)
class Table:
    model: type[Model]
    columns: list[Column]
    key: Column

    @property
    def label(self) -> str:
        return self.model._meta.db_table

    @property
    def name(self) -> str:
        return f'"{self.label}"'

    @cached_property
    def shows_its_key(self) -> bool:
        """The key of a session opens it: such a row is named by its number alone."""
        return isinstance(self.key, Integer | Key)


# Told how many rows of a table are done.
Tick = Callable[[Table, int], None]


def tables() -> list[Table]:
    """With those that Django makes for relations of many to many."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        meta: Any = model._meta
        if meta.managed and not meta.proxy and not meta.swapped:
            columns = [column_of(field) for field in meta.local_concrete_fields]
            (key,) = (column for column in columns if column.field is meta.pk)
            found.append(Table(model, columns, key))
    return sorted(found, key=lambda table: table.label)
