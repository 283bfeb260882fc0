"""Which snapshot a read is answered from, in one process. LONGEST_AGE is an hour in most of these
tests: what shows then is shown by a write's notice, not by the next renewal."""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from django.db import connection, transaction

from settings_app import snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.snapshot import Snapshot
from settings_app.tests.threads import at_once, elsewhere, rolled_back, statements_seen

pytestmark = pytest.mark.usefixtures("committing")
KEY = "test.number"
ROWS = SystemConfiguration.objects


@pytest.fixture
def seen(number: Setting[int]) -> Iterator[list[str]]:
    with statements_seen() as seen:
        yield seen


@pytest.fixture
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)


def by_save(value: int) -> None:
    row = ROWS.get(key=KEY)
    row.value = value
    row.save()


def by_update(value: int) -> None:
    ROWS.filter(key=KEY).update(value=value)


def by_bulk_update(value: int) -> None:
    row = ROWS.get(key=KEY)
    row.value = value
    ROWS.bulk_update([row], ["value"])


def by_sql(value: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE System_Configuration SET value = %s WHERE key = %s", [str(value), KEY]
        )


def by_sql_of_many(value: int) -> None:
    with connection.cursor() as cursor:
        statement = 'UPDATE "system_configuration" SET value = %s WHERE key = %s'
        cursor.executemany(statement, [(str(value - 1), KEY), (str(value), KEY)])


def by_replacing_all(value: int) -> None:
    with transaction.atomic():
        ROWS.all().delete()
        ROWS.create(key=KEY, value=value)


def by_a_statement_that_begins_with_with(value: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH changed AS (SELECT %s AS key) UPDATE system_configuration SET value = %s "
            "WHERE key IN (SELECT key FROM changed)",
            [KEY, str(value)],
        )


WAYS = [
    by_save,
    by_update,
    by_bulk_update,
    by_sql,
    by_sql_of_many,
    by_replacing_all,
    by_a_statement_that_begins_with_with,
]
every_way = pytest.mark.parametrize("write", WAYS)


@pytest.mark.usefixtures("_long")
class TestStatements:
    def test_the_first_read_takes_one_and_the_next_none(
        self, number: Setting[int], seen: list[str]
    ) -> None:
        assert [number.get() for _ in range(1000)] == [1] * 1000
        assert len(seen) == 1

    def test_threads_that_find_it_too_old_together_take_one(
        self, number: Setting[int], seen: list[str]
    ) -> None:
        for _ in range(10):
            seen.clear()
            snapshot.expire()
            assert at_once(16, number.get) == [1] * 16
            assert len(seen) == 1

    def test_a_read_writes_nothing(self, number: Setting[int], seen: list[str]) -> None:
        ROWS.all().delete()
        seen.clear()
        assert number.get() == 0
        assert [sql.split()[0] for sql in seen] == ["SELECT"]
        assert not ROWS.exists()


