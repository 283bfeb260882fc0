"""Secrets by the key that opens them, and how all of them come under the newest one.

It runs beside the site, and beside another one of itself: a row is read without a lock, and written
only if it still holds what was read, so that whoever edits it meanwhile wins. A batch is one short
transaction that never waits for a row while it holds others: nothing that the site does can end in
a deadlock with it. Killed anywhere, it leaves each row under the one key or the other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DatabaseError, connection, transaction
from django.db.models import Model, QuerySet

from ytops.db import strict_json
from ytops.db.fields import SecretField
from ytops.db.secret_columns import secret_columns
from ytops.db.secrets import ciphers, opened_by, signing_keys

BATCH = 1000  # rows
NAMED = 20  # of all the rows that need a key
PATIENCE, PAUSE = 20.0, 0.2  # seconds
# SQLite may hold text where another tool wrote it, and then maybe none that can be read as such.
CONTENT = {"sqlite": "CAST({secret} AS BLOB)", "postgresql": "{secret}"}
# Nor need a primary key be one that can be read.
KEY = {"sqlite": "rowid", "postgresql": "{primary}"}
ROW = "SELECT {primary} FROM {table} WHERE {key} = %s"
COUNT = "SELECT COUNT({secret}) FROM {table}"
READ = """SELECT {key}, {content} FROM {table}
    WHERE {secret} IS NOT NULL {behind} ORDER BY {key} LIMIT {batch}"""
# `updated_at` stays: nobody has edited the row.
WRITE = "UPDATE {table} SET {secret} = %s WHERE {key} = %s AND {content} = %s"

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Column:
    model: type[Model]
    secret: SecretField
    database: Any

    def sql(self, statement: str, **parts: Any) -> str:
        quote, vendor = self.database.ops.quote_name, self.database.vendor
        secret, primary = quote(self.secret.column), quote(self.model._meta.pk.column)
        return statement.format(
            table=quote(self.model._meta.db_table),
            primary=primary,
            key=KEY[vendor].format(primary=primary),
            secret=secret,
            content=CONTENT[vendor].format(secret=secret),
            **parts,
        )

    def count(self) -> int:
        with self.database.cursor() as cursor:
            cursor.execute(self.sql(COUNT))
            return int(cursor.fetchone()[0])

    def batches(self) -> Iterator[list[tuple[Any, bytes]]]:
        """Keys, as the driver has them, and contents."""
        behind, last = "", list[Any]()
        while True:
            with self.database.cursor() as cursor:
                cursor.execute(self.sql(READ, behind=behind, batch=BATCH), last)
                rows = cursor.fetchall()
            yield rows
            if len(rows) < BATCH:
                return
            behind = self.sql("AND {key} > %s")
            last = [rows[-1][0]]

    def write(self, changes: list[tuple[bytes, Any, bytes]]) -> int:
        """How many rows still had the content (last) for which there is a new one (first)."""
        if not changes:
            return 0
        with transaction.atomic(using=self.database.alias):
            if self.database.features.has_select_for_update_skip_locked:
                free = self.free([key for _, key, _ in changes])
                changes = [change for change in changes if change[1] in free]
            with self.database.cursor() as cursor:
                cursor.executemany(self.sql(WRITE), changes)
                return cursor.rowcount if changes else 0

    def free(self, keys: list[Any]) -> set[Any]:
        """Those of these rows that nobody else has locked; they are locked now."""
        rows = self.rows().filter(pk__in=keys)
        rows = rows.select_for_update(skip_locked=True, no_key=True)
        return set(rows.values_list("pk", flat=True))

    def rows(self) -> QuerySet[Any]:
        return self.model._base_manager.using(self.database.alias)

    def place(self, key: Any) -> str:
        """Where a row's secret is: table, natural key or else primary key, column."""
        name = [self.sql("{key}").strip('"') + f" {key}"]
        try:
            [row] = self.rows().raw(self.sql(ROW), [key])
            name = row.natural_key() if hasattr(row, "natural_key") else [str(row.pk)]
        except (ObjectDoesNotExist, ValidationError, ValueError, TypeError, DatabaseError):
            pass  # deleted meanwhile, or bad in more than its secret
        words = " ".join(strict_json.line(part) for part in name)
        return f"{self.model._meta.db_table} {words} {self.secret.column}"


@dataclass
class Rows:
    count: int = 0
    places: list[str] = field(default_factory=list)  # of the first NAMED


Found = dict[str | None, Rows]


def columns(database: Any = connection) -> list[Column]:
    return [Column(model, secret, database) for model, secret in secret_columns()]


def count() -> int:
    return sum(column.count() for column in columns())


def rotate(seen: Progress) -> tuple[int, Found]:
    """Bring every secret that a key of FERNET_KEYS opens under the newest one.

    How many it wrote, and what it then found. Rows that somebody else had locked, or wrote under an
    older key meanwhile, have another PATIENCE seconds.
    """
    deadline = monotonic() + PATIENCE
    written = rotate_once(seen)
    while behind(found := survey(seen)) and monotonic() < deadline:
        sleep(PAUSE)
        written += rotate_once(seen)
    return written, found


def rotate_once(seen: Progress) -> int:
    keys, signing, written = ciphers(), signing_keys(), 0
    newest = next(iter(keys))
    for column in columns():
        for rows in column.batches():
            changes = []
            for key, content in rows:
                name, time = opened_by(content, signing)
                if name is not None and name != newest:
                    plain = keys[name].decrypt(content)
                    # With the old time: that is when the secret was set.
                    changes.append((keys[newest].encrypt_at_time(plain, time), key, content))
            written += column.write(changes)
            seen(len(rows))
    return written


def survey(seen: Progress = lambda rows: None, database: Any = connection) -> Found:
    """What each key of FERNET_KEYS opens, newest first, and under None what no key opens."""
    keys = signing_keys()
    found: Found = {name: Rows() for name in [*keys, None]}
    newest = next(iter(keys))
    for column in columns(database):
        for rows in column.batches():
            for key, content in rows:
                name, _ = opened_by(content, keys)
                found[name].count += 1
                if name != newest and len(found[name].places) < NAMED:
                    found[name].places.append(column.place(key))
            seen(len(rows))
    return found


def behind(found: Found) -> int:
    """How many secrets are under an older key than the newest."""
    _, *older = [rows.count for name, rows in found.items() if name is not None]
    return sum(older)
