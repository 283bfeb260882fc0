"""`make bench`: what a move to PostgreSQL costs, beside what one would do instead of copydb.

Raw: a script of a user, which reads each table by sqlite3 and hands the rows to psycopg's
`copy.write_row()`, in one transaction, into a target on which `migrate` has been run: no check
before, no proof after. Without its proof copydb does all it does but that. Both are measured in a
process of their own, from an empty database on, `migrate` included; three times, and the best is
taken. It prints; it asserts nothing.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import django
import psycopg
from django.db import connection

from benchmarks.both import KEY
from benchmarks.rows import NOW, fill, insert, make_channels
from ytops.tests import postgres

SMALL, LARGE = 100_000, 1_000_000
ROUNDS = 3
# Rows with a text each; and how many times one of them copydb may hold, beside its 100 MB.
WIDE, WIDTH, TIMES = 20, 8_000_000, 15
JOBS = 10_000
STATISTICS = {
    **{"id": None, "created_at": None, "updated_at": None, "timestamp": None, "video_id": None},
    **{"view_count": None, "like_count": None, "comment_count": 3},
}
TABLES = (
    *("transformation_presets", "music", "channels", "videos", "video_processing_jobs"),
    *("channel_statistics", "video_statistics", "system_configuration"),
    "system_configuration_changes",
)


# --- each of these runs in a process of its own ---


def make(rows: int) -> None:
    """Fill the database with this many rows of statistics, of 10,000 videos."""
    from django.core.management import call_command
    from uuid_utils.compat import uuid7

    from videos_app.models import Video

    call_command("migrate", verbosity=0)
    fill(make_channels(), JOBS, ended=JOBS)
    videos = list(Video.objects.values_list("pk", flat=True))

    def statistics() -> Iterator[dict[str, Any]]:
        for number in range(rows):
            time = NOW + timedelta(hours=number // JOBS, microseconds=number)
            times = dict.fromkeys(("created_at", "updated_at", "timestamp"), time)
            video = videos[number % JOBS]
            yield {"id": uuid7(), **times, "video_id": video, "view_count": number}

    insert("video_statistics", STATISTICS, statistics())


def make_wide(rows: int) -> None:
    """Fill the database with this many rows of which each is long."""
    from django.contrib.sessions.models import Session
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for number in range(rows):
        key, text = f"{number:032x}", f"{number:08}\\\n" * (WIDTH // 10)
        Session.objects.create(session_key=key, session_data=text, expire_date=NOW)


def raw(source: str) -> None:
    """What a careful user writes in an hour."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    file, begun = sqlite3.connect(source), perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        for table in TABLES:
            declared = file.execute(f"PRAGMA table_info({table})").fetchall()
            names = ", ".join(f'"{column[1]}"' for column in declared)
            booleans = [place for place, column in enumerate(declared) if column[2] == "bool"]
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in file.execute(f"SELECT {names} FROM {table}"):
                    if booleans:
                        row = list(row)
                        for place in booleans:
                            row[place] = bool(row[place])
                    copy.write_row(row)
        cursor.execute("COMMIT")
    print(json.dumps({"copy": perf_counter() - begun}))


def copydb(source: str, *, proof: bool = True) -> None:
    from django.core.management import call_command

    from ytops.management.commands import copydb as command
    from ytops.moving.proof import prove as own

    migrating = 0.0

    def timed(*args: Any, **options: Any) -> None:
        nonlocal migrating
        begun = perf_counter()
        call_command(*args, **options)
        migrating += perf_counter() - begun

    url = os.environ["DATABASE_URL"].replace(":@", "@")
    prove = own if proof else lambda *args: ""
    begun = perf_counter()
    with (
        patch.object(command, "prove", prove),
        patch.object(command, "call_command", timed),
        open(os.devnull, "w") as nowhere,
    ):
        call_command("copydb", "--from", f"sqlite:///{source}", "--to", url, stdout=nowhere)
    print(json.dumps({"copy": perf_counter() - begun - migrating}))


def fixtures(source: str) -> None:
    """The way before there was copydb."""
    excluded = ("contenttypes", "auth.permission", "sessions", "admin.logentry")
    manage = [sys.executable, "manage.py"]
    dump = f"{source}.json"
    left_out = [word for label in excluded for word in ("-e", label)]
    subprocess.run(
        [*manage, "dumpdata", "--natural-foreign", *left_out, "-o", dump],
        env=os.environ | {"DATABASE_URL": f"sqlite:///{source}"},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    subprocess.run([*manage, "migrate", "--verbosity=0"], check=True)
    subprocess.run([*manage, "loaddata", dump], stdout=subprocess.DEVNULL, check=True)
    Path(dump).unlink()
    print(json.dumps({"copy": 0.0}))


MAKERS = {"make": make, "make_wide": make_wide}
PARTS = {
    "raw": raw,
    "copydb": copydb,
    "unproved": lambda source: copydb(source, proof=False),
    "fixtures": fixtures,
}

# --- what starts them ---


def run(part: str, database: str, argument: str) -> tuple[float, float, float]:
    """Seconds of the whole process and of its copy alone; the most memory it had, in MB."""
    own = {"ENV_FILE": os.devnull, "SECRET_KEY": KEY, "FERNET_KEYS": KEY}
    own |= {"DJANGO_SETTINGS_MODULE": "ytops.settings", "DATABASE_URL": database}
    begun = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.copydb", part, argument],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{part} ended with {status}: {said}")
    taken = perf_counter() - begun
    alone = json.loads(said)["copy"] if said else 0.0
    return taken, alone, used.ru_maxrss / 1024


