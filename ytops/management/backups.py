"""What the commands on backups share."""

import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management import CommandError, CommandParser
from django.db import connections
from django.template.defaultfilters import filesizeformat

from ytops.backup.engine import Engine
from ytops.backup.manifest import Manifest
from ytops.backup.postgresql import PostgreSQL
from ytops.backup.refusals import Busy, DoesNotFit, Refusal
from ytops.backup.sqlite import SQLite
from ytops.backup.storage import listed, server_name
from ytops.management.progress import Progress
from ytops.management.speaking import USAGE, SpeakingCommand

EXIT_CODES = (
    "Exit codes: 0 done; 1 failed; 2 usage; 3 damaged; 4 does not fit (engine, schema, keys, "
    "tools); 5 busy; 6 not confirmed. Whatever is not 0 has left the database as it was."
)
ENGINES: dict[str, Any] = {"sqlite": SQLite, "postgresql": PostgreSQL}


class BackupCommand(SpeakingCommand):
    # A backup must be possible whatever else is wrong.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-d", "--database", help="Its name in DATABASES; “default” if not given."
        )
        parser.add_argument("-q", "--quiet", action="store_true", help="Say nothing but errors.")

    def say(self, text: str) -> None:
        if not self.quiet:
            self.stdout.write(text)

    @contextmanager
    def at(self, alias: str, *, quiet: bool) -> Iterator[tuple[Engine, Progress]]:
        """The engine of a database, nobody else backing it up or restoring it; one-line errors."""
        self.quiet = quiet
        progress = Progress(quiet=quiet)
        try:
            engine = engine_of(alias)
            with tidied_when_ended(), engine.lock():
                yield engine, progress
        except BlockingIOError:
            raise CommandError(
                "Another backup or restore of this database is running.", returncode=Busy.exit_code
            ) from None
        except Refusal as error:
            raise CommandError(str(error), returncode=error.exit_code) from None
        except (psycopg.Error, sqlite3.Error, OSError) as error:
            raise CommandError(" ".join(str(error).split())) from None
        except CommandError:
            raise
        except Exception as error:  # whatever the library of another storage raises
            raise CommandError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        finally:
            progress.end()


@contextmanager
def tidied_when_ended() -> Iterator[None]:
    """SIGTERM, as a container or systemd sends it, leaves no more behind than Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def refuse_unknown(*aliases: str) -> None:
    known = list(connections)
    for alias in aliases:
        if alias not in known:
            raise CommandError(
                f"There is no database {alias!r}: there is {', '.join(known)}.", returncode=USAGE
            )


def engine_of(alias: str) -> Engine:
    refuse_unknown(alias)
    connection = connections[alias]
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]  # of this backend alone
    engine: Engine = ENGINES[connection.vendor](connection)
    return engine


def newest(engine: Engine, server: str | None = None) -> str:
    """The name of the newest backup, of this server unless another is named.

    CommandError if there is none. Those of other servers do not count: a storage may be shared, and
    theirs be of another database of the same name.
    """
    found = listed(engine.database)
    own = [one for one in found if one.server == server_name(server or "")]
    if own:
        return own[0].name
    if servers := sorted({one.server for one in found}):
        raise CommandError(
            f"There is no backup of {engine.database} of the server {server_name(server or '')}: "
            f"there are some of {', '.join(servers)}; -s names one of them.",
            returncode=DoesNotFit.exit_code,
        )
    others = sorted({one.database for one in listed()})
    hint = f": there are some of {', '.join(others)}; -i takes a name." if others else "."
    raise CommandError(
        f"There is no backup of {engine.database}{hint}", returncode=DoesNotFit.exit_code
    )


def refuse(options: dict[str, Any], **reasons: str) -> None:
    """Options that people know from elsewhere and that would do harm, or nothing."""
    for name, reason in reasons.items():
        if options[name]:
            raise CommandError(f"--{name.replace('_', '-')}: {reason}", returncode=USAGE)


def described(manifest: Manifest) -> str:
    facts = manifest.facts
    return f"{facts.total_rows:,} rows in {len(facts.rows)} tables"


def size_of(number: int) -> str:
    return filesizeformat(number).replace("\xa0", " ")
