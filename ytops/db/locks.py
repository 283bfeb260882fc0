"""Locks that hold between processes, and are gone with the process that held them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from django.db.backends.base.base import BaseDatabaseWrapper


def exclusive_until_commit(connection: BaseDatabaseWrapper, name: str) -> None:
    """Hold the lock `name` of this database to the end of the transaction; waits for it.

    A statement of its own, so that those after it see what the holder before has committed.
    SQLite needs none: its transaction began with the one write lock that there is.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [crc32(name.encode())])


@contextmanager
def exclusive(connection: BaseDatabaseWrapper, name: str) -> Iterator[None]:
    """Hold the lock `name` of this database; waits for whoever has it.

    PostgreSQL: an advisory lock of the session. SQLite: a lock on a file beside the database.
    """
    if connection.vendor == "postgresql":
        number = crc32(name.encode())
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [number])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    else:
        with file_lock(Path(f"{connection.settings_dict['NAME']}.{name}.lock")):
            yield


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock on this file, which is made if need be and stays.

    BlockingIOError if another has it and we do not `wait`."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
