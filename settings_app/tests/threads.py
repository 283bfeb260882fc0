"""Other threads, each with a connection of its own, and what tests of transactions share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.backends.signals import connection_created

from settings_app.snapshot import TABLE

T = TypeVar("T")


def at_once(count: int, function: Callable[[], T]) -> list[T]:
    """What this function returns in each of so many threads, all released together."""
    barrier = Barrier(count)

    def run(_: int) -> T:
        barrier.wait()
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def elsewhere(function: Callable[[], T]) -> T:
    return at_once(1, function)[0]


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint in one, that comes to nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def statements_seen() -> Iterator[list[str]]:
    """Every statement on the table of the settings, of all threads."""
    seen: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if TABLE in sql:
            seen.append(sql)
        return execute(sql, params, many, context)

    def watch(connection: Any, **kwargs: Any) -> None:
        if note not in connection.execute_wrappers:
            connection.execute_wrappers.append(note)

    connection_created.connect(watch)
    watch(connection)
    try:
        yield seen
    finally:
        connection_created.disconnect(watch)
        connection.execute_wrappers.remove(note)
