"""A process that forks while it holds a snapshot and connections; what went wrong is raised, and
`python -m settings_app.tests.forker KEY` ends with 0 if nothing did. The row of KEY holds 1.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import django
from django.db import connection, transaction

LONGEST_AGE = 1.0


class Forker:
    def __init__(self, setting: Any) -> None:
        from settings_app import snapshot
        from settings_app.models import SystemConfiguration

        self.snapshot = snapshot
        self.setting = setting
        self.rows = SystemConfiguration.objects.filter(key=setting.key)

    def write(self, value: int) -> float:
        """When it was committed."""
        self.rows.update(value=value)
        return monotonic()

    def expect(self, value: int) -> None:
        read = self.setting.get()
        assert read == value, f"{read} is read in place of {value}"

    def check_that_connections_are_the_child_s_own(self) -> None:
        self.expect(1)
        self.rows.get()
        parents = connection.connection

        def child() -> None:
            assert connection.connection is None
            assert self.snapshot.published.values[self.setting.key] == 1
            self.expect(1)
            self.write(2)
            self.expect(2)
            assert connection.connection is not parents

        with forked(child):
            self.use_the_connection(parents)
        self.use_the_connection(parents)
        self.snapshot.expire()
        self.expect(2)

    def use_the_connection(self, parents: Any) -> None:
        assert connection.connection is parents
        self.rows.get()

    def check_that_a_child_sees_what_is_written_later(self) -> None:
        self.expect(2)
        reading, writing = os.pipe()

        def child() -> None:
            self.expect(2)
            committed = float(os.read(reading, 100))
            while (began := monotonic()) <= committed + LONGEST_AGE:
                assert self.setting.get() in (2, 3)
            assert began > committed
            self.expect(3)

        with forked(child):
            os.write(writing, str(self.write(3)).encode())

    def check_that_a_transaction_stays_the_parent_s(self) -> None:
        """Of this thread and of another one; and what it wrote is read by itself alone."""
        began, ended = Event(), Event()

        def of_another_thread() -> None:
            with transaction.atomic():
                self.expect(3)
                began.set()
                ended.wait()
                self.write(4)
            connection.close()

        def child() -> None:
            # Whoever reads first here begins with no transaction.
            self.expect(3)
            self.snapshot.expire()
            self.expect(3)
            assert not connection.in_atomic_block

        thread = Thread(target=of_another_thread)
        thread.start()
        began.wait()
        with forked(child):
            pass
        ended.set()
        thread.join()
        with transaction.atomic():
            self.write(5)
            self.expect(5)
            with forked(lambda: self.expect(4)):
                self.expect(5)
            self.use_the_connection(connection.connection)
            self.expect(5)
        self.expect(5)
        self.write(3)

    def check_that_no_lock_is_inherited(self) -> None:
        """Another thread is in the middle of a renewal; the child has locks of its own."""
        held, ended = Event(), Event()

        def renewing() -> None:
            with self.snapshot._loading, self.snapshot._state:
                held.set()
                ended.wait()

        def child() -> None:
            self.snapshot.expire()
            self.expect(3)

        thread = Thread(target=renewing)
        thread.start()
        held.wait()
        with forked(child):
            pass
        ended.set()
        thread.join()
        self.expect(3)

    def check_multiprocessing(self) -> None:
        self.expect(3)
        worker = multiprocessing.get_context("fork").Process(target=self.write, args=(6,))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        self.use_the_connection(connection.connection)
        self.snapshot.expire()
        self.expect(6)


@contextmanager
def forked(child: Callable[[], Any]) -> Iterator[None]:
    """Run this in a child beside the body; it ends as Python does, finalizers and all."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.exit(0)
    try:
        yield
    finally:
        assert os.waitpid(pid, 0)[1] == 0, "the child failed"


if __name__ == "__main__":
    django.setup()
    from settings_app.tests.writer import declared

    forker = Forker(declared(sys.argv[1]))
    forker.check_that_connections_are_the_child_s_own()
    forker.check_that_a_child_sees_what_is_written_later()
    forker.check_that_a_transaction_stays_the_parent_s()
    forker.check_that_no_lock_is_inherited()
    forker.check_multiprocessing()
    print("done")
