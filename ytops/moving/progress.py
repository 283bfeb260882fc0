"""How far a command is, in one line of a terminal that is written over and over."""

import sys
from time import monotonic

BETWEEN = 0.1  # seconds


class Progress:
    """Silent where stderr is no terminal."""

    def __init__(self) -> None:
        self.shows = sys.stderr.isatty()
        self.due = 0.0

    def __call__(self, text: str) -> None:
        if self.shows and monotonic() >= self.due:
            self.due = monotonic() + BETWEEN
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.shows:
            self.due = 0.0
            print("\r\033[K", end="", file=sys.stderr, flush=True)
