"""Backup and restore of SQLite: damage in its pages, pages of all sizes."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from ytops.backup.tests.site import (
    Good,
    Site,
    backup_of,
    close,
    go_back,
    made,
    refused,
    said,
)

if connection.vendor != "sqlite":
    pytest.skip("of SQLite alone", allow_module_level=True)
pytestmark = pytest.mark.django_db


def test_a_damaged_database_is_not_backed_up(site: Site) -> None:
    made(site)
    content = bytearray(Path(site.name).read_bytes())
    content[8 * 4096 : 9 * 4096] = b"\xab" * 4096
    Path(site.name).write_bytes(content)
    before = site.files(), site.databases(), Path(site.name).read_bytes()
    code, words = refused("dbbackup")
    assert code == 3
    assert words.startswith(f"The database {site.name} is damaged: ")
    assert (site.files(), site.databases(), Path(site.name).read_bytes()) == before


def test_an_index_that_has_not_every_row_is_made_anew(site: Site) -> None:
    """No row is lost by it, and the check that sees it takes too long for every backup."""
    close()
    with closing(sqlite3.connect(site.name)) as database:
        [index, whole] = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'django_session' AND sql LIKE"
            " 'CREATE INDEX%expire_date%'"
        ).fetchone()
        change = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
        database.execute("PRAGMA writable_schema = ON")
        database.execute(change, [f"{whole} WHERE session_data = 'never'", index])
        database.commit()
    with closing(sqlite3.connect(site.name)) as database:
        database.execute("INSERT INTO django_session VALUES ('key', 'data', '2026-01-01')")
        database.commit()
        database.execute("PRAGMA writable_schema = ON")
        database.execute(change, [whole, index])
        database.commit()
    said("dbbackup")
    assert "comes back" in said("backup_drill")
    said("dbrestore", "--noinput")
    with closing(sqlite3.connect(site.name)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT session_key FROM django_session NOT INDEXED").fetchall()
    assert ("key",) in rows


@pytest.mark.parametrize("content", [None, b"a text\n" * 1000])
def test_what_is_no_database_is_not_backed_up(content: bytes | None, site: Site) -> None:
    file = Path(site.name)
    file.unlink()
    if content:
        file.write_bytes(content)
    code, words = refused("dbbackup")
    assert (code, str(file) in words or "not a database" in words) == (3 if content else 4, True)
    assert site.files() == {}
    assert file.exists() == bool(content)


def test_a_damaged_database_is_kept_as_it_is_and_is_not_a_backup_to_go_back_to(site: Site) -> None:
    before = site.content()
    name = backup_of(site)
    file = Path(site.name)
    content = bytearray(file.read_bytes())
    place = content.index(b"Song 1") & ~4095
    content[place : place + 4096] = b"\xab" * 4096
    file.write_bytes(content)
    words = said("dbrestore", "--noinput")
    assert site.content() == before
    listed = json.loads(said("listbackups", "--format=json"))
    kept = listed[0]["name"]
    assert kept in words
    assert "damaged" in words
    assert listed[0]["state"].startswith("It was made of a damaged database: ")
    assert refused("dbrestore", "-i", kept, "--noinput")[0] == 3
    assert said("dbrestore", "-i", name, "--dry-run")


@pytest.mark.parametrize("size", [512, 1024, 8192, 65536])
def test_pages_of_any_size_come_back(size: int, site: Site) -> None:
    """With which the database was made on another machine."""
    before = site.content()
    backup_of(site)
    close()
    file = Path(site.name)
    shutil.copy(file, site.folder / "old")
    file.unlink()
    for left in site.folder.glob("site.sqlite3-*"):
        left.unlink()
    other = sqlite3.connect(file)
    other.execute(f"PRAGMA page_size = {size}")
    other.execute("CREATE TABLE made_since (x)")
    other.close()
    words = said("dbrestore", "--noinput")
    assert site.content() == before
    go_back(words)
    assert list(site.content()) == ["", "made_since"]


def with_a_bad_page(good: Good) -> bytes:
    """The page of a row, and of nothing that every look at the file would meet."""
    payload = bytearray(good.payload)
    place = payload.index(b"Song 1") & ~4095
    payload[place : place + 4096] = b"\xab" * 4096
    return good.told(bytes(payload))


def test_one_bad_page_is_refused(unchanged: Site, good: Good, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(with_a_bad_page(good))
    code, message = refused("dbrestore", "-I", str(file), "--noinput")
    assert (code, message.startswith(f"{file}: SQLite finds it damaged: ")) == (3, True)


def test_a_row_that_a_constraint_forbids_or_an_index_lacks_is_refused(
    unchanged: Site, good: Good, tmp_path: Path
) -> None:
    (database := tmp_path / "payload").write_bytes(good.payload)
    with closing(sqlite3.connect(database)) as open_one, open_one:
        open_one.execute("PRAGMA writable_schema = ON")
        open_one.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'auth_group') WHERE name = 'music'"
        )
    (file := tmp_path / "file").write_bytes(good.told(database.read_bytes()))
    assert refused("dbrestore", "-I", str(file), "--noinput")[0] == 3
