"""What an operator sees when a command or a server cannot start or go on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_line_errors(*, traceback: bool = False) -> Iterator[None]:
    """Turn what an operator can mend into one line on stderr and exit code 1.

    `traceback` leaves the exception as it is, for a developer.
    """
    from django.core.exceptions import (
        ImproperlyConfigured,
        MultipleObjectsReturned,
        ObjectDoesNotExist,
    )
    from django.db import InterfaceError, OperationalError

    expected = (
        ImproperlyConfigured,
        MultipleObjectsReturned,
        ObjectDoesNotExist,
        OperationalError,
        InterfaceError,
    )
    try:
        yield
    except expected as error:
        if traceback:
            raise
        text = " ".join(str(error).split())
        if isinstance(error, OperationalError | InterfaceError):
            text = f"the database of DATABASE_URL did not answer as it should: {text}"
        sys.exit(f"ytops: {text}")
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: the interpreter must not flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
