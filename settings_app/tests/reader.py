"""Reads settings over and over until it is told to end, and tells what it read:
`python -m settings_app.tests.reader THREADS KEY…`. Each thread gives its connection back after each
read, as at the end of a request.

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
from django.conf import settings
from django.db import close_old_connections

PAUSE = 0.002
HEARTBEAT = 0.05


def read(thread: int, wanted: list[Any], ended: Event, tell: Callable[[str], Any]) -> None:
    found: list[Any] | None = None
    began = told = monotonic()
    while not ended.wait(PAUSE):
        before = monotonic()
        values = [setting.get() for setting in wanted]
        close_old_connections()
        if found is not None and (values != found or before - told > HEARTBEAT):
            tell(json.dumps([thread, found, began]) + "\n")
            told = before
        found, began = values, before
    tell(json.dumps([thread, found, began]) + "\n")


def main(threads: int, keys: list[str]) -> None:
    from settings_app.registry import registered
    from settings_app.tests.writer import declared

    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    known = registered()
    wanted = [known.get(key) or declared(key) for key in keys]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    running = [
        Thread(target=read, args=(number, wanted, ended, sys.stdout.write))
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    if pool := settings.DATABASES["default"].get("OPTIONS", {}).get("pool"):
        pool.update(timeout=1, reconnect_timeout=1)  # an outage of a test is short
    django.setup()
    main(int(sys.argv[1]), sys.argv[2:])
