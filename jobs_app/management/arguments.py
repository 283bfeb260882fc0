"""What the commands of the queue take on their command lines, or else an ArgumentTypeError."""

import os
import socket
from argparse import ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from ytops.db import strict_json

LONGEST_NAME = 200


def host_and_pid() -> str:
    return f"{socket.gethostname()[:180]}:{os.getpid()}"


def job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(
            f"expected the id of a job as `jobs claim` prints it, not {text!r}"
        ) from None


def token(text: str) -> UUID | None:
    """None for “-”: it stands on standard input. A wrong one is not quoted."""
    try:
        return None if text == "-" else UUID(text)
    except ValueError:
        raise ArgumentTypeError("expected the token as `jobs claim` printed it, or “-”") from None


def name(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_NAME or not text.isprintable():
        raise ArgumentTypeError(f"expected 1 to {LONGEST_NAME} letters, not {text[:80]!r}")
    return text


def json_object_or_dash(text: str) -> dict[str, Any] | None:
    """None for “-”: it stands on standard input."""
    return None if text == "-" else json_object(text)


def json_object(text: str) -> dict[str, Any]:
    try:
        value = strict_json.parse(text)
        strict_json.validate_object(value)
        strict_json.validate_storable(value)
    except ValueError as error:
        raise ArgumentTypeError(f"expected a JSON object: {error}") from None
    except ValidationError as error:
        raise ArgumentTypeError(" ".join(error.messages)) from None
    found: dict[str, Any] = value
    return found
