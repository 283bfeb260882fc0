"""CHECK constraints in SQL that SQLite and PostgreSQL both have built in.

SQLite enforces neither the length of a varchar nor the shape of JSON, so the tables say both.
"""

from django.db.models import CharField, CheckConstraint, F, Q, TextField, Value
from django.db.models.functions import Cast, Length, Substr
from django.db.models.lookups import Exact, GreaterThanOrEqual, LessThanOrEqual


def text_lengths(table: str, **limits: tuple[int, int]) -> CheckConstraint:
    """`field=(shortest, longest)` in characters; NULL passes."""
    condition = Q()
    for name, (shortest, longest) in limits.items():
        length = Length(name)
        condition &= Q(LessThanOrEqual(length, longest))
        if shortest:
            condition &= Q(GreaterThanOrEqual(length, shortest))
    return CheckConstraint(condition=condition, name=f"{table}_text_lengths")


def starts_with(field: str, prefix: str) -> Q:
    """Case-sensitive on both databases, which LIKE is not."""
    return Q(Exact(Substr(field, 1, len(prefix), output_field=CharField()), Value(prefix)))


def json_shapes(table: str, **shapes: str) -> CheckConstraint:
    """`field="{"` for an object, `field="["` for a list; NULL passes."""
    condition = Q()
    for name, opening in shapes.items():
        first = Substr(Cast(F(name), TextField()), 1, 1)
        condition &= Q(Exact(first, Value(opening)))
    return CheckConstraint(condition=condition, name=f"{table}_json_shapes")


def one_of(table: str, field: str, values: list[str]) -> CheckConstraint:
    return CheckConstraint(condition=Q(**{f"{field}__in": values}), name=f"{table}_{field}_known")


def not_negative(table: str, *fields: str) -> CheckConstraint:
    condition = Q()
    for field in fields:
        condition &= Q(**{f"{field}__gte": 0}) | Q(**{f"{field}__isnull": True})
    return CheckConstraint(condition=condition, name=f"{table}_counts_not_negative")
