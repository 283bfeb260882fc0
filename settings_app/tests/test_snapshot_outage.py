"""The database is gone for a while: the last values stand, and one line says so."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.db import Error, connection, transaction

from settings_app import snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.threads import at_once, elsewhere, statements_seen
from ytops.tests.processes import start, url_of

pytestmark = pytest.mark.usefixtures("committing")
KEY = "test.outage"
GONE, BACK = "The configuration cannot be read; its last values stand: ", "can be read again"
ROWS = SystemConfiguration.objects


@pytest.fixture
def number(declare: Callable[..., Setting[int]]) -> Setting[int]:
    """A setting whose row holds 1."""
    ROWS.create(key=KEY, value=1)
    return declare(KEY, int, default=0)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "settings_app")
    return lambda: [record.getMessage() for record in caplog.records]


@contextmanager
def table_renamed_away() -> Iterator[None]:
    """By somebody else."""

    def rename(old: str, new: str) -> None:
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename(snapshot.TABLE, "out_of_reach")
    try:
        yield
    finally:
        rename("out_of_reach", snapshot.TABLE)


class TestWithoutItsTable:
    @pytest.fixture(autouse=True)
    def _each_read_loads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshot, "LONGEST_AGE", 0.0)

    def test_the_last_values_stand_and_one_line_says_so(
        self, number: Setting[int], log: Callable[[], list[str]]
    ) -> None:
        assert number.get() == 1
        with table_renamed_away():
            for _ in range(3):
                assert at_once(4, number.get) == [1] * 4
            with transaction.atomic():
                assert number.get() == 1
            assert len(log()) == 1
            assert log()[0].startswith(GONE)
            assert "system_configuration" in log()[0]
        for _ in range(3):
            assert at_once(4, number.get) == [1] * 4
        assert len(log()) == 2
        assert BACK in log()[1]

    def test_a_process_that_never_read_it_raises(self, number: Setting[int]) -> None:
        with table_renamed_away():
            for _ in range(2):
                with pytest.raises(Error):
                    number.get()
        assert number.get() == 1

    def test_a_second_outage_is_told_again(
        self, number: Setting[int], log: Callable[[], list[str]]
    ) -> None:
        number.get()
        for _ in range(2):
            with table_renamed_away():
                number.get()
            number.get()
        assert len(log()) == 4


def test_while_one_thread_tries_the_others_go_on(
    number: Setting[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 0.0)
    number.get()
    with table_renamed_away():
        number.get()
        with snapshot._loading:  # as the thread that waits for the database
            read: list[int] = []
            others = [Thread(target=lambda: read.append(number.get())) for _ in range(4)]
            for other in others:
                other.start()
            for other in others:
                other.join(30)
            assert read == [1] * 4


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="it has no server that could restart")
def test_a_connection_that_broke_is_no_outage(
    number: Setting[int], log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    number.get()
    ROWS.count()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    elsewhere(lambda: ROWS.filter(key=KEY).update(value=2))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 30000)", [own])
    with statements_seen() as seen:
        assert number.get() == 2
    assert seen
    assert log() == []


@contextmanager
def copy_of_the_database(
    folder: Path,
) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Its URL, and what puts it out of reach and back."""
    if connection.vendor == "sqlite":
        inside, outside = folder / "inside", folder / "outside"
        inside.mkdir()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(inside / "copy.sqlite3")])
        yield (
            url_of(str(inside / "copy.sqlite3")),
            lambda: inside.rename(outside),
            lambda: outside.rename(inside),
        )
        return
    original = connection.settings_dict["NAME"]
    connection.close()
    pooled: Any = connection
    pooled.close_pool()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {original}_copy TEMPLATE {original}")

        def admit(whether: bool) -> None:
            server.execute(f"ALTER DATABASE {original}_copy ALLOW_CONNECTIONS {whether}")

        def stop() -> None:
            admit(False)
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [f"{original}_copy"],
            )

        try:
            yield url_of(f"{original}_copy"), stop, lambda: admit(True)
        finally:
            server.execute(f"DROP DATABASE {original}_copy WITH (FORCE)")


def test_a_database_that_goes_and_comes(tmp_path: Path) -> None:
    ROWS.create(key=KEY, value=1)
    with copy_of_the_database(tmp_path) as (url, stop, go_on):
        process = start("-m", "settings_app.tests.reader", "3", KEY, DATABASE_URL=url)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        with ThreadPoolExecutor(1) as beside:
            values = beside.submit(process.stdout.read)
            try:
                stop()
                said = until(process.stderr, GONE)
                go_on()
                said += until(process.stderr, BACK)
            finally:
                process.terminate()
                rest = process.stderr.read()
                process.communicate()
    ours = [line for line in said if "settings_app" in line]
    assert len(ours) == 2, said
    assert ("unable to open" if connection.vendor == "sqlite" else "not currently accep") in ours[0]
    assert "Traceback" not in "".join(said) + rest
    assert {str(json.loads(line)[1]) for line in values.result().splitlines()} == {"[1]"}


def until(lines: Any, said: str) -> list[str]:
    """The lines up to the one that says this."""
    read = []
    for line in lines:
        read.append(line)
        if said in line:
            return read
    raise AssertionError(f"{said!r} was never said: {read}")
