"""What every test of backups may use."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection

from ytops.backup.tests.servers import server
from ytops.backup.tests.site import (
    Good,
    Site,
    close,
    connected_to,
    copy_of,
    fill,
    folder_storage,
    opened,
)


@pytest.fixture(scope="session")
def filled(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A migrated database with a row in every table, to be copied: its name."""
    with django_db_blocker.unblock():
        own = str(connection.settings_dict["NAME"])
        if connection.vendor == "sqlite":
            name = str(tmp_path_factory.mktemp("filled") / "filled.sqlite3")
            with closing(sqlite3.connect(own)) as source, closing(sqlite3.connect(name)) as target:
                source.backup(target)
            with connected_to(name):
                fill()
            with closing(sqlite3.connect(name)) as database:
                database.execute("PRAGMA journal_mode = DELETE")
            yield name
        else:
            close()
            with copy_of(own, name := f"filled_{uuid4().hex[:8]}"):
                with connected_to(name):
                    fill()
                yield name


@contextmanager
def new_site(filled: str, folder: Path) -> Iterator[Site]:
    """A filled database of its own, and a folder of backups that is not there yet."""
    if connection.vendor == "sqlite":
        name = str(folder / "site.sqlite3")
        shutil.copy(filled, name)
        yield Site(name, folder, folder / "backups")
    else:
        name = f"site_{uuid4().hex[:8]}"
        with copy_of(filled, name):
            yield Site(name, folder, folder / "backups")


@pytest.fixture
def backups(tmp_path: Path, settings: LazySettings) -> Path:
    """The folder of backups, which is not there yet."""
    folder = tmp_path / "backups"
    settings.STORAGES = settings.STORAGES | {"dbbackup": folder_storage(folder)}
    settings.BACKUP_DIR = folder
    return folder


@pytest.fixture
def site(filled: str, django_db_blocker: Any, tmp_path: Path, backups: Path) -> Iterator[Site]:
    """A site that Django's connection is one to."""
    with django_db_blocker.unblock(), new_site(filled, tmp_path) as site, connected_to(site.name):
        yield site


@pytest.fixture(scope="session")
def still(
    filled: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Good]]:
    with django_db_blocker.unblock(), new_site(filled, tmp_path_factory.mktemp("still")) as site:
        with site.at_work():
            call_command("dbbackup", "-q")
        [(name, file)] = site.files().items()
        payload, manifest = opened(site.backups / name)
        yield site, Good(name, file, payload, manifest.as_json())


@pytest.fixture
def unchanged(still: tuple[Site, Good], django_db_blocker: Any) -> Iterator[Site]:
    """A site that many tests share; each ends with a look at all that there is."""
    site, _ = still
    with django_db_blocker.unblock(), site.at_work():
        before = site.state()
        yield site
        assert site.state() == before


@pytest.fixture
def good(still: tuple[Site, Good]) -> Good:
    """The one backup that `unchanged` has."""
    return still[1]


@pytest.fixture
def role(site: Site) -> Iterator[Callable[..., str]]:
    """Makes a role that has these attributes, such as CREATEDB."""
    made: list[str] = []

    def make(attributes: str = "") -> str:
        made.append(f"role {uuid4().hex[:8]}")
        server(f"CREATE ROLE {{}} LOGIN {attributes}", made[-1])
        return made[-1]

    yield make
    close()
    for name in made:
        for database in site.databases():
            server("REASSIGN OWNED BY {} TO CURRENT_USER", name, database=database)
            server("DROP OWNED BY {}", name, database=database)
        server("DROP ROLE {}", name)


@pytest.fixture
def tools(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a script in the place of a tool; {real} in it is the tool."""
    place = site.folder / "tools"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (place / name).unlink(missing_ok=True)
        (place / name).write_text("#!/bin/sh\n" + script.format(real=shutil.which(name)))
        (place / name).chmod(0o755)

    return put
