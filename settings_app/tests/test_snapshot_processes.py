"""What other threads and other processes read while settings are written."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from settings_app import snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.threads import rolled_back
from settings_app.tests.writer import Commit, Writer
from ytops.tests.processes import finish, start

pytestmark = pytest.mark.usefixtures("committing")
TRANSACTIONS = 10_000 if os.environ.get("YTOPS_PROVE") == "1" else 200
LONGEST_AGE = 1.0  # the promise itself, not what the code says of it
BEFORE, AFTER, NEVER = 10, 20, 666
ROWS = SystemConfiguration.objects
Record = tuple[int, list[int], float]  # thread, values, when the last read of them began


class Reader:
    """A process whose threads read these settings."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.records: list[Record] = []

    def read_on(self, threads: int, until: Callable[[Record], bool]) -> None:
        """Until each thread has told of such a record."""
        assert self.process.stdout is not None
        done: set[int] = set()
        while len(done) < threads:
            line = self.process.stdout.readline()
            assert line, "the reader ended"
            record: Record = tuple(json.loads(line))
            self.records.append(record)
            if until(record):
                done.add(record[0])

    def end(self) -> None:
        self.process.terminate()
        ended = finish(self.process)
        assert (ended.returncode, ended.stderr) == (0, "")
        self.records += [tuple(json.loads(line)) for line in ended.stdout.splitlines()]


@contextmanager
def reader(threads: int, keys: list[str]) -> Iterator[Reader]:
    made = Reader(start("-m", "settings_app.tests.reader", str(threads), *keys))
    try:
        made.read_on(threads, lambda record: True)
        yield made
        made.end()
    finally:
        made.process.kill()
        made.process.communicate()


def by_save(key: str) -> None:
    row = ROWS.get(key=key)
    row.value = AFTER
    row.save()


def by_update(key: str) -> None:
    ROWS.filter(key=key).update(value=AFTER)


def by_bulk_update(key: str) -> None:
    row = ROWS.get(key=key)
    row.value = AFTER
    ROWS.bulk_update([row], ["value"])


def by_sql(key: str) -> None:
    with connection.cursor() as cursor:
        statement = "UPDATE system_configuration SET value = %s WHERE key = %s"
        cursor.execute(statement, [str(AFTER), key])


def by_replacing_all(key: str, empty: Callable[[], Any] = lambda: ROWS.all().delete()) -> None:
    with transaction.atomic():
        rows = list(ROWS.all())
        empty()
        for row in rows:
            row.value = NEVER if row.key == key else row.value
        ROWS.bulk_create(rows)
        ROWS.filter(key=key).update(value=AFTER)


def by_truncate(key: str) -> None:
    def truncate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE system_configuration")

    by_replacing_all(key, truncate)


def test_every_kind_of_write_is_seen_by_another_process_within_a_second(tmp_path: Path) -> None:
    def by_loaddata(key: str) -> None:
        model, pk = "settings_app.systemconfiguration", str(uuid4())
        file = tmp_path / "dump.json"
        file.write_text(
            json.dumps([{"model": model, "pk": pk, "fields": {"key": key, "value": AFTER}}])
        )
        call_command("loaddata", file, verbosity=0)

    ways = [by_save, by_update, by_bulk_update, by_sql, by_loaddata, by_replacing_all]
    if connection.vendor == "postgresql":
        ways.append(by_truncate)
    keys = [f"test.{way.__name__}" for way in ways]
    for key in keys:
        ROWS.create(key=key, value=BEFORE)
    with reader(2, keys) as other:
        committed = []
        for way, key in zip(ways, keys, strict=True):
            with rolled_back():
                ROWS.filter(key=key).update(value=NEVER)
                way(key)
            way(key)
            committed.append(monotonic())
        too_late = committed[-1] + LONGEST_AGE
        other.read_on(2, lambda record: record[2] > too_late)
    for _, values, began in other.records:
        for key, value, moment in zip(keys, values, committed, strict=True):
            expected = {AFTER} if began > moment + LONGEST_AGE else {BEFORE, AFTER}
            assert value in expected, f"{key}, {began - moment} s after the commit"


class Watcher:
    """Reads in a thread of this process, and raises at once when it reads what cannot be."""

    def __init__(self, settings: list[Setting[int]], commits: list[list[Commit]]) -> None:
        self.settings, self.commits = settings, commits
        self.last = [0] * len(settings)
        self.reads = 0

    def watch(self, ended: Event, in_transactions: bool) -> int:
        for turn in count():
            if ended.wait(0.003):
                break
            if turn % 20 == 0:
                snapshot.expire()
            if in_transactions and turn % 3 == 0:
                with transaction.atomic():
                    self.read()
                    sleep(0.002)
                    self.read()
            self.read()
        connection.close()
        return self.reads

    def read(self) -> None:
        for number, setting in enumerate(self.settings):
            committed = self.commits[number][-1:]
            value = setting.get()
            assert value % 2 == 0, f"{setting.key}: {value} was not committed"
            least = max(self.last[number], *(known for _, known in committed), 0)
            assert value >= least, f"{setting.key}: {value} after {least} was committed or read"
            self.last[number] = value
            self.reads += 1


def test_transactions_at_random(declare: Callable[..., Setting[int]]) -> None:
    """Those of three threads here and of another process; read by threads of both kinds."""
    keys = [f"test.random_{number}" for number in range(4)]
    for key in keys:
        ROWS.create(key=key, value=0)
    settings = [declare(key, int, default=-1) for key in keys]
    writers = [Writer(setting, seed) for seed, setting in enumerate(settings[:3])]
    commits = [writer.commits for writer in writers]
    each = TRANSACTIONS // 4
    watchers = [Watcher(settings, [*commits, []]) for _ in range(3)]
    ended = Event()
    with reader(2, keys) as other, ThreadPoolExecutor(6) as threads:
        command = ("-m", "settings_app.tests.writer", keys[3], "3", str(each))
        elsewhere = start(*command)
        watching = [threads.submit(w.watch, ended, w is watchers[0]) for w in watchers]
        try:
            for writing in [threads.submit(writer.run, each) for writer in writers]:
                writing.result()
            written = elsewhere.communicate()[0]
        finally:
            ended.set()
            elsewhere.kill()
        assert elsewhere.returncode == 0
        commits.append([tuple(commit) for commit in json.loads(written)])
        assert all(watched.result() for watched in watching)
        settled = max(made[-1][0] for made in commits) + LONGEST_AGE
        other.read_on(2, lambda record: record[2] > settled)
    assert TRANSACTIONS * 0.4 < sum(map(len, commits)) < TRANSACTIONS * 0.6
    nothing_seen_that_was_not_committed_nor_too_late(other.records, commits)


def nothing_seen_that_was_not_committed_nor_too_late(
    records: list[Record], commits: list[list[Commit]]
) -> None:
    for number, made in enumerate(commits):
        committed = {0} | {value for _, value in made}
        for thread in {record[0] for record in records}:
            last, passed = 0, iter(made)
            moment, due = next(passed)
            least = 0
            for _, values, began in (record for record in records if record[0] == thread):
                while moment + LONGEST_AGE < began:
                    least = due
                    moment, due = next(passed, (float("inf"), due))
                value = values[number]
                assert value in committed
                assert value >= max(least, last)
                last = value
