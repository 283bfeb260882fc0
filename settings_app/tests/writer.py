"""Transactions at random, half of them rolled back: `python -m settings_app.tests.writer KEY SEED
COUNT`. Even numbers alone are ever committed, each larger than the one before; what a transaction
writes before it ends is odd. The writer reads after every step, and must find what it wrote.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from random import Random
from time import monotonic
from typing import Any

import django
from django.db import connection, transaction

from settings_app.tests.threads import rolled_back

DEEPEST = 3
Commit = tuple[float, int]  # time.monotonic() after it, and the value


class Writer:
    """The one that writes a key; its row is there and holds 0."""

    def __init__(self, setting: Any, seed: int) -> None:
        from settings_app.models import SystemConfiguration

        self.setting = setting
        self.rows = SystemConfiguration.objects
        self.random = Random(seed)
        self.odd = count(1, 2)
        self.commits: list[Commit] = []

    def run(self, transactions: int) -> list[Commit]:
        committed = 0
        for number in range(1, transactions + 1):
            kept = self.random.random() < 0.5
            with self.one_that_ends(kept) as put:
                holds = self.wander(committed, put)
                if kept:
                    holds = put(2 * number)
                self.expect(holds)
            if kept:
                committed = 2 * number
                self.commits.append((monotonic(), committed))
            self.expect(committed)
        connection.close()
        return self.commits

    def expect(self, value: int) -> None:
        read = self.setting.get()
        if read != value:
            raise AssertionError(f"{self.setting.key} is {value}, and its writer reads {read}")

    @contextmanager
    def one_that_ends(self, kept: bool) -> Iterator[Any]:
        """A transaction of one kind or another; yields what may write in it."""
        by_hand = self.random.random() < 0.2
        if not by_hand:
            with transaction.atomic() if kept else rolled_back():
                yield self.put
            return
        begin = "BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN"
        with connection.cursor() as cursor:
            cursor.execute(begin)
            yield self.put_by_sql
            cursor.execute("COMMIT" if kept else "ROLLBACK")

    def wander(self, holds: int, put: Any, depth: int = 0) -> int:
        """Write, and open savepoints that are released or rolled back; what holds then."""
        for _ in range(self.random.randint(1, 3)):
            step = self.random.random()
            if step < 0.5 or depth == DEEPEST:
                holds = put(next(self.odd))
            elif connection.in_atomic_block:
                kept = self.random.random() < 0.5
                with self.savepoint(kept):
                    inner = self.wander(holds, put, depth + 1)
                holds = inner if kept else holds
            self.expect(holds)
        return holds

    @contextmanager
    def savepoint(self, kept: bool) -> Iterator[None]:
        if self.random.random() < 0.5:
            with transaction.atomic() if kept else rolled_back():
                yield
        else:
            name = transaction.savepoint()
            yield
            (transaction.savepoint_commit if kept else transaction.savepoint_rollback)(name)

    def put(self, value: int) -> int:
        how = self.random.choice([self.put_by_save, self.put_by_update, self.put_by_sql])
        return how(value)

    def put_by_save(self, value: int) -> int:
        row = self.rows.get(key=self.setting.key)
        row.value = value
        if self.random.random() < 0.5:
            row.save()
        else:
            self.rows.bulk_update([row], ["value"])
        return value

    def put_by_update(self, value: int) -> int:
        self.rows.filter(key=self.setting.key).update(value=value)
        return value

    def put_by_sql(self, value: int) -> int:
        statement = "UPDATE system_configuration SET value = %s WHERE key = %s"
        with connection.cursor() as cursor:
            cursor.execute(statement, [str(value), self.setting.key])
        return value


def declared(key: str) -> Any:
    from settings_app.registry import Setting

    return Setting(key, int, default=-1, help="For a test.")


if __name__ == "__main__":
    django.setup()
    key, seed, transactions = sys.argv[1:]
    print(json.dumps(Writer(declared(key), int(seed)).run(int(transactions))))
