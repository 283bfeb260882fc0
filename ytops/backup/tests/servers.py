"""What a test of backups asks of a PostgreSQL server."""

import os
from typing import Any

import psycopg
from django.db import connections
from psycopg.sql import SQL, Identifier

from ytops.backup.tests.site import close

# A script in the place of a tool tells the version of the tool.
VERSION = 'if [ "$1" = --version ]; then exec {real} --version; fi\n'


def server(sql: str, *names: str, database: str | None = None) -> list[tuple[Any, ...]]:
    """Ask the server, in a database of it; each {} is the name of something."""
    given: dict[str, Any] = {"dbname": database} if database else {}
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, **given) as session:
        cursor = session.execute(SQL(sql).format(*map(Identifier, names)))
        return cursor.fetchall() if cursor.description else []


def connected_as(**settings: Any) -> None:
    """Django's connection has other settings from now on."""
    close()
    own: Any = connections["default"]
    own.settings_dict.update(settings)
