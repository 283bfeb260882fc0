"""Reads settings over and over until it is told to end, and tells what it read:
`python -m settings_app.tests.reader THREADS KEY…`

Each line is JSON: the thread, the values, and the time.monotonic() before the last read that found
them began. A line tells of a change, or that a twentieth of a second has passed.
"""

import json
import signal
import sys
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import Any

import django

PAUSE = 0.002
HEARTBEAT = 0.05


def read(thread: int, settings: list[Any], ended: Event, tell: Callable[[str], Any]) -> None:
    from django.db import connection

    found: list[Any] | None = None
    began = told = monotonic()
    while not ended.wait(PAUSE):
        before = monotonic()
        values = [setting.get() for setting in settings]
        if found is not None and (values != found or before - told > HEARTBEAT):
            tell(json.dumps([thread, found, began]) + "\n")
            told = before
        found, began = values, before
    tell(json.dumps([thread, found, began]) + "\n")
    connection.close()


def main(threads: int, keys: list[str]) -> None:
    from settings_app.registry import registered
    from settings_app.tests.writer import declared

    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    known = registered()
    settings = [known.get(key) or declared(key) for key in keys]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    running = [
        Thread(target=read, args=(number, settings, ended, sys.stdout.write))
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), sys.argv[2:])
