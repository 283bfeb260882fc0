"""docs/MOVING.md: each command of it, as written and in its order, in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from ytops.moving.tests.moves import Server, in_the_run_on_postgresql, name_of, tables_of
from ytops.tests.processes import environment

in_the_run_on_postgresql()

WORDS = (settings.BASE_DIR / "docs/MOVING.md").read_text()
BLOCK = re.compile(r"^ *```(sh|sql)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
THERE = "ytops@db.example.org:5432/ytops"


def blocks(kind: str) -> str:
    return "".join(text for found, text in BLOCK.findall(WORDS) if found == kind)


@pytest.mark.skipif("YTOPS_PROVE" not in os.environ, reason="in `make prove`: three processes")
def test_each_command_runs_as_written(source: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "manage.py").symlink_to(settings.BASE_DIR / "manage.py")
    (tmp_path / "var").mkdir()
    source.rename(tmp_path / "var/ytops.sqlite3")
    # Names of its own: others may use this server.
    name = name_of(server.create())
    server.run(f"DROP DATABASE {name}")
    host = urlsplit(server.url).netloc.rpartition("@")[2]
    url = urlsplit(server.url)._replace(netloc=f"{name}@{host}", path=f"/{name}").geturl()
    statements = blocks("sql").replace("ytops", name)
    try:
        with psycopg.connect(server.url, autocommit=True) as session:
            for statement in statements.strip().split(";\n"):
                session.execute(statement)
        script = blocks("sh").replace(f"postgresql://{THERE}", url)
        assert url in script
        old = f"sqlite:///{tmp_path}/var/ytops.sqlite3"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("sqlite:///var/ytops.sqlite3", old)],
            cwd=tmp_path,
            env=environment(DATABASE_URL=old, BACKUP_DIR=str(tmp_path / "var/backups")),
            input="PASSWORD\n",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Copied and proved" in (tmp_path / "var/move.txt").read_text()
        assert "videos" in tables_of(urlsplit(server.url)._replace(path=f"/{name}").geturl())
    finally:
        server.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.run(f"DROP ROLE IF EXISTS {name}")


def test_the_documentation_names_the_exit_codes() -> None:
    assert re.findall(r"^\| (\d+) \|", WORDS, re.MULTILINE) == [*"012345", "130"]
