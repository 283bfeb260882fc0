import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, CommandParser, call_command
from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import LockNotAvailable

from ytops.backup.refusals import Busy, Damaged, Refusal
from ytops.db import rotation
from ytops.db.rotation import Found
from ytops.management.progress import Progress
from ytops.management.speaking import USAGE, SpeakingCommand
from ytops.moving.copying import copy, set_sequences, take
from ytops.moving.databases import TARGET, Source, opened_source, opened_target, refuse_rows
from ytops.moving.preflight import Bad, bad_rows
from ytops.moving.proof import prove
from ytops.moving.tables import Table, Tick, tables
from ytops.settings import database
from ytops.startup import INTERRUPTED

ENGINES = {"--from": ("sqlite3", "sqlite:///PATH"), "--to": ("postgresql", "postgresql://…")}


class Command(SpeakingCommand):
    help = (
        "Copy a SQLite database into an empty PostgreSQL, and prove the copy row by row. The "
        "target is whole or empty, wherever this ends. Exit codes: 0 copied and proved; 1 failed; "
        "2 usage; 3 rows that PostgreSQL would not take, each named; 4 a database that does not "
        "fit: not migrated, not empty, too new; 5 somebody else writes into one of the two; 130 "
        "interrupted."
    )
    # Neither of the two databases is the one that the checks would look at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from",
            metavar="URL",
            required=True,
            dest="source",
            help="sqlite:///PATH; it is read only.",
        )
        parser.add_argument(
            "--to",
            metavar="URL",
            required=True,
            dest="target",
            help="postgresql://USER@HOST:PORT/NAME, an empty database. Others can see a command "
            "line: its password is taken from PGPASSWORD or ~/.pgpass; or give “-”, and the "
            "whole URL on standard input.",
        )

    def handle(self, *, source: str, target: str, **options: Any) -> None:
        source_config = config_of("--from", source)
        target_config = target_of(target)
        self.progress = Progress()
        self.begun = datetime.now(UTC)
        self.names = str(source_config["NAME"]), shown(target_config)
        try:
            with ExitStack() as stack:
                opened = stack.enter_context(opened_source(source_config))
                into = stack.enter_context(opened_target(target_config, self.names[1]))
                self.move(opened, into)
        except Refusal as error:
            raise CommandError(one_line(error), returncode=error.exit_code) from None
        except (DatabaseError, InterfaceError, sqlite3.Error, psycopg.Error) as error:
            raise told(error.__cause__ or error) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. Run it again: it refuses a target that is whole.",
                returncode=INTERRUPTED,
            ) from None
        finally:
            self.progress.end()

    def move(self, source: Source, target: BaseDatabaseWrapper) -> None:
        moved = tables()
        self.totals = {table.label: source.count(table.label) for table in moved}
        self.refuse_bad_rows(source, moved)
        others = source.others()
        self.progress("migrating the target")
        call_command("migrate", database=TARGET, verbosity=0, interactive=False)
        with transaction.atomic(using=TARGET):
            take(target, moved)
            refuse_rows(target, self.names[1])
            copy(source, target, moved, self.shown("copying"))
            ends = set_sequences(source, target, moved)
            proofs = {
                table.label: prove(source, target, table, self.shown("proving")) for table in moved
            }
            found = rotation.survey(database=target)
            source.refuse_if_written()
            self.progress.end()
            # Before all of it is there to stay: a move that nobody could read about is taken back.
            with self.writing():
                self.summarize(proofs, ends)
                self.tell_keys(found)
                self.tell_others(others)
                self.tell_next()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Refusal, if standard output cannot be written."""
        try:
            yield
            self.stdout.flush()
        except OSError as error:
            # The interpreter must not flush to it again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
            raise Refusal(
                f"standard output cannot be written: {error.strerror}; the target is empty"
            ) from None

    def shown(self, doing: str) -> Tick:
        """What tells how many rows of a table are done."""

        def tick(table: Table, count: int) -> None:
            self.progress(f"{doing} {table.label}", count, self.totals[table.label])

        return tick

    def refuse_bad_rows(self, source: Source, moved: list[Table]) -> None:
        count = 0
        first: Bad | None = None
        with self.writing():
            for bad in bad_rows(source, moved, self.shown("checking")):
                self.progress.end()
                self.stdout.write(str(bad))
                first = first or bad
                count += 1
        if first:
            raise Damaged(
                f"{count:,} {'values' if count > 1 else 'value'} that cannot be moved, named "
                "on standard output; nothing was copied. Look at one with: sqlite3 "
                f'{self.names[0]} "{first.look}"'
            )

    def summarize(self, proofs: dict[str, str], ends: list[tuple[str, int]]) -> None:
        took = (datetime.now(UTC) - self.begun).total_seconds()
        self.stdout.write(
            f"Copied and proved on {self.begun:%Y-%m-%d at %H:%M:%S} UTC, in {took:.0f} s\n"
            f"  from  {self.names[0]}\n  to    {self.names[1]}\n"
        )
        self.print_columns(
            [
                ("table", "rows", "SHA-256 of its rows, alike on both sides"),
                *((name, f"{self.totals[name]:,}", proof) for name, proof in proofs.items()),
            ]
        )
        self.stdout.write("\nSequences go on behind:")
        self.print_columns((f"  {name}", str(last or "nothing")) for name, last in ends)

    def tell_keys(self, found: Found) -> None:
        self.stdout.write("\nSecrets:")
        lost = found[None]
        for key, rows in found.items():
            if key is not None:
                self.stdout.write(f"  key {key} of FERNET_KEYS opens {rows.count:,}")
        if lost.count:
            self.stdout.write(
                f"  no key of FERNET_KEYS opens {lost.count:,}; copied as they are. Put their key "
                "behind the others, or enter them anew:"
            )
            for place in lost.places:
                self.stdout.write(f"    {place}")
            if more := lost.count - len(lost.places):
                self.stdout.write(f"    and {more:,} more")

    def tell_others(self, others: dict[str, int | None]) -> None:
        if others:
            self.stdout.write("\nLeft behind, as no app that is installed has these tables:")
            self.print_columns(
                (f"  {name}", "cannot be read" if rows is None else f"{rows:,} rows")
                for name, rows in others.items()
            )

    def tell_next(self) -> None:
        self.stdout.write(
            "\nNext: set DATABASE_URL to the target, run `manage.py check --database default`, "
            f"start the site, and keep {self.names[0]} until you are sure."
        )


def target_of(text: str) -> dict[str, Any]:
    if text == "-":
        return config_of("--to", sys.stdin.readline().strip() if sys.stdin else "")
    config = config_of("--to", text)
    if config.get("PASSWORD") or {"password", "sslpassword"} & config["OPTIONS"].keys():
        raise CommandError(
            "--to has a password, which others can see on a command line: give it in PGPASSWORD "
            "or ~/.pgpass, or give `--to -` and the URL on standard input.",
            returncode=USAGE,
        )
    return config


def config_of(option: str, url: str) -> dict[str, Any]:
    """The DATABASES entry of a URL, of the one engine that this option takes."""
    engine, expected = ENGINES[option]
    try:
        config = database(url)
    except ImproperlyConfigured as error:
        why = str(error).replace("DATABASE_URL", option)
        raise CommandError(why, returncode=USAGE) from None
    if not config["ENGINE"].endswith(engine):
        raise CommandError(
            f"{option} takes {expected}: copydb moves from SQLite to PostgreSQL alone.",
            returncode=USAGE,
        )
    return config


def shown(config: dict[str, Any]) -> str:
    """The URL of a PostgreSQL, without a password."""
    user = f"{config['USER']}@" if config.get("USER") else ""
    port = f":{config['PORT']}" if config.get("PORT") else ""
    host = config.get("HOST") or ""
    if host.startswith("/"):
        return f"postgresql://{user}{port}/{config['NAME']}?host={host}"
    return f"postgresql://{user}{host}{port}/{config['NAME']}"


def told(error: BaseException) -> CommandError:
    """What a driver says, by whose it is."""
    # The first line alone: the next ones show rows.
    why = str(error).partition("\n")[0]
    if not isinstance(error, sqlite3.Error):
        code = Busy.exit_code if isinstance(error, LockNotAvailable) else Refusal.exit_code
        return CommandError(f"The target did not do as it should: {why}", returncode=code)
    codes = {
        **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), Damaged.exit_code),
        sqlite3.SQLITE_BUSY: Busy.exit_code,
    }
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    code = codes.get(primary, Refusal.exit_code)
    return CommandError(f"The source did not do as it should: {why}", returncode=code)


def one_line(error: Refusal) -> str:
    text = " ".join(str(error).split())
    return f"{text[:1].upper()}{text[1:]}."
