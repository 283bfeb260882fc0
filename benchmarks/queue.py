"""`make bench`: claim and complete, beside raw SQL that does no more than that, and procrastinate.

Four worker processes at once. It prints; it asserts nothing. Trust the ratios: the numbers are
those of this machine on this day. PostgreSQL is as it comes: a commit is on the disk.

Raw has a table of seven columns and one index; a job is one UPDATE … RETURNING and one UPDATE, each
a transaction. It knows no caps, no channels, no videos, no history and no next job. ytops does all
of that. procrastinate (PostgreSQL alone) fetches a job and finishes it, without caps.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import django
from django.db import connection

from benchmarks.rows import fill, make_channels
from ytops.tests import postgres

WORKERS, ROUNDS, JOBS = 4, 5, 1500
SMALL, LARGE, CLAIMS = 10_000, 1_000_000, 300
GATES = {"postgresql": 0.12, "sqlite": 0.05}
RAW_TABLE = """CREATE TABLE raw_jobs (
    id {uuid} PRIMARY KEY, status TEXT NOT NULL, priority INTEGER NOT NULL, run_at BIGINT NOT NULL,
    token {uuid}, worker TEXT, attempts INTEGER NOT NULL)"""
RAW_INDEX = """CREATE INDEX raw_jobs_queued ON raw_jobs (priority DESC, run_at, id)
    WHERE status = 'queued'"""
RAW_CLAIM = """UPDATE raw_jobs SET status = 'running', token = {p}, attempts = attempts + 1
    WHERE id = (SELECT id FROM raw_jobs WHERE status = 'queued' AND run_at <= 1
                ORDER BY priority DESC, run_at, id LIMIT 1 {skip_locked}) RETURNING id"""
RAW_COMPLETE = """UPDATE raw_jobs SET status = 'succeeded'
    WHERE id = {p} AND status = 'running' AND token = {p}"""


# --- what a worker process does until nothing is left; each returns how many jobs it did ---


def raw_postgresql() -> int:
    import psycopg

    done = 0
    claim = RAW_CLAIM.format(p="%s", skip_locked="FOR UPDATE SKIP LOCKED")
    complete = RAW_COMPLETE.format(p="%s")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        while True:
            token = uuid4()
            if not (row := server.execute(claim, [token]).fetchone()):
                return done
            server.execute(complete, [row[0], token])
            done += 1


def raw_sqlite() -> int:
    import sqlite3

    done = 0
    claim, complete = RAW_CLAIM.format(p="?", skip_locked=""), RAW_COMPLETE.format(p="?")
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


def fill_raw() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS raw_jobs")
        uuid = "UUID" if connection.vendor == "postgresql" else "TEXT"
        cursor.execute(RAW_TABLE.format(uuid=uuid))
        cursor.execute(RAW_INDEX)
        insert = "INSERT INTO raw_jobs VALUES (%s, 'queued', 0, 0, NULL, '', 0)"
        cursor.executemany(insert, [(uuid4().hex,) for _ in range(JOBS)])
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
        f"raw_{connection.vendor}": fill_raw,
        "ytops": fill_ytops,
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, prepare in contestants.items():
            prepare()
            rates[name].append(rate(name))
    if connection.vendor == "postgresql":
        rates["procrastinate"] = []
        for _ in range(ROUNDS):
            fill_procrastinate()
            rates["procrastinate"].append(rate("procrastinate"))
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    raw = median(rates[f"raw_{connection.vendor}"])
    print(f"{'jobs a second, ' + str(WORKERS) + ' workers':36}{'median':>9}{'of raw':>9}")
    for name, found in rates.items():
        print(f"  {name:34}{median(found):9,.0f}{median(found) / raw:9.3f}")
    ratio, least = median(rates["ytops"]) / raw, GATES[connection.vendor]
    gate(f"claim and complete ≥ {least} of raw", ratio >= least, f"{ratio:.3f}")


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


def measure() -> None:
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"--- {connection.vendor}, Python {version}, Django {django.get_version()}", flush=True)
    flatness()
    throughput()


def main() -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith("YTOPS_")}
    with tempfile.TemporaryDirectory(prefix="ytops-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own where we are root
        with postgres.server(folder / "postgresql", durable=True) as url:
            for database in (f"sqlite:///{folder}/bench.sqlite3", url):
                own = {
                    "DJANGO_SETTINGS_MODULE": "ytops.settings",
                    "ENV_FILE": os.devnull,
                    "SECRET_KEY": "for-benchmarks-only-0123456789abcdefghijklmnopqrstuvwxyz",
                    "FERNET_KEYS": "for-benchmarks-only-0123456789abcdefghijklmnopqrstuvwxyz",
                    "DATABASE_URL": database,
                }
                command = [sys.executable, "-m", "benchmarks.queue", "measure"]
                subprocess.run(command, env=given | own, check=True)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
