"""Every bad row of a SQLite file is told before anything is copied; what is not told can be."""

import random
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.test.utils import isolate_apps

from ytops.backup.refusals import DoesNotFit
from ytops.moving.columns import TYPES, Text, Words, column_of
from ytops.moving.tables import tables
from ytops.moving.tests.dirty import (
    NOT_UTF_8,
    ROWS,
    TWINS,
    VALUES,
    another_row,
    bound,
    loosen,
    told,
)


def test_clean_rows_are_not_told(source: Path) -> None:
    assert told(source) == []


def test_each_bad_row_is_told_by_table_key_column_and_why(source: Path) -> None:
    expected = []
    with closing(sqlite3.connect(source, isolation_level=None)) as file:
        loosen(file)
        file.execute("BEGIN")
        for table, column, value, why in VALUES:
            rowid = another_row(file, table)
            change = f"UPDATE {table} SET {column} = {bound(value)} WHERE rowid = {rowid}"
            file.execute(change, [value])
            expected.append((table, rowid, f"{column}: {why}"))
        for table, change, line in [*ROWS, *TWINS, *TWINS]:
            rowid = another_row(file, table)
            file.execute(f"UPDATE {table} SET {change} WHERE rowid = {rowid}")
            expected.append((table, rowid, line))
        file.execute("COMMIT")
    lines = told(source)
    assert not any("secret-token" in line for line in lines)
    for table, rowid, line in expected:
        pattern = rf"{table}( id \S+)? \(rowid {rowid}\), {re.escape(line)}"
        matching = [line for line in lines if re.match(pattern, line)]
        assert len(matching) == 1, (pattern, [line for line in lines if f"rowid {rowid})" in line])
        lines.remove(matching[0])
    assert lines == []


def made_up(chance: random.Random) -> Any:
    """A value that may be near to good."""
    pieces = [
        *("", "0", "1", "a", "\0", "é", "😀", " ", "{}", "[]", "null", "2026-01-01 00:00:00"),
        *("2026-02-29 10:11:12.123456", ".000", "+00:00", "9" * 20, "f" * 32, "0" * 31, "A"),
    ]
    kind = chance.randrange(5)
    if kind == 0:
        return chance.choice([None, 0, 1, 2, -1, 2**15, 2**31, 2**63 - 1, -(2**63), 1.0, 1.5, 9e99])
    text = "".join(chance.choices(pieces, k=chance.randrange(1, 4))).encode()
    if kind == 1:
        text += chance.choice(NOT_UTF_8)
    elif kind == 2:
        shape = "dddd-dd-dd dd:dd:dd" + chance.choice(["", ".ddd", ".dddddd"])
        text = re.sub("d", lambda _: chance.choice("0012"), shape).encode()
    return text if kind == 3 else Text(text)


def test_no_bad_value_passes_what_sql_looks_at() -> None:
    """Python judges only what SQL does not let pass."""
    chance = random.Random(7)
    columns = {
        (type(column), column.passes.replace(column.name, '"v"')): column
        for table in tables()
        for column in table.columns
        if column.refers_to is None
    }
    types: dict[str, Any] = SQLite.data_types
    judged: Counter[tuple[type, bool]] = Counter()
    with closing(sqlite3.connect(":memory:")) as file:
        file.text_factory = Text
        for (kind, passes), column in columns.items():
            # The type decides what SQLite makes of a value, and of one that it is compared with.
            declared = "text" if kind is Words else types[column.type.get_internal_type()]
            file.execute(f"CREATE TABLE t (v {declared})")
            values = [made_up(chance) for _ in range(400)]
            for value in values:
                file.execute(f"INSERT INTO t VALUES ({bound(value)})", [value])
            for stored, passed in file.execute(f"SELECT v, ({passes}) IS TRUE FROM t"):
                why = column.why_bad(stored)
                judged[kind, bool(why)] += 1
                assert not (passed and why), (column.label, stored, why)
            file.execute("DROP TABLE t")
    assert set(judged) == {(kind, bad) for kind in TYPES.values() for bad in (True, False)}


def test_a_type_of_column_that_is_not_known_is_named_by_its_field() -> None:
    with isolate_apps("ytops"):

        class Weighed(models.Model):  # noqa: DJ008
            weight = models.FloatField()

            class Meta:
                app_label = "ytops"

    with pytest.raises(DoesNotFit, match=r"^ytops\.Weighed\.weight is a FloatField, and how"):
        column_of(Weighed._meta.get_field("weight"))
