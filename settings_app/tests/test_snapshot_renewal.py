"""What a renewal may publish, and that nothing which happens during one hangs or misleads."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from settings_app import layers, snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.threads import elsewhere

pytestmark = pytest.mark.usefixtures("committing")
KEY = "test.number"
ROWS = SystemConfiguration.objects


def write(value: Any) -> None:
    ROWS.filter(key=KEY).update(value=value)


@pytest.fixture
def after_the_query(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something happen, once, between the query of a load and the end of the load."""
    load = layers.system_values

    def happening(what: Callable[[], None]) -> None:
        def loading() -> dict[str, Any]:
            values = load()
            monkeypatch.setattr(layers, "system_values", load)
            what()
            return values

        monkeypatch.setattr(layers, "system_values", loading)

    return happening


def test_what_a_commit_has_overtaken_is_not_published(
    number: Setting[int], after_the_query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    after_the_query(lambda: elsewhere(lambda: write(2)))
    assert number.get() == 1  # as it was when the read began
    assert number.get() == 2


def test_the_age_counts_from_before_the_query(
    number: Setting[int], after_the_query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(snapshot, "monotonic", lambda: clock[0])

    def slow() -> None:
        clock[0] += 0.7

    after_the_query(slow)
    assert snapshot.current().deadline == 1000.0 + snapshot.LONGEST_AGE


def test_a_commit_during_a_load_in_a_transaction_is_read_next(
    number: Setting[int], after_the_query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("its transactions wait for each other")
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    with transaction.atomic():
        after_the_query(lambda: elsewhere(lambda: write(2)))
        number.get()
        assert number.get() == 2


def test_a_cursor_that_is_not_read_to_its_end_keeps_nothing_back(number: Setting[int]) -> None:
    ROWS.bulk_create(SystemConfiguration(key=f"example.n{n}") for n in range(50))
    rows = ROWS.all().iterator(chunk_size=2)
    next(rows)
    elsewhere(lambda: write(2))
    assert number.get() == elsewhere(number.get) == 2
    assert sum(1 for _ in rows) > 40


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("it has no file")
    default = connections["default"]
    gone = default.copy()
    gone.settings_dict["NAME"] = str(tmp_path / "gone.sqlite3")
    try:
        with snapshot._connection_of_its_own(gone), pytest.raises(OperationalError):
            connection.ensure_connection()
    finally:
        connections["default"] = default
    assert not list(tmp_path.iterdir())


@pytest.fixture
def reading_handler(number: Setting[int]) -> Iterator[list[int]]:
    """A log handler that reads a setting; what it read."""
    read: list[int] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            read.append(number.get())

    handler = Handler()
    logging.getLogger(snapshot.__name__).addHandler(handler)
    yield read
    logging.getLogger(snapshot.__name__).removeHandler(handler)


def test_a_log_handler_may_read_a_setting(
    number: Setting[int], reading_handler: list[int], declare: Callable[..., Setting[int]]
) -> None:
    declare("test.wrong", int, default=0)
    ROWS.create(key="test.wrong", value="many")

    def read() -> None:
        number.get()
        connection.close()

    thread = Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive(), "it waits for itself"
    assert reading_handler == [1]


def test_a_hook_that_fails_keeps_no_thread_from_the_new_value(
    number: Setting[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    assert number.get() == 1

    def fail() -> None:
        raise ZeroDivisionError

    def commit() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            write(2)

    with pytest.raises(ZeroDivisionError):
        elsewhere(commit)
    assert number.get() == 2


def test_two_statements_in_one_are_no_mere_read(
    number: Setting[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("it takes one statement at a time")
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
    assert number.get() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; UPDATE system_configuration SET value = '2' WHERE NOT encrypted")
    assert number.get() == 2


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 990 + "]" * 990], ids=["digits", "nesting"])
def test_json_that_cannot_be_read_is_one_wrong_row(text: str, number: Setting[int]) -> None:
    with connection.cursor() as cursor:
        statement = "UPDATE system_configuration SET value = %s WHERE key = 'jobs.paused'"
        cursor.execute(statement, [text])
    assert number.get() == 1
    assert [problem.key for problem in layers.problems()] == ["jobs.paused"]
