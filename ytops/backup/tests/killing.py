"""Commands that are killed, and what of them lives on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection

from ytops.backup.tests.site import Site
from ytops.tests.processes import environment


@dataclass(frozen=True)
class Commands:
    server: "subprocess.Popen[str]"
    mark: bytes  # in the environment of all that it starts

    def begin(self, *command: str) -> int:
        """Start a command in a process group of its own; its process id."""
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(command) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def ended(self) -> int:
        """Wait for the command; its exit code."""
        assert self.server.stdout
        return int(self.server.stdout.readline())

    def alive(self) -> list[str]:
        """The processes that commands have started, and their own, that are still there."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has gone, or is another user's
                inherited = self.mark in (process / "environ").read_bytes()
                if inherited and int(process.name) != self.server.pid:
                    found.append((process / "comm").read_text())
        return found


@contextmanager
def commands(site: Site) -> Iterator[Commands]:
    env = site.environment
    server = subprocess.Popen(
        [sys.executable, "-m", "ytops.backup.tests.forking"],
        cwd=settings.BASE_DIR,
        env=environment(**env, PGAPPNAME=site.database),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Commands(server, env["BACKUP_DIR"].encode())
    finally:
        server.communicate()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it, twenty seconds at most."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


class Killing:
    """Runs of one command that are killed at random moments, spread over the time it takes."""

    def __init__(self, site: Site, processes: Commands, *command: str):
        self.site, self.processes, self.command = site, processes, command
        began = self.begun()
        assert processes.ended() == 0
        self.lasts = time.monotonic() - began  # seconds, when nobody kills it

    def begun(self) -> float:
        """Start it; the time when it begins its work."""
        self.process = self.processes.begin(*self.command)
        until(lambda: list(self.site.backups.glob(".unfinished-*/")), "it began nothing")
        return time.monotonic()

    def kill(self, part: float, *, group: bool) -> str:
        """After this part of its time; when that was. Nothing of it lives on."""
        began = self.begun()
        time.sleep(max(0, began + part * self.lasts - time.monotonic()))
        with suppress(ProcessLookupError):  # it was faster this time
            (os.killpg if group else os.kill)(self.process, signal.SIGKILL)
        code = self.processes.ended()
        assert code in (0, -signal.SIGKILL)
        until(lambda: not self.processes.alive(), "a child lives on")
        until(lambda: not sessions(self.site), "a session lives on")
        return f"{self.command[0]} at {part:.0%} of {self.lasts:.2f} s, exit code {code}"


def sessions(site: Site) -> int:
    """That a killed command has on the server."""
    if connection.vendor == "sqlite":
        return 0
    with psycopg.connect(os.environ["DATABASE_URL"]) as server:
        sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = %s"
        [(number,)] = server.execute(sql, [site.database]).fetchall()
    return int(number)
