"""Which lines and branches the tests come by: a pytest plugin for the workers, and the report.

slipcover takes its probes out of the code soon after they were passed: it costs next to nothing,
where coverage.py on Python 3.11 costs three quarters of the tests' own time. Its own plugin is for
an older pytest.
"""

import json
import os
from functools import reduce
from pathlib import Path

import slipcover

SOURCES = ["ytops", "settings_app", "channels_app", "videos_app", "jobs_app", "stats_app"]
OMITTED = ["*/tests/*", "ytops/asgi.py"]
EXCLUDED = ["if TYPE_CHECKING:", "if __name__ == .__main__.:"]
# A worker of pytest-xdist writes what it measured to a file in this folder.
FOLDER = "COVERAGE_FOLDER"

worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker:  # at once, before conftest.py imports what is measured
    measured = slipcover.Slipcover(branch=True, source=SOURCES, omit=OMITTED, exclude_also=EXCLUDED)
    slipcover.ImportManager(measured, slipcover.FileMatcher(SOURCES, OMITTED)).__enter__()


def pytest_sessionfinish() -> None:
    if worker:
        part = Path(os.environ[FOLDER], f"{os.getpid()}.json")
        part.write_text(json.dumps(measured.get_coverage()))


def report(folder: Path) -> float:
    """Print what is not covered by all of the folder's files together; the percentage covered."""
    parts = [json.loads(part.read_text()) for part in folder.iterdir()]
    if not parts:
        return 0
    together = reduce(slipcover.merge_coverage, parts)
    slipcover.print_coverage(together, skip_covered=True)
    return float(together["summary"]["percent_covered"])
