"""How far a long command is: one line on a terminal that it overwrites."""

import sys
import time

SHOWN_EVERY = 0.2  # seconds


class Progress:
    """Says nothing where standard error is no terminal, or when told to be quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.shown = not quiet and sys.stderr.isatty()
        self.last, self.width = 0.0, 0

    def __call__(self, words: str, done: int = 0, total: int | None = None) -> None:
        now = time.monotonic()
        if not self.shown or now - self.last < SHOWN_EVERY:
            return
        self.last = now
        part = f"{done:,} of {total:,}" if total else f"{done:,}"
        self.write(f"{words} {part}" if done else words)

    def write(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self.width) + "\r" * (not text))
        sys.stderr.flush()
        self.width = len(text)

    def end(self) -> None:
        """Take the line away."""
        if self.width:
            self.write("")
