"""`make bench`: a backup and a restore, beside stock django-dbbackup and the raw tools.

Each is a process of its own, its start counted, on the same database with a million rows of
statistics; a number is the best of ROUNDS, in each of which everybody has a turn. It prints; it
asserts nothing. Raw is what one would write by hand: SQLite's backup call and zstd at level 3 with
two threads in one small program; pg_restore of stock's dump into a new database.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import django

from benchmarks.both import on_both

ROUNDS = 3
FEW, MANY = 100_000, 1_000_000
STOCK = """
import django, sys; django.setup()
from django.core.management import call_command
from dbbackup.management.commands.dbbackup import Command
call_command(Command(), output_path=sys.argv[1], compress=sys.argv[2] == "sqlite", quiet=True)
"""
RAW = """
import sqlite3, sys, zstandard
source, folder = sys.argv[1:]
with sqlite3.connect(source) as database, sqlite3.connect(folder + "/raw") as copy:
    database.backup(copy)
compressor = zstandard.ZstdCompressor(level=3, threads=2)
with open(folder + "/raw", "rb") as copy, open(folder + "/raw.zst", "wb") as file:
    compressor.copy_stream(copy, file)
"""


def measured(*command: str, **environment: str) -> tuple[float, float]:
    """Seconds, and the most memory that the process had, in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)[:80]}: {said.decode()}")
    return taken, usage.ru_maxrss / 1024


def manage(*arguments: str, folder: Path) -> tuple[float, float]:
    return measured(sys.executable, "manage.py", *arguments, BACKUP_DIR=str(folder))


def emptied(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def size_in(folder: Path) -> int:
    return max(file.stat().st_size for file in folder.iterdir())


def best(ways: dict[str, Callable[[], tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    rounds = [{name: way() for name, way in ways.items()} for _ in range(ROUNDS)]
    return {
        name: (min(one[name][0] for one in rounds), max(one[name][1] for one in rounds))
        for name in ways
    }


def show(name: str, found: tuple[float, float], size: int | None = None) -> None:
    seconds, memory = found
    print(f"  {name:<34} {seconds:6.2f} s  {memory:5.0f} MB", end="")
    print(f"  {size / 1e6:6.1f} MB written" if size else "")


def gate(what: str, found: float, wanted: float, *, least: bool = False) -> None:
    holds = found >= wanted if least else found <= wanted
    sign = "≥" if least else "≤"
    print(f"  gate  {what} {sign} {wanted}: {found:.2f} {'holds' if holds else 'DOES NOT HOLD'}")


def measure() -> None:
    is_sqlite = os.environ["DATABASE_URL"].startswith("sqlite")
    with tempfile.TemporaryDirectory(prefix="ytops-bench-") as name:
        ours = Path(name) / "ours"
        fill(FEW)
        _, few = manage("dbbackup", folder=emptied(ours))
        fill(MANY)
        print(f"{'SQLite' if is_sqlite else 'PostgreSQL'}, {MANY:,} rows of statistics:")
        (on_sqlite if is_sqlite else on_postgresql)(Path(name), ours, few)


def fill(count: int) -> None:
    """In a process of its own: its memory would count for those that come after it."""
    measured(sys.executable, "-m", "benchmarks.backup", "fill", str(count))


def fill_here(count: int) -> None:
    django.setup()
    from django.core.management import call_command

    from benchmarks.rows import fill_statistics

    call_command("migrate", verbosity=0)
    fill_statistics(count)


def on_sqlite(folder: Path, ours: Path, few: float) -> None:
    path = "/" + urlsplit(os.environ["DATABASE_URL"]).path.lstrip("/")
    stock = folder / "stock.gz"
    raw = emptied(folder / "raw")
    found = best(
        {
            "ytops": lambda: manage("dbbackup", folder=emptied(ours)),
            "stock -z": lambda: measured(sys.executable, "-c", STOCK, str(stock), "sqlite"),
            "raw": lambda: measured(sys.executable, "-c", RAW, path, str(emptied(raw))),
        }
    )
    show("dbbackup of ytops", found["ytops"], size_in(ours))
    show("stock dbbackup -z", found["stock -z"], stock.stat().st_size)
    show("raw .backup and zstd", found["raw"], (raw / "raw.zst").stat().st_size)
    gate("stock / ytops", found["stock -z"][0] / found["ytops"][0], 3, least=True)
    gate("ytops / raw", found["ytops"][0] / found["raw"][0], 2.5)
    memory(few, found["ytops"][1])
    show("dbrestore of ytops", manage("dbrestore", "--noinput", folder=ours))


def on_postgresql(folder: Path, ours: Path, few: float) -> None:
    from psycopg import connect

    stock = folder / "stock.dump"
    found = best(
        {
            "ytops": lambda: manage("dbbackup", folder=emptied(ours)),
            "stock": lambda: measured(sys.executable, "-c", STOCK, str(stock), "postgresql"),
        }
    )
    size, stocks = size_in(ours), stock.stat().st_size
    show("dbbackup of ytops", found["ytops"], size)
    show("stock dbbackup", found["stock"], stocks)
    gate("stock / ytops", found["stock"][0] / found["ytops"][0], 2, least=True)
    gate("size of ytops / of stock", size / stocks, 1.05)
    memory(few, found["ytops"][1])

    url = urlsplit(os.environ["DATABASE_URL"])
    server = connect(url._replace(path="/template1").geturl(), autocommit=True)
    plain = url._replace(path="/plain").geturl()

    def restore_plain() -> tuple[float, float]:
        server.execute("DROP DATABASE IF EXISTS plain")
        server.execute("CREATE DATABASE plain")
        return measured("pg_restore", f"--dbname={plain}", str(stock))

    restored = best(
        {"plain": restore_plain, "ytops": lambda: manage("dbrestore", "--noinput", folder=ours)}
    )
    show("dbrestore of ytops", restored["ytops"])
    show("pg_restore into a new database", restored["plain"])
    gate("dbrestore / pg_restore", restored["ytops"][0] / restored["plain"][0], 1.5)


def memory(few: float, many: float) -> None:
    print(f"  memory at {FEW:,} rows: {few:.0f} MB")
    gate("MB at most", many, 100)
    gate("memory at 1M / at 100k rows", many / few, 1.1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill_here(int(sys.argv[2]))
    elif sys.argv[1:]:
        measure()
    else:
        on_both("benchmarks.backup", "ytops.settings", durable=True)
