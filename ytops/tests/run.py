"""`python -m ytops.tests.run [pytest's arguments]`: the whole suite on SQLite, then on PostgreSQL.

TEST_DATABASE_URL names another PostgreSQL server to use; without it one is started for the run.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import psycopg

from ytops.tests import covered, postgres

ENOUGH = 90


def call(*command: str, **environment: str) -> int:
    """Run a Python module to its end, or end it with us."""
    process = subprocess.Popen([sys.executable, "-m", *command], env=os.environ | environment)
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()


def run(database: str, url: str, arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run pytest against one database; its exit code and a line such as `sqlite: 12 passed`."""
    report = folder / f"{database}.xml"
    print(f"--- {database} ---", flush=True)
    code = call(
        *("pytest", "--ds=ytops.tests.settings", "-n", "2", "--dist", "worksteal", "-q"),
        *(f"--junitxml={report}", "-p", "ytops.tests.covered", *arguments),
        TEST_DATABASE_URL=url,
        TEST_SQLITE_FILE=str(folder / "tests.sqlite3"),
        **{covered.FOLDER: str(folder / "covered")},
    )
    if not report.exists():
        return code or 1, f"{database}: did not run"
    suite = next(ElementTree.parse(report).iter("testsuite"))
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    broken = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    line = f"{database}: {total - skipped - broken} passed"
    line += f", {broken} failed" if broken else ""
    line += f", {skipped} left out (the reasons are above)" if skipped else ""
    return code, line


def other_server() -> str | None:
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        return None
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        sys.exit(f"TEST_DATABASE_URL names no PostgreSQL that answers: {error}")
    return url


def main(arguments: list[str]) -> int:
    # The tests start some two hundred processes: none should compile the project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="ytops-tests-") as name:
        folder = Path(name)
        # PostgreSQL runs as a user of its own where we are root: let it through to its folder.
        folder.chmod(0o755)
        (folder / "covered").mkdir()
        given = other_server()
        with nullcontext(given) if given else postgres.server(folder / "postgresql") as url:
            results = [
                run("sqlite", f"sqlite:///{folder}/main.sqlite3", arguments, folder),
                run("postgresql", str(url), arguments, folder),
            ]
        codes = [code for code, _ in results]
        percent = covered.report(folder / "covered")
        if percent < ENOUGH and not any(codes) and not arguments:
            print(f"The tests cover {percent:.1f} % of the code: expected {ENOUGH} % or more.")
            codes.append(1)
        print("\n".join(line for _, line in results))
        return max(codes, key=abs)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
