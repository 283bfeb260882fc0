"""`make bench`: claim and complete, beside raw SQL that does no more than that, and procrastinate.

Four worker processes at once, on a PostgreSQL as it comes: a commit is on the disk. It prints; it
asserts nothing. Trust the ratios: the numbers are those of this machine on this day.

Raw is one UPDATE … RETURNING and one UPDATE a job, each a transaction: no caps, channels, videos,
history or next job. It runs on the jobs table of ytops, with its constraints and indexes, and on a
bare one of the same columns with one index. procrastinate (PostgreSQL alone) fetches a job and
finishes it, without caps.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import django
from django.db import connection

from benchmarks.both import on_both
from benchmarks.rows import fill, make_channels

WORKERS, ROUNDS, JOBS = 4, 5, 1500
SMALL, LARGE, CLAIMS = 10_000, 1_000_000, 300
GATES = {"postgresql": 0.12, "sqlite": 0.05}
REAL, BARE = "video_processing_jobs", "bare_jobs"
NOW = {
    "postgresql": ("STATEMENT_TIMESTAMP()", "STATEMENT_TIMESTAMP() + INTERVAL '300 seconds'"),
    "sqlite": (
        "STRFTIME('%Y-%m-%d %H:%M:%f', 'now')",
        "STRFTIME('%Y-%m-%d %H:%M:%f', 'now', '300 seconds')",
    ),
}
RAW_INDEX = """CREATE INDEX {table}_raw ON {table} (priority DESC, run_at, id)
    WHERE status = 'queued'"""
RAW_CLAIM = """UPDATE {table} SET status = 'running', attempts = attempts + 1, started_at = {now},
    lease_token = {p}, lease_expires_at = {later}
    WHERE id = (SELECT id FROM {table} WHERE status = 'queued' AND run_at <= {now}
                ORDER BY priority DESC, run_at, id LIMIT 1 {skip_locked}) RETURNING id"""
RAW_COMPLETE = """UPDATE {table} SET status = 'succeeded', finished_at = {now},
    lease_token = NULL, lease_expires_at = NULL
    WHERE id = {p} AND status = 'running' AND lease_token = {p}"""


# --- what a worker process does until nothing is left; each returns how many jobs it did ---


def raw_real() -> int:
    return raw(REAL)


def raw_bare() -> int:
    return raw(BARE)


def raw(table: str) -> int:
    now, later = NOW[connection.vendor]
    is_sqlite = connection.vendor == "sqlite"
    names = {"table": table, "now": now, "later": later, "p": "?" if is_sqlite else "%s"}
    claim = RAW_CLAIM.format(skip_locked="" if is_sqlite else "FOR UPDATE SKIP LOCKED", **names)
    work = raw_sqlite if is_sqlite else raw_postgresql
    return work(claim, RAW_COMPLETE.format(**names))


def raw_postgresql(claim: str, complete: str) -> int:
    import psycopg

    done = 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        while True:
            token = uuid4()
            if not (row := server.execute(claim, [token]).fetchone()):
                return done
            server.execute(complete, [row[0], token])
            done += 1


def raw_sqlite(claim: str, complete: str) -> int:
    import sqlite3

    done = 0
    name = connection.settings_dict["NAME"]
    file = sqlite3.connect(name, timeout=20, isolation_level=None)
    for pragma in ("synchronous = NORMAL", "wal_autocheckpoint = 4000"):  # as ytops has it
        file.execute(f"PRAGMA {pragma}")
    while True:
        token = uuid4().hex
        file.execute("BEGIN IMMEDIATE")
        rows = file.execute(claim, [token]).fetchall()
        file.execute("COMMIT")
        if not rows:
            return done
        file.execute("BEGIN IMMEDIATE")
        file.execute(complete, [rows[0][0], token])
        file.execute("COMMIT")
        done += 1


def ytops() -> int:
    from jobs_app.models import VideoProcessingJob

    done = 0
    while claimed := VideoProcessingJob.objects.claim(worker="bench", kinds=["download"]):
        claimed[0].complete({"path": "a.mp4"})
        done += 1
    connection.close()
    return done


def procrastinate() -> int:
    tasks = procrastinate_app()
    done: list[int] = []

    @tasks.task(name="nothing")  # type: ignore[untyped-decorator]
    def nothing() -> None:
        done.append(1)

    with tasks.open():
        tasks.run_worker(wait=False, install_signal_handlers=False, concurrency=1)
    return len(done)


def procrastinate_app() -> Any:
    import logging

    from procrastinate import App, PsycopgConnector

    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    return App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"], max_size=4))


# --- what stands in the queue before ---


def fill_real() -> None:
    fill(make_channels(), JOBS)
    with connection.cursor() as cursor:
        cursor.execute(RAW_INDEX.format(table=REAL))
    analyze()


def fill_bare() -> None:
    fill(make_channels(), JOBS)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {BARE}")
        cursor.execute(f"CREATE TABLE {BARE} AS SELECT * FROM {REAL}")
        cursor.execute(f"CREATE UNIQUE INDEX {BARE}_key ON {BARE} (id)")
        cursor.execute(RAW_INDEX.format(table=BARE))
    analyze()


def fill_ytops() -> None:
    fill(make_channels(), JOBS)
    analyze()


def fill_procrastinate() -> None:
    tasks = procrastinate_app()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with tasks.open():
        tasks.schema_manager.apply_schema()
        tasks.configure_task("nothing").batch_defer(*({} for _ in range(JOBS)))
    analyze()


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


# --- measuring ---


def work(contestant: str, barrier: Any, results: Any) -> None:
    """A worker process."""
    django.setup()
    connection.ensure_connection()
    connection.close()
    barrier.wait()
    begun = perf_counter()
    results.put((globals()[contestant](), begun, perf_counter()))


def rate(contestant: str) -> float:
    """Jobs a second of all workers together, from the first one's start to the last one's end."""
    connection.close()
    processes = multiprocessing.get_context("spawn")
    barrier, results = processes.Barrier(WORKERS), processes.Queue()
    workers = [
        processes.Process(target=work, args=(contestant, barrier, results)) for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    ended = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(done for done, _, _ in ended) == JOBS
    seconds: float = max(end for _, _, end in ended) - min(begin for _, begin, _ in ended)
    return JOBS / seconds


def throughput() -> None:
    contestants: dict[str, Callable[[], None]] = {
        "raw_real": fill_real,
        "raw_bare": fill_bare,
        "ytops": fill_ytops,
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, prepare in contestants.items():
            prepare()
            rates[name].append(rate(name))
            with connection.cursor() as cursor:
                cursor.execute(f"DROP INDEX IF EXISTS {REAL}_raw")
    if connection.vendor == "postgresql":
        rates["procrastinate"] = []
        for _ in range(ROUNDS):
            fill_procrastinate()
            rates["procrastinate"].append(rate("procrastinate"))
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    found = {name: median(of) for name, of in rates.items()}
    real, bare = found["raw_real"], found["raw_bare"]
    title = f"jobs a second, {WORKERS} workers"
    print(f"{title:32}{'median':>9}{'of raw, real':>14}{'of raw, bare':>14}")
    for name, jobs in found.items():
        print(f"  {name:30}{jobs:9,.0f}{jobs / real:14.3f}{jobs / bare:14.3f}")
    least, ratio = GATES[connection.vendor], found["ytops"] / real
    gate(f"claim and complete ≥ {least} of raw on the same table", ratio >= least, f"{ratio:.3f}")


def gate(what: str, holds: bool, found: str) -> None:
    print(f"{'holds' if holds else 'FAILS'} {what}: {found}", flush=True)


def claim_p50() -> float:
    """Milliseconds of a claim; what it claims is completed outside of the time."""
    from jobs_app.models import VideoProcessingJob

    taken = []
    for _ in range(CLAIMS):
        begun = perf_counter()
        (job,) = VideoProcessingJob.objects.claim(worker="bench", kinds=["download"])
        taken.append((perf_counter() - begun) * 1e3)
        job.complete()
    return float(median(taken))


def flatness() -> None:
    """A claim before many rows as before few, and behind a full channel that has them all."""
    from channels_app.models import Channel
    from jobs_app.models import VideoProcessingJob

    shapes: dict[str, list[float]] = {"all channels open": [], "the first one full": []}
    for size in (SMALL, LARGE):
        channels = make_channels()
        fill(channels, size, ended=size, ahead=True)
        first = channels[0]
        analyze()
        shapes["all channels open"].append(claim_p50())
        jobs = VideoProcessingJob.objects
        Channel.objects.exclude(pk=first.pk).update(is_active=False)
        while jobs.claim(worker="bench"):
            pass
        Channel.objects.update(is_active=True)
        assert jobs.running().filter(channel=first).count() == 2
        shapes["the first one full"].append(claim_p50())
    for shape, (small, large) in shapes.items():
        gate(
            f"claim p50 at {LARGE:,} + {LARGE:,} ≤ 1.2 × that at {SMALL:,}, {shape}",
            large <= 1.2 * small,
            f"{large:.2f} ms and {small:.2f} ms, {large / small:.2f}",
        )


def measure(part: str) -> None:
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"--- {connection.vendor}, Python {version}, Django {django.get_version()}", flush=True)
    PARTS[part]()


PARTS = {"flatness": flatness, "throughput": throughput}


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1])
    else:
        # The first without the disk: after so many new rows each commit writes whole pages.
        on_both("benchmarks.queue", "ytops.settings", "flatness")
        on_both("benchmarks.queue", "ytops.settings", "throughput", durable=True)
