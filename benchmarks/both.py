"""Runs a benchmark on both databases, each in a process of its own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ytops.tests import postgres

KEY = "for-benchmarks-only-0123456789abcdefghijklmnopqrstuvwxyz"


def on_both(module: str, settings: str, part: str = "measure", *, durable: bool = False) -> None:
    """`python -m MODULE PART` on a new SQLite file and on a new PostgreSQL."""
    own = {
        "DJANGO_SETTINGS_MODULE": settings,
        "ENV_FILE": os.devnull,
        "SECRET_KEY": KEY,
        "FERNET_KEYS": KEY,
    }
    with tempfile.TemporaryDirectory(prefix="ytops-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own where we are root
        with postgres.server(folder / "postgresql", durable=durable) as url:
            # Here, where the tools of that PostgreSQL are on PATH.
            given = {name: v for name, v in os.environ.items() if not name.startswith("YTOPS_")}
            for database in (f"sqlite:///{folder}/bench.sqlite3", url):
                command = [sys.executable, "-m", module, part]
                subprocess.run(command, env=given | own | {"DATABASE_URL": database}, check=True)
