"""Databases to move, and the command that moves them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.utils import load_backend

from ytops.settings import database

SERVER_URL = os.environ["DATABASE_URL"]


def in_the_run_on_postgresql() -> None:
    """Skip the module in the other one: what it moves to is PostgreSQL."""
    if not SERVER_URL.startswith("postgres"):
        pytest.skip("copydb moves to PostgreSQL", allow_module_level=True)


@contextmanager
def as_default(url: str) -> Iterator[Any]:
    """Have the ORM work on the database of this URL."""
    config = database(url)
    config.get("OPTIONS", {}).pop("pool", None)
    config = connections.configure_settings({"default": config})["default"]
    ours = connections["default"]
    connections["default"] = load_backend(config["ENGINE"]).DatabaseWrapper(config, "default")
    try:
        yield connections["default"]
    finally:
        connections["default"].close()
        connections["default"] = ours


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


@dataclass
class Outcome:
    code: int
    said: str
    error: str


def copydb(source: Path | str, target: str, stdout: IO[str] | None = None) -> Outcome:
    """Run the command in this process, with the URL of the target on standard input."""
    said = StringIO()
    url = source if isinstance(source, str) else url_of(source)
    try:
        with patch("sys.stdin", StringIO(f"{target}\n")):
            call_command("copydb", "--from", url, "--to", "-", stdout=stdout or said)
    except CommandError as error:
        return Outcome(error.returncode, said.getvalue(), str(error))
    return Outcome(0, said.getvalue(), "")


class Server:
    """The PostgreSQL of the test run; makes databases that go with the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.made: list[str] = []

    def create(self, template: str = "") -> str:
        name = f"copydb_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name} {f'TEMPLATE {template}' if template else ''}")
        self.made.append(name)
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(statement)

    def drop(self) -> None:
        for name in self.made:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def name_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as session:
        return session.execute(statement).fetchall()


def changed(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement)


def tables_of(url: str) -> set[str]:
    rows = asked(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in rows}


def is_empty(url: str) -> bool:
    """Whether nothing was copied: no tables yet, or no rows but those of `migrate`."""
    there = tables_of(url)
    return all(
        asked(url, f"SELECT count(*) FROM {name}") == [(0,)]
        for name in ("channels", "videos", "video_statistics", "auth_user", "music")
        if name in there
    )
