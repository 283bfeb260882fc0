"""Backup and restore of a PostgreSQL database: pg_dump, and a swap of databases by their names."""

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any, cast

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from ytops.backup.archive import Sink, Writable
from ytops.backup.engine import Progress, Snapshot, database_name
from ytops.backup.manifest import Facts, Table, facts_of
from ytops.backup.pg_like import create_like, set_like
from ytops.backup.pg_swap import LONGEST_NAME, rename, shortened, swap
from ytops.backup.pg_tools import ToolFailed, check_version, running
from ytops.backup.refusals import Busy, Damaged, DoesNotFit

# Databases from which others can be renamed; every server has them.
MAINTENANCE = ("postgres", "template1")
TABLES = """
    SELECT CASE nspname WHEN 'public' THEN relname ELSE nspname || '.' || relname END,
           quote_ident(nspname) || '.' || quote_ident(relname),
           array_agg(attname::text)
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    GROUP BY 1, 2 ORDER BY 1
"""
LOCK = "SELECT pg_try_advisory_lock(hashtext('ytops backup'), hashtext(%s))"
# A migration holds tables for itself, and a backup would wait for ever.
LOCK_WAIT = "30s"
# What a role or a server sets for the sessions of a site would end a long backup.
NO_TIMEOUTS = """
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN (
        'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout',
        'idle_in_transaction_session_timeout'
    )
"""

# What pg_restore says, and what helps.
MISFITS = {
    r'role ".+" does not exist': "Make the role, or restore with "
    "--pg-options='--no-owner --no-privileges'.",
    r"permission denied|must be ": "Restore with a role that may do this.",
    r"unsupported version \(": "The tools are older than those that made the backup.",
}


