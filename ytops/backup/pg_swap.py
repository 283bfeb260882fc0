"""One PostgreSQL database takes the name of another, which keeps everything under a new one."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from ytops.backup.refusals import Busy, DoesNotFit

LONGEST_NAME = 63  # bytes, of a database
# For the lock on its name; for its sessions the server waits as long.
LOCK_WAIT = "SET lock_timeout = '5s'"
OID = "SELECT oid FROM pg_database WHERE datname = %s"
# Of other roles nothing more is shown to each. The server's own processes have no role.
SESSIONS = """
    SELECT pid, usename FROM pg_stat_activity WHERE datid = %s AND usename IS NOT NULL
"""
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = %s"
HOLDS_THE_NAME = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE pid = %s AND granted AND mode = 'AccessExclusiveLock'
        AND classid = 'pg_database'::regclass AND objid = %s
    )
"""
CLOSE = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false")
OPEN = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true")

Connect = Callable[[], psycopg.Connection[Any]]


def swap(connect: Connect, database: str, new: str) -> str:
    """Rename `database` out of the way and `new` to its name; the name that the old one has now.

    All in one transaction, so that a crash leaves the one or the other. The first ALTER locks the
    name: who connects now, waits. It goes on when nobody is in the database, and gives up after
    five seconds; meanwhile another session of ours ends those that are.
    """
    suffix = f"_before_{datetime.now(UTC):%Y%m%dt%H%M%S%f}"[:-3]  # to the millisecond
    before = shortened(database, LONGEST_NAME - len(suffix)) + suffix
    done = threading.Event()
    with connect() as renaming:
        refuse_prepared(renaming, database)
        live, scratch = (renaming.execute(OID, [name]).fetchall()[0][0] for name in (database, new))
        # A visitor of all databases would hold up the site, whose name is locked by then.
        renaming.execute(CLOSE.format(Identifier(new)))
        refuse_visitors(renaming, scratch, new)
        ending = threading.Thread(
            target=keep_ending, args=(connect, live, renaming.info.backend_pid, done)
        )
        ending.start()
        try:
            renaming.execute(LOCK_WAIT)
            with renaming.transaction():
                renaming.execute(rename(database, before))
                renaming.execute(rename(new, database))
                renaming.execute(OPEN.format(Identifier(database)))
        except errors.LockNotAvailable:
            raise Busy(
                f"Another session has altered {database} and not committed that: end it and "
                "restore again."
            ) from None
        except errors.ObjectInUse as error:
            found = renaming.execute(SESSIONS, [live]).fetchall()
            who = ", ".join(sorted({user for _, user in found})) or "its server"
            raise Busy(
                f"Sessions in {database} could not be ended, of {who}: stop them and restore "
                f"again. ({error.diag.message_detail or error})"
            ) from None
        except errors.InsufficientPrivilege as error:
            raise DoesNotFit(f"{database} cannot be renamed: {error}. Its owner can.") from None
        finally:
            done.set()
            ending.join()
    return before


def rename(old: str, new: str) -> Composed:
    return SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(old), Identifier(new))


def refuse_visitors(connection: psycopg.Connection[Any], database: int, name: str) -> None:
    deadline = time.monotonic() + 5
    while found := connection.execute(SESSIONS, [database]).fetchall():
        end_sessions(connection, database)
        if time.monotonic() > deadline:
            who = ", ".join(sorted({user for _, user in found}))
            raise Busy(f"Sessions in {name} could not be ended, of {who}: stop them.")
        time.sleep(0.01)


def refuse_prepared(connection: psycopg.Connection[Any], database: str) -> None:
    if found := connection.execute(PREPARED, [database]).fetchall():
        names = ", ".join(gid for (gid,) in found)
        raise Busy(
            f"{database} has prepared transactions, which no session holds ({names}): COMMIT "
            "PREPARED or ROLLBACK PREPARED each, and restore again."
        )


def keep_ending(connect: Connect, database: int, renaming: int, done: threading.Event) -> None:
    """Until `done`, and only while new ones have to wait: else they would be ended twice."""
    with connect() as server:
        while not done.wait(0.01):
            if server.execute(HOLDS_THE_NAME, [renaming, database]).fetchone() == (True,):
                end_sessions(server, database)


def end_sessions(server: psycopg.Connection[Any], database: int) -> None:
    """Of the database with this oid: who connects by its name after the swap is in another."""
    for pid, _ in server.execute(SESSIONS, [database]).fetchall():
        with suppress(errors.InsufficientPrivilege):  # the rename will give up and name its role
            server.execute("SELECT pg_terminate_backend(%s)", [pid])


def shortened(name: str, length: int) -> str:
    """To so many bytes."""
    return name.encode()[:length].decode(errors="ignore")
