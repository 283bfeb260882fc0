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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ytops.startup import pool_warnings_kept

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
    """A transaction that reads for itself; one of Django's has it among its commit hooks.

    Django takes it off them when the transaction ends, or the savepoint that it began in is
    rolled back.
    """

    connection: BaseDatabaseWrapper
    wrote: bool = False
    snapshot: Snapshot | None = None
    generation: int = 0  # that the snapshot belongs to
    loaded_at: float = float("-inf")

    def __post_init__(self) -> None:
        if self.connection.in_atomic_block:
            self.connection.on_commit(self)
            hooks = self.connection.run_on_commit
            hooks.insert(0, hooks.pop())  # an error in one keeps those behind it from being called

    def __call__(self) -> None:
        if self.wrote:
            expire()

    def is_open(self) -> bool:
        if connections[DEFAULT_DB_ALIAS] is not self.connection:
            return False
        if not self.connection.in_atomic_block:
            return _is_unmanaged(self.connection)
        return any(hook[1] is self for hook in self.connection.run_on_commit)


class _Thread(threading.local):
    """As Django's connections, a transaction belongs to one thread."""

    transaction: OpenTransaction | None = None


NOTHING = Snapshot(float("-inf"), {})
published = NOTHING
thread = _Thread()
_generation = 0  # goes on with each commit of this process
_outage = False
_reported: set[str] = set()
_state = threading.Lock()  # held for assignments alone
_loading = threading.RLock()  # held by the one thread that renews; its log handler may read


def current() -> Snapshot:
    """The snapshot to read from, renewed if it is due. ImproperlyConfigured, DatabaseError."""
    transaction = thread.transaction = _open_transaction()
    if transaction is None and published.is_fresh():
        return published
    connection = connections[DEFAULT_DB_ALIAS]
    unmanaged = _is_unmanaged(connection)
    if not unmanaged and not connection.in_atomic_block:
        return _renew()
    if transaction is None:
        transaction = thread.transaction = OpenTransaction(connection)
    held = transaction.snapshot
    in_time = transaction.generation == _generation and not unmanaged
    if held is None or not in_time or not held.is_fresh():
        transaction.generation = _generation
        held = transaction.snapshot = _load_or_keep()
        transaction.loaded_at = monotonic()
    return held


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
    return driver.info.transaction_status.name not in {"IDLE", "UNKNOWN"}  # unknown: it is broken


def _open_transaction() -> OpenTransaction | None:
    """This thread's own, if it has not ended."""
    transaction = thread.transaction
    if transaction is None or transaction.is_open():
        return transaction
    # Lest this thread read backwards, what is published must have been begun after all that it
    # loaded for itself.
    if transaction.wrote or published.deadline - LONGEST_AGE < transaction.loaded_at:
        expire()
    return None


def _load(in_transaction: bool) -> Snapshot:
    if in_transaction:
        return _loaded()
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "sqlite":
        with _connection_of_its_own(connection):
            return _loaded()
    try:
        return _loaded()
    except Error:
        if connection.connection is None or connection.is_usable():
            raise
        # The server may have restarted: a connection that broke says nothing of a new one.
        connection.close()
        return _loaded()


def _loaded() -> Snapshot:
    from settings_app.layers import system_values  # which stands on settings, and they on this

    begun = monotonic()
    return Snapshot(begun + LONGEST_AGE, system_values())


@contextmanager
def _connection_of_its_own(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """On SQLite whoever iterates over rows keeps his connection's view as it was when he began."""
    file = connection.settings_dict["NAME"]
    if str(file).startswith("file:"):  # a log handler reads during a renewal
        yield
        return
    own = connection.copy()
    # mode=rw: a file that is not there is an error, and not made anew.
    own.settings_dict["NAME"] = f"{Path(file).absolute().as_uri()}?mode=rw"
    connections[DEFAULT_DB_ALIAS] = own
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = connection
        own.close()


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
    connection = connections[DEFAULT_DB_ALIAS]
    in_transaction = connection.in_atomic_block or _is_unmanaged(connection)
    try:
        with pool_warnings_kept() as pool:
            loaded = _load(in_transaction)
    except Error as error:
        if not published.values:
            raise
        # In a transaction it may be that one alone.
        if not _outage if in_transaction else _turn_outage(True):
            cause = " ".join((pool.last or str(error)).split())
            logger.error("The configuration cannot be read; its last values stand: %s", cause)
        return Snapshot(monotonic() + LONGEST_AGE, published.values)
    if _outage and _turn_outage(False):
        logger.warning("The configuration can be read again.")
    return loaded


def _turn_outage(on: bool) -> bool:
    """Whether that is news."""
    global _outage
    with _state:
        news, _outage = _outage is not on, on
    return news


def notice_write(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute wrapper of the default connection: see every statement that may write the table."""
    try:
        return execute(sql, params, many, context)
    finally:
        statement = str(sql).lstrip().lower()
        reads = statement.startswith("select") and ";" not in statement
        if TABLE in statement and not reads:
            _note_write(context["connection"])
        elif thread.transaction and statement.startswith(("rollback", "commit", "end")):
            thread.transaction.snapshot = None  # it may go on, from a savepoint
            thread.transaction = _open_transaction()


def _note_write(connection: BaseDatabaseWrapper) -> None:
    if not connection.in_atomic_block and not _is_unmanaged(connection):
        expire()
        return
    transaction = thread.transaction = _open_transaction() or OpenTransaction(connection)
    transaction.wrote, transaction.snapshot = True, None


def watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of connection_created."""
    wrappers = connection.execute_wrappers
    if connection.alias == DEFAULT_DB_ALIAS and notice_write not in wrappers:
        # First, not last: `with connection.execute_wrapper(…)` takes off the last one.
        wrappers.insert(0, notice_write)


def _after_fork() -> None:
    """Another thread of the parent may have held them."""
    global _state, _loading
    _state, _loading = threading.Lock(), threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