class PostgreSQL:
    """The engine of a database on a server."""

    name = "postgresql"
    extension = "pgdump"

    def __init__(self, connection: BaseDatabaseWrapper):
        self.connection = connection
        self.database = database_name(connection)
        self.session: psycopg.Connection[Any]

    def connect(self, database: str, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        parameters = self.connection.get_connection_params() | {"dbname": database}
        for djangos in ("cursor_factory", "context"):  # rows as psycopg gives them
            del parameters[djangos]
        session = psycopg.connect(**parameters, autocommit=True)
        session.execute(NO_TIMEOUTS)
        session.autocommit = autocommit
        return session

    def maintenance(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A session from which databases can be made and renamed."""
        for name in MAINTENANCE:
            if name == self.database:
                continue
            try:
                return self.connect(name, autocommit=autocommit)
            except psycopg.OperationalError as error:
                last = error
        raise DoesNotFit(
            f"To restore, a connection to the database {' or '.join(MAINTENANCE)} of the same "
            f"server is needed: {' '.join(str(last).split())}"
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self.connect(self.database) as self.session:
            self.server_version = self.session.info.server_version
            self.version = one(self.session.execute("SHOW server_version"))
            if not one(self.session.execute(LOCK, [self.database])):
                raise BlockingIOError
            try:
                yield
            finally:
                unlock(self.session)

    def tool(self, name: str, database: str, *options: str) -> tuple[list[str], dict[str, str]]:
        """Its command line, without the password, and what its environment needs besides."""
        check_version(name, self.server_version)
        _, environment = self.psql()
        # Not the bare name: one with "=" in it would be taken for more than a name.
        given = [f"--dbname={make_conninfo(dbname=database)}", "--no-password", *options]
        return [name, *self.where(), *given], environment or {}

    def psql(self) -> tuple[Sequence[str], dict[str, str] | None]:
        client = self.connection.client
        return client.settings_to_cmd_args_env(self.connection.settings_dict, [])

    def where(self) -> list[str]:
        """Role, host and port, as all tools of PostgreSQL take them."""
        command, _ = self.psql()
        return list(command[1:-1])

    @contextmanager
    def snapshot(self, work: Path, progress: Progress, *, sound: bool = True) -> Iterator[Snapshot]:
        """pg_dump's archive, and the rows as the same snapshot of the server shows them."""
        with self.connect(self.database, autocommit=False) as session:
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            session.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            shared = one(session.execute("SELECT pg_export_snapshot()"))
            options = ("--format=custom", "--compress=0", f"--lock-wait-timeout={LOCK_WAIT}")
            command, environment = self.tool(
                "pg_dump", self.database, *options, f"--snapshot={shared}"
            )
            with (
                running(command, environment, work, stdout=subprocess.PIPE) as dump,
                ThreadPoolExecutor(1) as beside,
            ):
                facts = beside.submit(facts_in, session)
                yield Snapshot(cast(IO[bytes], dump.stdout), None, facts.result)

    @contextmanager
    def read_through(self, work: Path) -> Iterator[Writable]:
        """pg_restore reads the list and all data of the archive, and writes nothing."""
        check_version("pg_restore", self.server_version)
        tool = "pg_restore"
        ended_early = False

        def give(block: bytes) -> None:
            nonlocal ended_early
            try:
                if not ended_early:
                    stdin.write(block)
            except BrokenPipeError:
                ended_early = True  # what it said tells why

        try:
            with running([tool, f"--file={os.devnull}"], {}, work, stdin=subprocess.PIPE) as reader:
                stdin = cast(IO[bytes], reader.stdin)
                yield Sink(give)
        except ToolFailed as error:
            if error.tool != tool:
                raise
            raise Damaged(str(error)) from None
        if ended_early:
            raise Damaged(f"{tool} has ended before the archive.")

    @contextmanager
    def scratch(self, payload: Path, work: Path, options: Sequence[str]) -> Iterator[Facts]:
        """A database of its own, made and analysed; gone at the end unless it was swapped in."""
        self.scratch_name = scratch_name(self.database)
        given = ("--exit-on-error", *options, str(payload))
        command, environment = self.tool("pg_restore", self.scratch_name, *given)
        with self.maintenance() as server:
            # The lock on the database itself ends with the swap, before which we leave it.
            if not one(server.execute(LOCK, [self.scratch_name])):
                raise BlockingIOError
            try:
                self.drop(server)  # that of a restore that was killed
            except errors.InsufficientPrivilege as error:
                raise Busy(f"{self.scratch_name} cannot be dropped: {error}") from None
            try:
                create_like(server, self.database, self.scratch_name)
                facts = self.fill(command, environment, payload, work)
                set_like(server, self.database, self.scratch_name)
                yield facts
            finally:
                with suppress(errors.InsufficientPrivilege):  # the next run tries again
                    self.drop(server)
                unlock(server)

    def fill(
        self, command: list[str], environment: dict[str, str], payload: Path, work: Path
    ) -> Facts:
        try:
            with running(command, environment, work):
                pass
        except ToolFailed as error:
            for sign, hint in MISFITS.items():
                if re.search(sign, str(error)):
                    raise DoesNotFit(f"{error} {hint}") from None
            with payload.open("rb") as archive, self.read_through(work) as reader:
                copyfileobj(archive, reader)  # Damaged, if that is why
            raise
        with (
            self.connect(self.scratch_name) as session,
            self.connect(self.scratch_name) as other,
            ThreadPoolExecutor(1) as beside,
        ):
            # Else the first queries after the swap are slow.
            analyzed = beside.submit(other.execute, "ANALYZE")
            facts = facts_in(session)
            analyzed.result()
        return facts

    def drop(self, server: psycopg.Connection[Any]) -> None:
        name = Identifier(self.scratch_name)
        server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def swap(self, payload: Path, keep: Callable[[], str], progress: Progress) -> str:
        """The scratch database takes the name; the old one is the safety copy, so nothing that
        anybody committed is lost. How to go back."""
        self.session.close()  # it would be ended like all others
        before = swap(self.maintenance, self.database, self.scratch_name)
        undone = before.replace("_before_", "_undone_")
        renames = [rename(self.database, undone), rename(before, self.database)]
        where = shlex.join(self.where())
        back = " ".join(f"-c {shlex.quote(sql.as_string())}" for sql in renames)
        return (
            f'What was there is kept as the database "{before}". To go back, stop what uses '
            f'"{self.database}" and rename both:\n'
            f"  psql {where} -d postgres --single-transaction {back}\n"
            f"To give back its disk space when it is not needed:\n"
            f"  dropdb {where} -- {shlex.quote(before)}"
        )


def scratch_name(database: str) -> str:
    """Of this database alone; not so long that the server cuts it off, maybe to a live one's."""
    end = "_scratch_" + hashlib.sha256(database.encode()).hexdigest()[:16]
    return shortened(database, LONGEST_NAME - len(end)) + end


def facts_in(session: psycopg.Connection[Any]) -> Facts:
    found = session.execute(TABLES).fetchall()
    tables = {name: Table(quoted, frozenset(columns)) for name, quoted, columns in found}

    def query(sql: str) -> Iterator[tuple[Any, ...]]:
        with session.transaction(), session.cursor(name="facts") as cursor:  # rows come in parts
            yield from cursor.execute(sql)

    return facts_of(query, tables)


def unlock(session: psycopg.Connection[Any]) -> None:
    """At once: the server forgets the locks of a session a moment after we have left it."""
    if not session.closed:
        session.execute("SELECT pg_advisory_unlock_all()")


def one(cursor: psycopg.Cursor[Any]) -> Any:
    [(value,)] = cursor.fetchall()
    return value
