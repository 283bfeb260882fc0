"""Backup and restore of an SQLite database through SQLite's own backup call."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from django.db.backends.base.base import BaseDatabaseWrapper

from ytops.backup.archive import Sink, Writable
from ytops.backup.engine import Progress, Snapshot, database_name
from ytops.backup.manifest import Facts, Table, facts_of
from ytops.backup.refusals import Busy, Damaged, DoesNotFit, Refusal
from ytops.db.locks import file_lock

NOTHING = "There was no database before."
PAGES = 1024  # of a database, copied between two looks
TABLES = """
    SELECT tables.name, columns.name FROM sqlite_schema AS tables
    JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND substr(tables.name, 1, 7) <> 'sqlite_'
    ORDER BY tables.name
"""


class SQLite:
    """The engine of a database that is a file."""

    name = "sqlite"
    extension = "sqlite3"

    def __init__(self, connection: BaseDatabaseWrapper):
        self.path = Path(connection.settings_dict["NAME"])
        self.database = database_name(connection)
        self.deadline = connection.settings_dict["OPTIONS"]["timeout"]  # seconds
        self.version = sqlite3.sqlite_version

    @contextmanager
    def lock(self) -> Iterator[None]:
        with file_lock(Path(f"{self.path}.backup.lock"), wait=False):
            yield

    @contextmanager
    def snapshot(self, work: Path, progress: Progress, *, sound: bool = True) -> Iterator[Snapshot]:
        """A copy of the database as it is now, whatever is written meanwhile.

        Damaged if SQLite's own check fails; with `sound` off the snapshot says so instead.
        """
        copy = work / "copy.sqlite3"
        with (
            named(f"Copying {self.path} into {work.parent}"),
            closing(opened(self.path)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            # What one read transaction sees does not change between two steps.
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
            source.backup(
                target,
                pages=PAGES,
                progress=lambda status, left, total: progress("Copying page", total - left, total),
            )
        with closing(opened(copy, "immutable=1")) as database:
            damage = first_problem(database, "quick_check")
            if damage and sound:
                raise Damaged(f"The database {self.path} is damaged: {damage}")
            facts = Facts({}, {}, [], 0) if damage else facts_in(database)
        with copy.open("rb") as payload:
            yield Snapshot(payload, copy.stat().st_size, lambda: facts, damage)

    @contextmanager
    def read_through(self, work: Path) -> Iterator[Writable]:
        """Nothing more to prove: SQLite has checked the copy whose checksum is compared."""
        yield Sink()

    @contextmanager
    def scratch(self, payload: Path, work: Path, options: Sequence[str]) -> Iterator[Facts]:
        if options:
            raise DoesNotFit("--pg-options is for PostgreSQL.")
        with closing(opened(payload)) as database:
            try:
                facts = facts_in(database)  # as the backup counted them: by its indexes
            except sqlite3.DatabaseError as error:
                raise Damaged(f"SQLite finds it damaged: {error}") from None
            if damage := first_problem(database, "integrity_check"):
                # An index without some row: quick_check does not see it, and it can be made anew.
                with suppress(sqlite3.DatabaseError):
                    database.execute("REINDEX")
                if first_problem(database, "integrity_check"):
                    raise Damaged(f"SQLite finds it damaged: {damage}")
            database.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
        yield facts

    def swap(self, payload: Path, keep: Callable[[], str], progress: Progress) -> str:
        """Put the payload in the place of what is there; how to go back.

        One write transaction of SQLite: its readers and writers, and a crash, see all of it or
        nothing. `keep` makes the safety copy, and tells how to go back, when the write lock is
        held, so that nobody commits between the two.
        """
        kept = ""
        began = time.monotonic()

        def step(status: int, left: int, total: int) -> None:
            nonlocal kept
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                if time.monotonic() - began > self.deadline:
                    raise Busy(
                        f"Another process has been writing into {self.path} for {self.deadline} "
                        "seconds: stop it and restore again."
                    )
            elif status == sqlite3.SQLITE_OK and not kept:
                kept = keep() if self.page("count") > 1 else NOTHING
            progress("Restoring page", total - left, total)

        with named(str(self.path)), closing(sqlite3.connect(self.path, timeout=0)) as target:
            self.prepare(target)
            with closing(opened(self.fitting(payload), "immutable=1")) as source:
                pages = source.execute("PRAGMA page_count").fetchone()[0]
                if pages < 2:  # the first step has to come before the last
                    raise Damaged("It holds no tables.")
                source.execute("BEGIN")
                source.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
                source.backup(target, pages=min(PAGES, pages - 1), progress=step, sleep=0.005)
            with suppress(sqlite3.OperationalError):  # it is done; the rest of the disk may be full
                target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return kept

    def page(self, what: str) -> int:
        """Number or size of the pages that are there."""
        with closing(opened(self.path)) as database:
            return int(database.execute(f"PRAGMA page_{what}").fetchone()[0])

    def fitting(self, payload: Path) -> Path:
        """In pages of the size that is there: in WAL mode SQLite cannot change it."""
        with closing(opened(payload)) as database:  # "immutable" would keep the size
            size = self.page("size")
            if database.execute("PRAGMA page_size").fetchone() == (size,):
                return payload
            fitting = payload.with_name("fitting")
            database.execute(f"PRAGMA page_size = {size}")
            database.execute("VACUUM INTO ?", [str(fitting)])
        return fitting

    def prepare(self, target: sqlite3.Connection) -> None:
        """In WAL mode readers go on while it is written, and a crash undoes it."""
        target.execute(f"PRAGMA busy_timeout = {int(self.deadline * 1000)}")
        try:
            target.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise DoesNotFit(
                f"{self.path} is there and is no database of SQLite ({error}): stop everything "
                "that uses it, move it away together with its -wal and -shm, and restore again."
            ) from None
        target.execute("PRAGMA synchronous = FULL")
        target.execute("PRAGMA busy_timeout = 0")


@contextmanager
def named(what: str) -> Iterator[None]:
    """SQLite does not say where its errors were."""
    try:
        yield
    except sqlite3.OperationalError as error:
        busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        raise (Busy if busy else Refusal)(f"{what}: {error}.") from None
    except sqlite3.DatabaseError as error:
        raise Damaged(f"{what}: {error}.") from None


def opened(path: Path, *options: str) -> sqlite3.Connection:
    if not path.is_file():
        raise DoesNotFit(f"There is no database {path}.")
    given = "&".join(("mode=rw", *options))
    return sqlite3.connect(f"file://{quote(os.path.abspath(path))}?{given}", uri=True)


def first_problem(database: sqlite3.Connection, check: str) -> str:
    """Of SQLite's `quick_check` or `integrity_check`; empty if there is none."""
    try:
        [(said,)] = database.execute(f"PRAGMA {check}(1)")
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else " ".join(said.split())


def facts_in(database: sqlite3.Connection) -> Facts:
    columns: dict[str, set[str]] = {}
    for table, column in database.execute(TABLES):
        columns.setdefault(table, set()).add(column)
    tables = {name: Table(quoted(name), frozenset(found)) for name, found in columns.items()}
    return facts_of(database.execute, tables)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
