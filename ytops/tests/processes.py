"""Real processes of manage.py for tests, their environment, and empty databases for them."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from django.conf import settings
from django.db import connection

# How names begin that may stand in the environment of a test run and are not for the process.
OTHERS = (
    *("DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "JOB_HANDLERS", "BACKUP_"),
    *("DJANGO_ALLOW_ASYNC_UNSAFE", "YTOPS_"),
)

# Its control socket has one name for all: two servers at once would be in each other's way.
SERVER = ("-m", "gunicorn", "ytops.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket")


def url_of(name: str) -> str:
    """The DATABASE_URL of the database `name` (SQLite: a path) on the engine under test."""
    if connection.vendor == "sqlite":
        return f"sqlite:////{name.lstrip('/')}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def environment(**env: str | None) -> dict[str, str]:
    """The tests' environment with the database under test; None takes a variable away."""
    values: dict[str, str | None] = {
        **{name: value for name, value in os.environ.items() if not name.startswith(OTHERS)},
        "ENV_FILE": os.devnull,
        "DATABASE_URL": url_of(str(connection.settings_dict["NAME"])),
        "BACKUP_DIR": str(settings.BACKUP_DIR),
        "DJANGO_SETTINGS_MODULE": "ytops.settings",
        **env,
    }
    return {name: value for name, value in values.items() if value is not None}


def settings_of(**env: str | None) -> dict[str, Any]:
    """What settings.py makes of this environment, without the half second of a process."""
    with patch.dict(os.environ, environment(**env), clear=True):
        return runpy.run_path(str(settings.BASE_DIR / "ytops" / "settings.py"))


def start(*command: str, **env: str | None) -> subprocess.Popen[str]:
    """Start Python with this command line in the project's folder; its output is piped."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def manage(*args: str, **env: str | None) -> subprocess.CompletedProcess[str]:
    """Run manage.py to its end, with the project's real settings."""
    return finish(start("manage.py", *args, **env))


def answer_of_server(path: str, **env: str | None) -> tuple[int, bytes]:
    """Start a real server, ask it for one page by GET, stop it; the status and the body."""
    server = start(*SERVER, **env)
    assert server.stderr is not None
    try:
        for line in server.stderr:
            if found := re.search(r"Listening at: http://(\S+)", line):
                client = HTTPConnection(found[1], timeout=30)
                with closing(client):
                    client.request("GET", path)
                    answer = client.getresponse()
                    return answer.status, answer.read()
        raise AssertionError("the server did not start")
    finally:
        server.terminate()
        server.communicate(timeout=30)


@contextmanager
def scratch_database(folder: Path) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database on the engine under test."""
    name = f"scratch_{uuid4().hex}"
    if connection.vendor == "sqlite":
        yield url_of(str(folder / f"{name}.sqlite3"))
        return
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield url_of(name)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
