"""What a process knows of the system's configuration: an immutable snapshot, at most a second old.

Why no reader can see a value that was not committed, nor one that is older than LONGEST_AGE:
a published snapshot is loaded outside of any transaction, by one statement, and its age counts from
before that statement. What is loaded inside a transaction serves that transaction alone. A write of
this process, whichever way Django sends it, is seen by an execute wrapper: it makes the snapshot
expire at the commit, and the transaction itself reads anew. A write of another process needs no
notice: the next renewal finds it.
"""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

LONGEST_AGE = 1.0  # seconds
TABLE = "system_configuration"
MOST_REPORTED = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    deadline: float  # of time.monotonic()
    values: Mapping[str, Any]

    def is_fresh(self) -> bool:
        return monotonic() < self.deadline


@dataclass(eq=False)
class OpenTransaction:
    """A transaction that reads for itself; it stands in its connection's list of commit hooks.

    Django takes it off that list when the transaction ends or its savepoint is rolled back.
    """

    connection: BaseDatabaseWrapper
    outer: "OpenTransaction | None" = None
    wrote: bool = False
    snapshot: Snapshot | None = None
    savepoints: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.savepoints = tuple(self.connection.savepoint_ids)
        if self.connection.in_atomic_block:
            self.connection.on_commit(self)

    def __call__(self) -> None:
        if self.wrote:
            expire()

    def is_open(self) -> bool:
        hooks = self.connection.run_on_commit
        same = connections[DEFAULT_DB_ALIAS] is self.connection
        return same and any(hook[1] is self for hook in hooks)


class _Thread(threading.local):
    """As Django's connections, a transaction belongs to one thread."""

    transaction: OpenTransaction | None = None


NOTHING = Snapshot(float("-inf"), {})
published = NOTHING
thread = _Thread()
_generation = 0
_outage = False
_reported: set[str] = set()
_state = threading.Lock()  # held for assignments alone
_loading = threading.Lock()  # held by the one thread that renews


def current() -> Snapshot:
    """The snapshot to read from, renewed if it is due. ImproperlyConfigured, DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    transaction = thread.transaction = _open_transaction()
    if _is_unmanaged(connection):
        thread.transaction = OpenTransaction(connection)
        return _load_or_keep()
    if transaction is None and published.is_fresh():
        return published
    if not connection.in_atomic_block:
        return _renew()
    if transaction is None:
        transaction = thread.transaction = OpenTransaction(connection)
    if transaction.snapshot is None or not transaction.snapshot.is_fresh():
        transaction.snapshot = _load_or_keep()
    return transaction.snapshot


def expire() -> None:
    """Make the published snapshot too old, and whatever is being loaded now unfit to publish."""
    global published, _generation
    with _state:
        _generation += 1
        published = Snapshot(NOTHING.deadline, published.values)


def forget() -> None:
    """Begin as a new process does."""
    global published, _outage
    expire()
    published = NOTHING
    _outage = False
    thread.transaction = None
    _reported.clear()


def report(problem: str) -> None:
    """Log a value that is passed over; once, not at every read."""
    if problem not in _reported:
        if len(_reported) >= MOST_REPORTED:
            _reported.clear()
        _reported.add(problem)
        logger.error("Passed over: %s", problem)


def _is_unmanaged(connection: BaseDatabaseWrapper) -> bool:
    """Whether a transaction is open that is not Django's: nothing will tell when it ends."""
    driver: Any = connection.connection
    if driver is None or connection.in_atomic_block:
        return False
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    return bool(driver.info.transaction_status)  # of libpq; 0 is idle


def _open_transaction() -> OpenTransaction | None:
    """This thread's own, after those that have ended were dropped."""
    transaction = thread.transaction
    while transaction is not None and not transaction.is_open():
        if transaction.wrote:
            expire()  # commit hooks that come before ours read already
        transaction = transaction.outer
    return transaction


def _load() -> Snapshot:
    from settings_app.layers import system_values  # which stands on settings, and they on this

    begun = monotonic()
    return Snapshot(begun + LONGEST_AGE, system_values())


def _renew() -> Snapshot:
    global published
    # In an outage one thread waits for the database; the others have what stands, unless this
    # process has written since.
    standing = published
    if not _loading.acquire(blocking=not _outage or standing.deadline == NOTHING.deadline):
        return standing
    try:
        if published.is_fresh():
            return published
        generation = _generation
        loaded = _load_or_keep()
        with _state:
            if generation == _generation:
                published = loaded
        return loaded
    finally:
        _loading.release()


def _load_or_keep() -> Snapshot:
    """A new snapshot, or the last values for another second if the database does not answer."""
    global _outage
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        loaded = _load()
    except Error as error:
        if not published.values:
            raise
        if connection.in_atomic_block or not _outage:
            cause = " ".join(str(error).split())
            logger.error("The configuration cannot be read; its last values stand: %s", cause)
        if not connection.in_atomic_block:  # else it may be that transaction alone
            _outage = True
            connection.close_if_unusable_or_obsolete()
        return Snapshot(monotonic() + LONGEST_AGE, published.values)
    if _outage:
        _outage = False
        logger.warning("The configuration can be read again.")
    return loaded


def notice_write(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute wrapper of the default connection: see every statement that may write the table."""
    try:
        return execute(sql, params, many, context)
    finally:
        statement = str(sql)
        if TABLE in statement and statement.lstrip()[:6].upper() != "SELECT":
            _note_write(context["connection"])


def _note_write(connection: BaseDatabaseWrapper) -> None:
    if not connection.in_atomic_block:
        expire()
        if _is_unmanaged(connection):
            thread.transaction = OpenTransaction(connection, wrote=True)
        return
    transaction = _open_transaction()
    if transaction is None or transaction.savepoints != tuple(connection.savepoint_ids):
        transaction = OpenTransaction(connection, outer=transaction)
    transaction.wrote = True
    transaction.snapshot = None
    thread.transaction = transaction


def watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of connection_created."""
    wrappers = connection.execute_wrappers
    if connection.alias == DEFAULT_DB_ALIAS and notice_write not in wrappers:
        # First, not last: `with connection.execute_wrapper(…)` takes off the last one.
        wrappers.insert(0, notice_write)


def _after_fork() -> None:
    """Another thread of the parent may have held them."""
    global _state, _loading
    _state, _loading = threading.Lock(), threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