def test_no_more_than_one_statement_in_the_longest_age(
    number: Setting[int], seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_AGE", 0.1)
    begun = monotonic()

    def read_until_it_was_renewed() -> None:
        while len(seen) < 4:
            number.get()

    at_once(4, read_until_it_was_renewed)
    assert 4 <= len(seen) <= (monotonic() - begun) / 0.1 + 1


@pytest.mark.usefixtures("_long")
class TestTransactions:
    @every_way
    def test_a_write_of_its_own_then_the_commit(
        self, number: Setting[int], write: Callable[[int], None]
    ) -> None:
        assert number.get() == elsewhere(number.get) == 1
        with transaction.atomic():
            write(2)
            assert number.get() == 2
            assert elsewhere(number.get) == 1
            write(3)
            assert number.get() == 3
        assert at_once(4, number.get) == [3] * 4
        assert number.get() == 3

    @every_way
    def test_a_write_outside_of_any(
        self, number: Setting[int], write: Callable[[int], None]
    ) -> None:
        assert number.get() == elsewhere(number.get) == 1
        write(2)
        assert at_once(4, number.get) == [2] * 4

    @every_way
    def test_a_rollback(self, number: Setting[int], write: Callable[[int], None]) -> None:
        with rolled_back():
            write(2)
            assert number.get() == 2
        assert number.get() == elsewhere(number.get) == 1

    def test_hooks_of_the_commit_read_what_was_committed(self, number: Setting[int]) -> None:
        read: list[int] = []
        with transaction.atomic():
            transaction.on_commit(lambda: read.append(number.get()))
            number.get()
            by_update(2)
            transaction.on_commit(lambda: read.append(number.get()))
        assert read == [2, 2]

    @pytest.mark.skipif(
        "connection.vendor == 'sqlite'", reason="its transactions wait for each other"
    )
    def test_a_commit_of_another_thread_is_seen_in_one_that_is_open(
        self, number: Setting[int]
    ) -> None:
        with transaction.atomic():
            assert number.get() == 1
            elsewhere(lambda: by_update(2))
            assert number.get() == 2

    def test_what_is_loaded_in_one_is_never_published(self, number: Setting[int]) -> None:
        number.get()
        snapshot.expire()
        with transaction.atomic():
            assert number.get() == 1
            assert not snapshot.published.is_fresh()
            by_update(2)
            assert number.get() == 2
            assert not snapshot.published.is_fresh()
            assert elsewhere(number.get) == 1
        assert number.get() == 2

    def test_one_that_only_reads_is_left_without_reading_backwards(
        self, number: Setting[int]
    ) -> None:
        """Not onto what another thread began to load after this one, and had before it."""
        of_another_thread: list[Snapshot] = []

        def in_between(execute: Any, *args: Any) -> Any:
            of_another_thread.append(Snapshot(monotonic() + snapshot.LONGEST_AGE, {KEY: -1}))
            return execute(*args)

        with transaction.atomic():
            with connection.execute_wrapper(in_between):
                assert number.get() == 1
            snapshot.published = of_another_thread[0]
            assert number.get() == 1
        assert number.get() == 1

    @pytest.mark.parametrize("after", [False, True])
    def test_savepoints(self, number: Setting[int], after: bool) -> None:
        """`after`: the outer transaction has written by then."""
        with transaction.atomic():
            outer = 1
            if after:
                outer = 2
                by_update(2)
            with rolled_back():
                with transaction.atomic():
                    by_update(3)
                assert number.get() == 3
                with rolled_back():
                    by_update(4)
                    assert number.get() == 4
                assert number.get() == 3
            assert number.get() == outer
            with transaction.atomic():
                by_update(5)
            assert number.get() == 5
            assert elsewhere(number.get) == 1
        assert number.get() == elsewhere(number.get) == 5

    def test_savepoints_by_hand(self, number: Setting[int]) -> None:
        with transaction.atomic():
            by_update(2)
            savepoint = transaction.savepoint()
            by_update(3)
            assert number.get() == 3
            transaction.savepoint_rollback(savepoint)
            assert number.get() == 2
        assert number.get() == elsewhere(number.get) == 2

    def test_a_connection_lost_on_the_way(self, number: Setting[int]) -> None:
        number.get()
        with transaction.atomic():
            by_update(2)
            assert number.get() == 2
            connection.close()
        assert number.get() == elsewhere(number.get) == 1


@pytest.mark.usefixtures("_long")
class TestTransactionsThatAreNotDjangos:
    @pytest.fixture(params=["BEGIN", "set_autocommit"])
    def end(self, request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
        """Begins one; call what it gives with COMMIT or ROLLBACK."""
        with connection.cursor() as cursor:
            if request.param == "BEGIN":
                cursor.execute("BEGIN")
                yield cursor.execute
            else:
                transaction.set_autocommit(False)
                ends = {"COMMIT": connection.commit, "ROLLBACK": connection.rollback}
                yield lambda how: ends[how]()
                connection.rollback()
                transaction.set_autocommit(True)

    def test_nobody_else_sees_what_is_not_committed(
        self, number: Setting[int], end: Callable[[str], None]
    ) -> None:
        assert number.get() == 1
        by_sql(2)
        assert number.get() == 2
        assert elsewhere(number.get) == 1
        snapshot.expire()
        assert number.get() == 2
        assert elsewhere(number.get) == 1
        end("COMMIT")
        if connection.get_autocommit():
            assert elsewhere(number.get) == 2
        assert number.get() == elsewhere(number.get) == 2

    def test_what_was_rolled_back_is_seen_by_nobody(
        self, number: Setting[int], end: Callable[[str], None]
    ) -> None:
        by_sql(2)
        assert number.get() == 2
        end("ROLLBACK")
        assert number.get() == elsewhere(number.get) == 1

    def test_one_right_after_another(
        self, number: Setting[int], end: Callable[[str], None]
    ) -> None:
        by_sql(2)
        assert number.get() == 2
        end("ROLLBACK")
        if connection.get_autocommit():
            end("BEGIN")
        ROWS.count()
        assert number.get() == 1
        end("ROLLBACK")


@pytest.mark.usefixtures("_long")
def test_wrappers_around_the_first_connection_leave_ours_in_place(number: Setting[int]) -> None:
    def wrapper(execute: Any, *args: Any) -> Any:
        return execute(*args)

    def in_a_new_thread() -> tuple[int, int]:
        with connection.execute_wrapper(wrapper):
            before = number.get()
            ROWS.count()
        by_update(2)
        return before, number.get()

    assert elsewhere(in_a_new_thread) == (1, 2)
    assert number.get() == 2
