"""How a test asks whether a table, or `full_clean()`, refuses a row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction
from django.db.models import Model


@contextmanager
def refused_by_the_database() -> Iterator[None]:
    """SQLite says CHECK failed where PostgreSQL may say that the type has no such value."""
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        yield


def assert_not_storable(row: Model, **values: Any) -> None:
    """Past every form and validator: by UPDATE, and by INSERT of another row."""
    model: Any = type(row)
    with refused_by_the_database():
        model._base_manager.filter(pk=row.pk).update(**values)
    for name, value in values.items():
        setattr(row, name, value)
    row.pk = None
    with refused_by_the_database():
        model.objects.bulk_create([row])


def problems(row: Any) -> dict[str, list[str]]:
    """What full_clean() says, by field; none of it may be Django's bare name of a constraint."""
    try:
        row.full_clean()
    except ValidationError as error:
        found: dict[str, list[str]] = error.message_dict
        assert not any("Constraint “" in message for said in found.values() for message in said)
        return found
    return {}


def said_of(row: Any, field: str) -> str:
    return " ".join(problems(row).get(field, []))
