"""What the proof of a copy sees: every change of every kind of value, and nothing else."""

import random
import re
import sqlite3
import string
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from settings_app.models import ConfigurationChange
from ytops.moving.columns import number
from ytops.moving.copying import copy
from ytops.moving.databases import TARGET, TIMEOUTS, Source, opened_source, opened_target
from ytops.moving.proof import LONG, Differs, Rendering, canonical_of, prove
from ytops.moving.tables import tables
from ytops.moving.tests.dirty import NOT_UTF_8, another_row, loosen, told
from ytops.moving.tests.moves import changed, in_the_run_on_postgresql, name_of, url_of
from ytops.settings import database

in_the_run_on_postgresql()

DIFFERENCES = {
    "UPDATE video_statistics SET view_count = view_count - 1 WHERE view_count > 9": (
        r"video_statistics is not what was copied: row \w{32}, view_count is not the same"
    ),
    "UPDATE channels SET updated_at = updated_at + interval '1 microsecond'": (
        r"channels .* row \w{32}, updated_at is not the same"
    ),
    "UPDATE channels SET credentials = credentials || '='": "row .*, credentials is not the same",
    "UPDATE transformation_presets SET parameters = jsonb_set(parameters, '{z,7}', '0.10000001')": (
        "row .*, parameters is not the same"
    ),
    "UPDATE transformation_presets SET description = description || ' '": "description is not the",
    "UPDATE auth_user SET is_active = NOT is_active": "auth_user .* row 1, is_active is not",
    "UPDATE auth_user SET last_login = now()": "auth_user .* row 1, last_login is not the same",
    "UPDATE django_session SET session_data = '' WHERE session_key LIKE 'B%'": (
        r"row \(its key is not shown\), session_data is not"
    ),
    "DELETE FROM music WHERE id = (SELECT max(id::text)::uuid FROM music)": (
        "music .* row .* is not in the target"
    ),
    "DELETE FROM django_session WHERE session_key LIKE 'B%'": "django_session is not what",
    "INSERT INTO auth_group (id, name) VALUES (77, 'more')": "row 77 is not in the source",
    "INSERT INTO auth_group (id, name) VALUES (0, 'more')": (
        "where the source has row 1 the target has row 0"
    ),
}


def nothing(*args: Any) -> None:
    """Instead of progress."""


@contextmanager
def copied(source: Path, target: str) -> Iterator[tuple[Source, Any]]:
    with (
        opened_source(database(url_of(source))) as opened,
        opened_target(database(target), "the target") as into,
        transaction.atomic(using=TARGET),
    ):
        copy(opened, into, tables(), nothing)
        yield opened, into


def proofs(opened: Source, into: Any) -> dict[str, str]:
    return {table.label: prove(opened, into, table, nothing) for table in tables()}


def altered(opened: Source, into: Any, statement: str) -> None:
    """Change the target, prove it, and take the change back."""
    with transaction.atomic(using=TARGET):
        with into.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # it is no copy
            cursor.execute(statement)
            assert cursor.rowcount, statement
        proofs(opened, into)


def test_every_difference_is_named_by_table_row_and_column(source: Path, target: str) -> None:
    with copied(source, target) as (opened, into):
        same = proofs(opened, into)
        for statement, named in DIFFERENCES.items():
            with pytest.raises(Differs) as found:
                altered(opened, into, statement)
            assert re.search(named, str(found.value)), (statement, str(found.value))
        assert proofs(opened, into) == same


def test_sessions_of_the_target_are_not_ended_while_they_wait(source: Path, target: str) -> None:
    with opened_target(database(target), "it") as fresh, fresh.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name LIKE '%timeout'")
        names = {name for (name,) in cursor.fetchall()} & set(TIMEOUTS)
    assert "idle_session_timeout" in names
    for name in names:
        changed(target, f"ALTER DATABASE {name_of(target)} SET {name} = '1min'")
    with opened_target(database(target), "it") as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT current_setting(%s)", [name])
            assert cursor.fetchone() == ("0",), name


def test_a_batch_of_the_proof_ends_where_rows_are_long() -> None:
    [videos] = [table for table in tables() if table.label == "videos"]
    rows = iter([("1", "x" * LONG), ("2", None), ("3", "x"), ("4", "x" * LONG), ("5", "x")])
    sizes = [len(Rendering(videos).some(rows)) for _ in range(4)]
    assert sizes == [1, 3, 1, 0]


def test_numbers_are_compared_to_the_last_digit() -> None:
    assert number("100") == number("100.0") == number("1e2") == number("1.00E+2")
    assert number("-0.0") == number("0")
    assert number("12345678901234567890.1") != number("12345678901234567890.2")
    assert number("0.1") != number("0.1000000000000000000000000000000001")
    big = "9" * 100
    assert number(big) != number(big[:-1] + "8")


def test_json_is_the_same_whatever_its_order_and_escapes_and_never_by_chance() -> None:
    assert canonical_of(r'{"b": "\u00e9", "a": 1.0}') == canonical_of('{"a":1,"b":"é"}')
    for one, other in (
        ("1", '"1"'),
        ("[1]", '["1"]'),
        ("[]", "{}"),
        ("null", '"null"'),
        ("true", "1"),
        ("[1, 2]", "[2, 1]"),
    ):
        assert canonical_of(one) != canonical_of(other)


def test_what_is_not_told_arrives(source: Path, target: str) -> None:
    """Random rows; those that are told are deleted."""
    chance = random.Random(11)
    letters = [*string.printable, "\0", "é", "😀", "\x7f", "\x85", "\u2028", "\\N", "\\."]
    numbers = ["1", "-0.0", "1e2", "1E-5", "0.1", "123456789012345678901", "1e16", "1.0"]
    words = ['"\\u00e9"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\u0000"', '"\\n\\t\\\\"', '"é"']

    def text(longest: int) -> bytes:
        made = "".join(chance.choices(letters, k=chance.randrange(longest))).encode()
        return made + (chance.choice(NOT_UTF_8) if chance.random() < 0.05 else b"")

    def json_text() -> bytes:
        one, *more = chance.choices([*numbers, *words, "null", "true", "{}"], k=3)
        return f'{{"b": {one}, "a": [{", ".join(more)}], "a{chance.randrange(3)}": 1}}'.encode()

    def time() -> str:
        fraction = chance.choice(["", ".1", ".12", ".000", ".120", ".000000", ".999999"])
        return f"2026-0{chance.randrange(1, 4)}-{chance.randrange(1, 32):02} 10:00:00{fraction}"

    name = ConfigurationChange._meta.db_table
    change = (
        f"UPDATE {name} SET key = CAST(? AS text), channel_name = CAST(? AS text), "
        "old = CAST(? AS text), created_at = ? WHERE rowid = ?"
    )
    with closing(sqlite3.connect(source, isolation_level=None)) as file:
        loosen(file)
        file.execute("BEGIN")
        for _ in range(400):
            rowid = another_row(file, name)
            file.execute(change, [text(210), text(30), json_text(), time(), rowid])
        file.execute("COMMIT")
        bad = {int(rowid) for rowid in re.findall(r"rowid (\d+)", "\n".join(told(source)))}
        assert 40 < len(bad) < 360
        file.executemany(f"DELETE FROM {name} WHERE rowid = ?", [(rowid,) for rowid in bad])
    (table,) = (table for table in tables() if table.label == name)
    with copied(source, target) as (opened, into):
        assert prove(opened, into, table, nothing)
        assert opened.count(name) == 402 - len(bad)