class Server:
    def __init__(self, url: str) -> None:
        self.url, self.number = url, 0

    def empty(self) -> str:
        """The URL of a new database; the one before it is dropped."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(f"DROP DATABASE IF EXISTS bench_{self.number} WITH (FORCE)")
            self.number += 1
            session.execute(f"CREATE DATABASE bench_{self.number}")
            session.execute("CHECKPOINT")
        return re.sub(r"(//[^/]*/)\w+", rf"\1bench_{self.number}", self.url)


def by_tools(source: str, server: Server) -> float | None:
    """Seconds that `sqlite3 -csv | psql \\copy` takes for the statistics alone, where they are."""
    if not (shutil.which("sqlite3") and shutil.which("psql")):
        return None
    target = server.empty()
    with psycopg.connect(target) as session:
        session.execute(
            "CREATE TABLE video_statistics (id uuid PRIMARY KEY, created_at timestamptz, "
            "updated_at timestamptz, timestamp timestamptz, view_count bigint, "
            "like_count bigint, comment_count bigint, video_id uuid)"
        )
    begun = perf_counter()
    read = subprocess.Popen(
        ["sqlite3", "-csv", source, "SELECT * FROM video_statistics"], stdout=subprocess.PIPE
    )
    copy = ["psql", "-q", target, "-c", r"\copy video_statistics FROM STDIN CSV"]
    subprocess.run(copy, stdin=read.stdout, check=True)
    return perf_counter() - begun


def gate(what: str, holds: bool, found: str) -> None:
    print(f"{'holds' if holds else 'FAILS'} {what}: {found}", flush=True)


def measure(rows: int, folder: Path, server: Server) -> dict[str, tuple[float, float, float]]:
    """The best of ROUNDS, in which each has its turn."""
    source = str(folder / f"{rows}.sqlite3")
    run("make", f"sqlite:///{source}", str(rows))
    parts = ("raw", "unproved", "copydb")
    found: dict[str, list[tuple[float, float, float]]] = {part: [] for part in parts}
    for _ in range(ROUNDS):
        for part in parts:
            found[part].append(run(part, server.empty(), source))
    best = {
        part: (
            min(whole for whole, _, _ in results),
            min(alone for _, alone, _ in results),
            max(memory for _, _, memory in results),
        )
        for part, results in found.items()
    }
    if rows == SMALL:
        best["fixtures"] = run("fixtures", server.empty(), source)
    print(f"--- {rows:,} rows of statistics, {JOBS * 2:,} jobs, {JOBS:,} videos")
    for part, (whole, alone, memory) in best.items():
        print(f"  {part:12}{whole:8.2f} s, without migrate{alone:8.2f} s, {memory:4.0f} MB")
    if (tools := by_tools(source, server)) is not None:
        print(f"  sqlite3 -csv | psql \\copy, the statistics alone, without checks: {tools:.2f} s")
    return best


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ytops-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgres.server(folder / "postgresql") as url:
            server = Server(url)
            small, large = (measure(rows, folder, server) for rows in (SMALL, LARGE))
            wide = str(folder / "wide.sqlite3")
            run("make_wide", f"sqlite:///{wide}", str(WIDE))
            _, _, wide_memory = run("copydb", server.empty(), wide)
    for rows, best in ((SMALL, small), (LARGE, large)):
        whole, alone = (best["unproved"][n] / best["raw"][n] for n in (0, 1))
        found = f"{whole:.2f}, and {alone:.2f} without migrate"
        gate(f"{rows:,} rows: copydb without its proof ≤ 1.3 × raw COPY", alone <= 1.3, found)
        memory = best["copydb"][2]
        gate(f"{rows:,} rows: memory ≤ 100 MB", memory <= 100, f"{memory:.0f} MB")
    most = 100 + TIMES * WIDTH / 1e6
    gate(
        f"{WIDE} rows of {WIDTH / 1e6:.0f} MB: memory ≤ {most:.0f} MB",
        wide_memory <= most,
        f"{wide_memory:.0f} MB",
    )
    times = small["fixtures"][0] / small["copydb"][0]
    gate(
        f"{SMALL:,} rows: copydb with its proof ≥ 10 × faster than dumpdata + loaddata",
        times >= 10,
        f"{times:.1f}",
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        django.setup()
        part, argument = sys.argv[1:]
        if part in MAKERS:
            MAKERS[part](int(argument))
        else:
            PARTS[part](argument)
    else:
        main()
