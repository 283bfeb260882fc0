"""What commands share that answer in text or in JSON."""

import getpass
import io
import json
import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.management import BaseCommand

from ytops.startup import STARTUP

USAGE = 2


class SpeakingCommand(BaseCommand):
    # All that is not in the way of a start is for `manage.py check` to tell.
    requires_system_checks = [STARTUP]

    def execute(self, *args: Any, **options: Any) -> str | None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has not every letter
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().execute(*args, **options)

    def print_json(self, value: Any) -> None:
        # There and back, so that what is no JSON (an infinite number) becomes text.
        strict = json.loads(json.dumps(value, default=str), parse_constant=str)
        self.stdout.write(json.dumps(strict, indent=2))

    def print_columns(self, rows: Iterable[Sequence[str]]) -> None:
        table = list(rows)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.stdout.write("  ".join(cells).rstrip())


def operator() -> str:
    """The account that runs the command; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """The type of an argument."""

    def number(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(highest))
        if digits and lowest <= int(text) <= highest:
            return int(text)
        raise ArgumentTypeError(f"expected a whole number from {lowest} to {highest}, not {text!r}")

    return number
