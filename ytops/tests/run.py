"""`python -m ytops.tests.run [pytest's arguments]`: the whole suite on SQLite and on PostgreSQL.

Both run at the same time, because tests wait often; what PostgreSQL's says is printed at the end.
TEST_DATABASE_URL names another PostgreSQL server to use; without it one is started for the run.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import psycopg

from ytops.tests import covered, postgres

ENOUGH = 90
MEMORY = Path("/dev/shm")
ROOM = 2 << 30  # bytes; a run takes a quarter


@contextmanager
def running(
    database: str, url: str, arguments: list[str], folder: Path, output: IO[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """pytest against one database; it ends with us."""
    options = ("--ds=ytops.tests.settings", "-n", "2", "--dist", "worksteal", "-q")
    reports = (f"--junitxml={folder}/{database}.xml", "-p", "ytops.tests.covered")
    environment = {
        "TEST_DATABASE_URL": url,
        "TEST_SQLITE_FILE": str(folder / "tests.sqlite3"),
        covered.FOLDER: str(folder / "covered"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *reports, *arguments],
        env=os.environ | environment,
        stdout=output,
        stderr=output,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def summary(database: str, folder: Path) -> str:
    """A line such as `sqlite: 12 passed`."""
    report = folder / f"{database}.xml"
    if not report.exists():
        return f"{database}: did not run"
    suite = next(ElementTree.parse(report).iter("testsuite"))
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    broken = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    line = f"{database}: {total - skipped - broken} passed"
    line += f", {broken} failed" if broken else ""
    line += f", {skipped} left out (the reasons are above)" if skipped else ""
    return line


def other_server() -> str | None:
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        return None
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        sys.exit(f"TEST_DATABASE_URL names no PostgreSQL that answers: {error}")
    return url


def where_files_are_fast() -> Path | None:
    """In memory, where there is room and scripts may run; None for the usual place."""
    if not os.access(MEMORY, os.W_OK):
        return None
    found = os.statvfs(MEMORY)
    fits = found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC
    return MEMORY if fits else None


def main(arguments: list[str]) -> int:
    # The tests start some two hundred processes: none should compile the project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    place = where_files_are_fast()
    with tempfile.TemporaryDirectory(prefix="ytops-tests-", dir=place) as name:
        folder = Path(name)
        # PostgreSQL runs as a user of its own where we are root: let it through to its folder.
        folder.chmod(0o755)
        os.environ["TMPDIR"] = name
        (folder / "covered").mkdir()
        given = other_server()
        with (
            nullcontext(given) if given else postgres.server(folder / "postgresql") as url,
            (folder / "output").open("w+") as output,
            running("sqlite", f"sqlite:///{folder}/main.sqlite3", arguments, folder) as first,
            running("postgresql", str(url), arguments, folder, output) as second,
        ):
            print("--- sqlite ---", flush=True)
            codes = [first.wait()]
            print("--- postgresql ---", flush=True)
            codes.append(second.wait())
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout)
        percent = covered.report(folder / "covered")
        if percent < ENOUGH and not any(codes) and not arguments:
            print(f"The tests cover {percent:.1f} % of the code: expected {ENOUGH} % or more.")
            codes.append(1)
        print("\n" + "\n".join(summary(database, folder) for database in ("sqlite", "postgresql")))
        return max(codes, key=abs)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
