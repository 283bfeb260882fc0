"""What a child made by os.fork() has of its parent's connections: nothing, and it ends none."""

import ctypes
import os
from typing import Any
from weakref import WeakValueDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_of_all_threads: WeakValueDictionary[int, BaseDatabaseWrapper] = WeakValueDictionary()
_held: list[Any] = []


def _remember(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    _of_all_threads[id(connection)] = connection


def _hold() -> None:
    """The child frees what belonged to threads that it does not have."""
    _held.extend(reference() for reference in _of_all_threads.valuerefs())


def _begin_without_connections() -> None:
    for connection in connections.all():
        del connections[connection.alias]
        pools = getattr(connection, "_connection_pools", {})
        _held.extend(pools.values())
        pools.clear()
    # Never freed, not even at exit: what is freed closes itself, in the middle of what the parent
    # does with it.
    for inherited in _held:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
    _held.clear()


def heed_forks() -> None:
    connection_created.connect(_remember)
    os.register_at_fork(
        before=_hold, after_in_parent=_held.clear, after_in_child=_begin_without_connections
    )
