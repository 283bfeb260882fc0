"""CHECK constraints in SQL that SQLite and PostgreSQL both have built in.

SQLite enforces neither the length of a varchar nor the range of a number nor the shape of JSON,
so the tables say all three. No SUBSTR(x, 1, …): a lone figure between commas in a table's SQL
makes Django's introspection of SQLite fail, and with it inspectdb and later migrations.
"""

from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator
from django.db.models import CheckConstraint, F, Q, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Length, StrIndex
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, LessThanOrEqual


def text_lengths(table: str, **limits: tuple[int, int | None]) -> CheckConstraint:
    """`field=(shortest, longest)` in characters, `longest` None for no limit; NULL passes.

    No text may hold U+0000: PostgreSQL refuses it by itself, and SQLite's LENGTH ends there.
    """
    condition, expected = Q(), []
    for name, (shortest, longest) in limits.items():
        length = Length(name)
        condition &= Q(GreaterThan(Length(Concat(F(name), Value("."))), length))
        if longest:
            condition &= Q(LessThanOrEqual(length, longest))
            expected.append(f"{name} {shortest} to {longest}")
        if shortest:
            condition &= Q(GreaterThanOrEqual(length, shortest))
    return CheckConstraint(
        condition=condition,
        name=f"{table}_text_lengths",
        violation_error_message=f"Expected characters: {', '.join(expected)}.",
    )


def starts_with(text: str | Combinable, prefix: str) -> Q:
    """Case-sensitive on both databases, which LIKE is not."""
    return Q(Exact(StrIndex(text, Value(prefix)), 1))


def json_shapes(table: str, **shapes: str) -> CheckConstraint:
    """`field="{"` for an object, `field="["` for a list; NULL passes."""
    condition, expected = Q(), []
    for name, opening in shapes.items():
        condition &= starts_with(Cast(F(name), TextField()), opening)
        expected.append(f"{name} a JSON {'object' if opening == '{' else 'list'}")
    return CheckConstraint(
        condition=condition,
        name=f"{table}_json_shapes",
        violation_error_message=f"Expected {', '.join(expected)}.",
    )


def one_of(table: str, field: str, values: list[str]) -> CheckConstraint:
    return CheckConstraint(
        condition=Q(**{f"{field}__in": values}),
        name=f"{table}_{field}_known",
        violation_error_message=f"Expected {field} to be one of {', '.join(values)}.",
    )


def in_range(table: str, field: str, lowest: int, highest: int) -> CheckConstraint:
    return CheckConstraint(
        condition=Q(**{f"{field}__gte": lowest, f"{field}__lte": highest}),
        name=f"{table}_{field}_in_range",
        violation_error_message=f"Expected {field} from {lowest} to {highest}.",
    )


def between(lowest: int, highest: int) -> list[BaseValidator]:
    """What `in_range` says, for the field: an error beside it in a form, alike on both."""
    return [MinValueValidator(lowest), MaxValueValidator(highest)]


def not_negative(table: str, *fields: str) -> CheckConstraint:
    condition = Q()
    for field in fields:
        condition &= Q(**{f"{field}__gte": 0}) | Q(**{f"{field}__isnull": True})
    return CheckConstraint(
        condition=condition,
        name=f"{table}_counts_not_negative",
        violation_error_message="A count cannot be negative.",
    )
