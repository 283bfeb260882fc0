"""Every row of the SQLite file that PostgreSQL would not take, or would change."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import CheckConstraint, UniqueConstraint

from ytops.moving.columns import Column, Integer, Text, Time
from ytops.moving.databases import Source
from ytops.moving.tables import Table, Tick


@dataclass(frozen=True)
class Bad:
    """One reason why one row cannot be moved."""

    table: Table
    rowid: int
    key: Any
    what: str  # the column or the constraint
    why: str

    @property
    def look(self) -> str:
        """What shows the row in sqlite3."""
        return f"SELECT * FROM {self.table.label} WHERE rowid = {self.rowid}"

    def __str__(self) -> str:
        shows = self.table.shows_its_key and isinstance(self.key, int | Text)
        key = self.key.decode(errors="backslashreplace") if isinstance(self.key, Text) else self.key
        name = f" {self.table.key.label} {key!r}" if shows else ""
        return f"{self.table.label}{name} (rowid {self.rowid}), {self.what}: {self.why}"


def bad_rows(source: Source, tables: list[Table], tick: Tick) -> Iterator[Bad]:
    for table in tables:
        tick(table, 0)
        yield from bad_values(source, table)
        for column in table.columns:
            if column.refers_to is not None:
                yield from orphans(source, table, column)
        for fields, condition in unique_sets(source, table):
            yield from duplicates(source, table, fields, condition)


def bad_values(source: Source, table: Table) -> Iterator[Bad]:
    """What a column or a CHECK of the table does not take, in one pass."""
    checks = list(check_constraints(source, table))
    passes = [column.passes for column in table.columns]
    # A CHECK lets pass what is NULL.
    passes += [f"({condition}) IS NOT FALSE" for _, condition in checks]
    shown = ["rowid", *(column.name for column in table.columns)]
    shown += [f"({condition}) IS FALSE" for _, condition in checks]
    good = " AND ".join(passes)
    statement = f"SELECT {', '.join(shown)} FROM {table.name} WHERE ({good}) IS NOT TRUE"
    place = 1 + table.columns.index(table.key)
    last = 1 + len(table.columns)
    for row in source.rows(statement, text=Text):
        bad = set()
        for column, value in zip(table.columns, row[1:last], strict=True):
            if why := column.why_bad(value):
                bad.add(column.label)
                yield Bad(table, row[0], row[place], column.label, why)
        for (constraint, condition), is_broken in zip(checks, row[last:], strict=True):
            # One that breaks because of a value above says nothing new.
            if is_broken and not bad & set(re.findall(r'"(\w+)"', condition)):
                why = str(constraint.violation_error_message)
                yield Bad(table, row[0], row[place], constraint.name, f"is broken: {why}")


def check_constraints(source: Source, table: Table) -> Iterator[tuple[CheckConstraint, str]]:
    editor = source.connection.schema_editor(collect_sql=True)
    for constraint in table.model._meta.constraints:
        if isinstance(constraint, CheckConstraint):
            sql = constraint._get_check_sql(table.model, editor)  # type: ignore[attr-defined]
            yield constraint, sql


def orphans(source: Source, table: Table, column: Column) -> Iterator[Bad]:
    """Rows whose column names a row that is not there."""
    parent = column.refers_to.model._meta.db_table
    rows = source.rows(
        f"SELECT rowid, {table.key.name} FROM {table.name} AS child "
        f'WHERE {column.name} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "{parent}" AS parent '
        f'WHERE parent."{column.refers_to.column}" = child.{column.name})',
        text=Text,
    )
    for rowid, key in rows:
        yield Bad(table, rowid, key, column.label, f"names a row that {parent} does not have")


def unique_sets(source: Source, table: Table) -> Iterator[tuple[list[Column], str]]:
    """The columns of each key and unique constraint, and a condition.

    One on expressions is left to PostgreSQL, which would refuse the whole copy.
    """
    by_name = {column.field.name: column for column in table.columns}
    for column in table.columns:
        if column.field.unique and not (column is table.key and isinstance(column, Integer)):
            yield [column], "TRUE"
    for names in table.model._meta.unique_together:
        yield [by_name[name] for name in names], "TRUE"
    editor = source.connection.schema_editor(collect_sql=True)
    for constraint in table.model._meta.constraints:
        if isinstance(constraint, UniqueConstraint) and constraint.fields:
            sql = constraint._get_condition_sql(table.model, editor)  # type: ignore[attr-defined]
            yield [by_name[name] for name in constraint.fields], sql or "TRUE"


def duplicates(
    source: Source, table: Table, columns: list[Column], condition: str
) -> Iterator[Bad]:
    """Rows that are one to PostgreSQL; SQLite takes 10:00 and 10:00.000 for two times."""
    values = [column.name for column in columns]
    times = [column for column in columns if isinstance(column, Time)]
    unusual = " OR ".join(time.is_unusual for time in times)
    if times and source.value(f"SELECT EXISTS (SELECT 1 FROM {table.name} WHERE {unusual})"):
        values = [c.instant if isinstance(c, Time) else c.name for c in columns]
    row = ", ".join(values)
    filled = " AND ".join([f"({condition})", *(f"{column.name} IS NOT NULL" for column in columns)])
    groups = f"SELECT {row} FROM {table.name} WHERE {filled} GROUP BY {row} HAVING count(*) > 1"
    if source.rows(groups, text=Text).fetchone():
        rows = source.rows(
            f"SELECT rowid, {table.key.name} FROM {table.name} "
            f"WHERE {filled} AND ({row}) IN ({groups})",
            text=Text,
        )
        what = ", ".join(column.label for column in columns)
        for rowid, key in rows:
            yield Bad(table, rowid, key, what, "another row has the same: expected once")
