"""The proof of a copy: each row as each database renders it in its own SQL, side by side."""

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ytops.backup.refusals import Refusal
from ytops.moving.columns import Column, Json, Words, number
from ytops.moving.databases import Source
from ytops.moving.tables import Table, Tick

# What is held of each side at a time: rows, and of those with texts so many characters and a row.
MANY, LONG = 1000, 1 << 17
# A byte that no text has: it stands for NULL in what is hashed.
NULL = "\udcff"

Row = tuple[str | None, ...]


class Differs(Refusal):
    """The copy is not what was copied."""


class Rendering:
    """One column of text for all values that are plain, then one for each text and JSON."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.plain = [column for column in table.columns if column.plain]
        self.own = [column for column in table.columns if not column.plain]
        self.json = [place for place, column in enumerate(self.own, 1) if isinstance(column, Json)]

    def statement(self, render: Callable[[Column], str], order: str) -> str:
        plain = " || ',' || ".join(f"coalesce({render(column)}, '-')" for column in self.plain)
        shown = [plain or "''", *map(render, self.own)]
        return f"SELECT {', '.join(shown)} FROM {self.table.name} ORDER BY {order}"

    def of_sqlite(self, source: Source) -> Iterator[Row]:
        statement = self.statement(lambda column: column.of_sqlite, self.table.key.name)
        return iter(source.rows(statement))

    def of_postgresql(self) -> str:
        order = self.table.key.name
        if isinstance(self.table.key, Words):
            order += ' COLLATE "C"'  # as SQLite sorts
        statement = self.statement(lambda column: column.of_postgresql, order)
        return f"COPY ({statement}) TO STDOUT"

    def some(self, rows: Iterator[Row]) -> list[Row]:
        """The next ones."""
        if not self.own:
            return list(islice(rows, MANY))
        taken: list[Row] = []
        size = 0
        for row in rows:
            taken.append(row)
            size += sum(map(len, filter(None, row)))
            if size >= LONG or len(taken) == MANY:
                break
        return taken

    def canonical(self, row: Row) -> Row:
        """JSON without what both databases are free to write as they like."""
        values = list(row)
        for place in self.json:
            if (text := values[place]) is not None:
                values[place] = canonical(text)
        return tuple(values)

    def differs_at(self, ours: Row, theirs: Row) -> str:
        """The first column whose value is not the same."""
        pairs = [
            *zip(self.plain, str(ours[0]).split(","), str(theirs[0]).split(","), strict=True),
            *zip(self.own, ours[1:], theirs[1:], strict=True),
        ]
        return next(str(column.label) for column, our, their in pairs if our != their)

    def key(self, row: Row) -> str:
        if not self.table.shows_its_key:
            return "(its key is not shown)"
        return str(row[0]).split(",")[self.plain.index(self.table.key)]


def prove(source: Source, target: BaseDatabaseWrapper, table: Table, tick: Tick) -> str:
    """The SHA-256 of all rows, alike on both sides. Differs names the first row that is not."""
    rendering = Rendering(table)
    ours, theirs = sha256(), sha256()
    count = 0
    our_rows = rendering.of_sqlite(source)
    with target.wrap_database_errors, target.cursor() as cursor:
        copied: Any = cursor.copy(rendering.of_postgresql())
        with copied as reader:
            their_rows: Iterator[Row] = reader.rows()
            while True:
                our = rendering.some(our_rows)
                # As many; where we have no more, one that is too many.
                their = list(islice(their_rows, len(our) or 1))
                if rendering.json:
                    our, their = (list(map(rendering.canonical, rows)) for rows in (our, their))
                if our != their:
                    raise Differs(
                        f"the copy of {table.label} is not what was copied: "
                        f"{difference(rendering, our, their)}; the target is empty"
                    )
                if not our:
                    break
                update(ours, our)
                update(theirs, their)
                count += len(our)
                tick(table, count)
    if ours.digest() != theirs.digest():
        raise Differs(f"the hashes of {table.label} differ; the target is empty")
    return ours.hexdigest()


def difference(rendering: Rendering, ours: list[Row], theirs: list[Row]) -> str:
    for our, their in zip(ours, theirs, strict=False):
        if our != their:
            keys = rendering.key(our), rendering.key(their)
            if keys[0] != keys[1]:
                return f"where the source has row {keys[0]} the target has row {keys[1]}"
            return f"row {keys[0]}, {rendering.differs_at(our, their)} is not the same"
    longer, which = (ours, "target") if len(ours) > len(theirs) else (theirs, "source")
    row = longer[min(len(ours), len(theirs))]
    return f"row {rendering.key(row)} is not in the {which}"


def update(digest: Any, rows: list[Row]) -> None:
    """With NUL behind each value: no text has one."""
    values = [NULL if value is None else value for value in chain.from_iterable(rows)]
    digest.update(("\0".join(values) + "\0").encode("utf-8", "surrogateescape"))


def canonical(text: str) -> str:
    return canonical_of_short(text) if len(text) < 200 else canonical_of(text)


def canonical_of(text: str) -> str:
    """Equal for JSON that says the same, its numbers compared to the last digit."""
    value = json.loads(text, parse_int=marked, parse_float=marked)
    return json.dumps(value, sort_keys=True)


def marked(digits: str) -> str:
    """A number, as a text that no text can be: PostgreSQL has none with NUL."""
    return f"\0{number(digits)}"


canonical_of_short = lru_cache(maxsize=1024)(canonical_of)
