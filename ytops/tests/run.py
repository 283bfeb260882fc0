"""`python -m ytops.tests.run [pytest's arguments]`: the whole suite on SQLite, then on PostgreSQL.

TEST_DATABASE_URL names another PostgreSQL server to use; without it one is started for the run.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

from ytops.tests import postgres

COVERED = "90"


def run(database: str, url: str, arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run pytest against one database; its exit code and a line such as `sqlite: 12 passed`."""
    report = folder / f"{database}.xml"
    environment = os.environ | {
        "TEST_DATABASE_URL": url,
        "TEST_SQLITE_FILE": str(folder / "tests.sqlite3"),
        "COVERAGE_FILE": str(folder / ".coverage"),
    }
    print(f"--- {database} ---", flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-q"]
    command += ["--cov", "--cov-append", "--cov-report=", f"--junitxml={report}", *arguments]
    code = subprocess.run(command, env=environment, check=False).returncode
    if not report.exists():
        return code or 1, f"{database}: did not run"
    suite = next(ElementTree.parse(report).iter("testsuite"))
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    broken = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    line = f"{database}: {total - skipped - broken} passed"
    line += f", {broken} failed" if broken else ""
    line += f", {skipped} left out (the reasons are above)" if skipped else ""
    return code, line


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="ytops-tests-") as name:
        folder = Path(name)
        # PostgreSQL runs as a user of its own where we are root: let it through to its folder.
        folder.chmod(0o755)
        given = os.environ.get("TEST_DATABASE_URL")
        with nullcontext(given) if given else postgres.server(folder / "postgresql") as url:
            results = [
                run("sqlite", f"sqlite:///{folder}/main.sqlite3", arguments, folder),
                run("postgresql", str(url), arguments, folder),
            ]
        codes = [code for code, _ in results]
        if not any(codes) and not arguments:
            command = [sys.executable, "-m", "coverage", "report", "--skip-covered"]
            environment = os.environ | {"COVERAGE_FILE": str(folder / ".coverage")}
            codes.append(
                subprocess.run(
                    [*command, f"--fail-under={COVERED}"], env=environment, check=False
                ).returncode
            )
        print("\n".join(line for _, line in results))
        return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
