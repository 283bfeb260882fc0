"""What an operator sees when a command or a server cannot start or go on."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The tag of system checks without which no process may serve.
STARTUP = "startup"
# gunicorn starts a worker that ends with 1 anew, for ever; at 3 it gives up.
SERVER_GIVES_UP = 3
# What a shell says of a process that SIGINT ended.
INTERRUPTED = 130


@contextmanager
def one_line_errors(*, exit_code: int = 1, traceback: bool = False) -> Iterator[None]:
    """Turn what an operator can mend into one line on stderr and this exit code.

    `traceback` leaves the exception as it is, for a developer.
    """
    from django.core.exceptions import (
        ImproperlyConfigured,
        MultipleObjectsReturned,
        ObjectDoesNotExist,
    )
    from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

    expected = (
        ImproperlyConfigured,
        MultipleObjectsReturned,
        ObjectDoesNotExist,
        DatabaseError,
        InterfaceError,
        OSError,
    )
    try:
        with pool_warnings_kept() as pool:
            yield
    except KeyboardInterrupt:
        if traceback:
            raise
        print("ytops: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: the interpreter must not flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except expected as error:
        if traceback or isinstance(error, DataError | IntegrityError):
            raise
        # The pool tells why there is no connection in its log alone.
        text = pool.last if type(error.__cause__).__name__ == "PoolTimeout" else str(error)
        if isinstance(error, DatabaseError | InterfaceError):
            text = f"the database of DATABASE_URL did not answer as it should: {text}"
        print("ytops:", " ".join(text.split()), file=sys.stderr)
        sys.exit(exit_code)


def refuse_misconfiguration() -> None:
    """ImproperlyConfigured if a check of the tag STARTUP fails: a server runs no checks itself."""
    from django.core.checks import run_checks
    from django.core.exceptions import ImproperlyConfigured

    if errors := [message for message in run_checks(tags=[STARTUP]) if message.is_serious()]:
        raise ImproperlyConfigured(" ".join(error.msg for error in errors))


class PoolWarnings(logging.Filter):
    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if not text.startswith("reconnection attempt"):  # that it gives up: not why
            self.last = text
        return False


@contextmanager
def pool_warnings_kept() -> Iterator[PoolWarnings]:
    """Hold back what the pool logs at every attempt; the last of it is kept."""
    logger, kept = logging.getLogger("psycopg.pool"), PoolWarnings()
    logger.addFilter(kept)
    try:
        yield kept
    finally:
        logger.removeFilter(kept)
