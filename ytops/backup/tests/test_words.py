"""docs/BACKUP.md: each command of it, as written and in its order, in a shell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from ytops.tests.processes import environment, manage, scratch_database

WORDS = (settings.BASE_DIR / "docs/BACKUP.md").read_text()
BLOCK = re.compile(r"^```(sh|cron|ini)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACE = "/srv/ytops"


def commands() -> list[str]:
    """The blocks of the shell, what cron runs and what systemd starts."""
    found = []
    for kind, text in BLOCK.findall(WORDS):
        if kind == "sh":
            found.append(text)
        elif kind == "cron":
            found += [line.split(maxsplit=5)[5] for line in text.splitlines()]
        else:
            found += re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return found


def test_the_documentation_names_no_exit_code_twice() -> None:
    codes = re.findall(r"^\| (\d) \|", WORDS, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "6"]


@pytest.mark.django_db
@pytest.mark.skipif(
    "YTOPS_PROVE" not in os.environ, reason="make prove runs the commands, each a process"
)
@pytest.mark.skipif(
    not shutil.which("zstd") or not shutil.which("sqlite3"), reason="no zstd, sqlite3"
)
def test_each_command_runs_as_written(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "manage.py").symlink_to(settings.BASE_DIR / "manage.py")
    (tmp_path / "var").mkdir()
    with scratch_database(tmp_path) as url, scratch_database(tmp_path) as new:
        given = {"DATABASE_URL": url, "BACKUP_DIR": str(tmp_path / "var/backups")}
        made = manage("setup", **given)
        assert made.returncode == 0, made.stderr
        here = environment(**given, NEW_DATABASE_URL=new)
        for command in commands():
            if ".sqlite3" in command and connection.vendor != "sqlite":
                continue  # by hand, of SQLite
            script = command.replace(PLACE, str(tmp_path))
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=tmp_path,
                env=here,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
