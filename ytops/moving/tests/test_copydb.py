"""`manage.py copydb`: what it brings over, what it refuses, and that it is all or nothing."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command

from channels_app.models import Channel
from ytops.management.commands import copydb as command
from ytops.moving import databases
from ytops.moving.copying import copy
from ytops.moving.tests.moves import (
    as_default,
    asked,
    changed,
    copydb,
    in_the_run_on_postgresql,
    is_empty,
    tables_of,
    url_of,
)
from ytops.settings import database
from ytops.tests.processes import manage

in_the_run_on_postgresql()

SCHEMA = """
    SELECT conname, pg_get_constraintdef(oid), condeferred FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexname, indexdef, false FROM pg_indexes WHERE schemaname = 'public'
    ORDER BY 1, 2"""


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """Each row of each table, as the ORM reads it."""
    with as_default(url):
        return {
            model._meta.label: list(model._base_manager.order_by("pk").values())
            for model in apps.get_models(include_auto_created=True)
        }


def by_key(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The two sort letters in different ways."""
    return {label: sorted(found, key=lambda row: str(row)) for label, found in rows.items()}


def test_every_value_of_every_table_arrives_and_the_target_goes_on(
    source: Path, empty: str, target: str
) -> None:
    before = everything(url_of(source))
    assert all(before.values()), "a table without rows proves nothing"
    done = copydb(source, empty)
    assert (done.code, done.error) == (0, "")
    assert by_key(everything(empty)) == by_key(before)
    assert asked(empty, SCHEMA) == asked(target, SCHEMA)
    with as_default(empty):
        highest = max(row["id"] for row in before["auth.User"])
        # The account "gone" had the number behind it.
        assert User.objects.create_user("next").pk == highest + 2
        assert ContentType.objects.create(app_label="a", model="b").pk
        call_command("migrate", verbosity=0)
        assert Channel.objects.get(name="Older key").credentials.reveal()["client_id"]


def test_the_summary_tells_what_to_keep(source: Path, target: str) -> None:
    with sqlite3.connect(source) as file:
        file.execute("CREATE TABLE left_by_an_app (id)")
        file.execute("INSERT INTO left_by_an_app VALUES (1), (2)")
        (gone,) = file.execute("SELECT id FROM channels WHERE name = 'Key is gone'").fetchone()
    file.close()
    said = copydb(source, target).said
    assert re.search(r"^Copied and proved on \d{4}-\d\d-\d\d at [\d:]{8} UTC", said)
    assert f"from  {source}" in said
    assert re.search(r"^video_statistics +8 +[0-9a-f]{64}$", said, re.M)
    assert re.search(r"^  auth_user_id_seq +2$", said, re.M)
    assert re.search(r"key [0-9a-f]{8} of FERNET_KEYS opens 4$", said, re.M)
    assert re.search(r"key [0-9a-f]{8} of FERNET_KEYS opens 1$", said, re.M)
    assert "no key of FERNET_KEYS opens 2" in said
    assert re.search(rf'^    channels "{gone[:8]}-\S+" credentials$', said, re.M)
    assert re.search(r"^  left_by_an_app +2 rows$", said, re.M)
    assert "plaintext" not in said
    assert "Next: set DATABASE_URL" in said


NOT_EMPTY = {
    "setup has run there": (
        "INSERT INTO auth_group (name) VALUES ('Operators')",
        "auth_group 1",
    ),
    "a value in the configuration": (
        "UPDATE system_configuration SET value = '3' WHERE key = 'publish.posts_per_day'",
        "system_configuration 1",
    ),
    "a permission": (
        "INSERT INTO auth_permission (name, content_type_id, codename) "
        "SELECT 'Mine', min(id), 'mine' FROM django_content_type",
        "auth_permission 1",
    ),
    "a content type": (
        "INSERT INTO django_content_type (app_label, model) VALUES ('theirs', 'thing')",
        "django_content_type 1",
    ),
    "the table of somebody else": (
        "CREATE TABLE theirs AS SELECT * FROM generate_series(1, 1200)",
        "theirs 1,200",
    ),
}


@pytest.mark.parametrize("case", NOT_EMPTY)
def test_a_target_with_rows_of_its_own_is_refused(source: Path, target: str, case: str) -> None:
    statement, named = NOT_EMPTY[case]
    changed(target, statement)
    before = everything(target)
    done = copydb(source, target)
    assert done.code == 4
    assert f"is not empty, and what is there would be lost: {named}. Name an empty" in done.error
    assert everything(target) == before


def test_a_target_that_the_code_does_not_know_is_refused(source: Path, target: str) -> None:
    changed(target, "INSERT INTO django_migrations VALUES (999, 'videos_app', '0099_x', now())")
    done = copydb(source, target)
    assert done.code == 4
    assert "is newer than this code, which does not know videos_app.0099_x" in done.error


def test_a_target_that_cannot_be_written_is_refused(source: Path, empty: str) -> None:
    changed(empty, "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET "
                   "default_transaction_read_only = on', current_database()); END$$")  # fmt: skip
    done = copydb(source, empty)
    assert done.code == 4
    assert "can only be read" in done.error


def broken(source: Path, statement: str) -> None:
    with sqlite3.connect(source) as file:
        file.execute(statement)
    file.close()


def not_migrated(source: Path) -> None:
    broken(source, "DELETE FROM django_migrations WHERE app = 'stats_app'")


def newer(source: Path) -> None:
    broken(
        source, "INSERT INTO django_migrations VALUES (99, 'jobs_app', '0099_new', '2026-01-01')"
    )


def another_column(source: Path) -> None:
    broken(source, "ALTER TABLE music ADD COLUMN mood text")


def missing(source: Path) -> None:
    source.unlink()


def no_database(source: Path) -> None:
    source.write_bytes(b"not a database" * 1000)


def corrupt(source: Path) -> None:
    with source.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 400_000)


def without_tables(source: Path) -> None:
    source.unlink()
    broken(source, "PRAGMA user_version = 1")


def other_encoding(source: Path) -> None:
    source.unlink()
    with sqlite3.connect(source) as file:
        file.execute("PRAGMA encoding = 'UTF-16'")
        file.execute("CREATE TABLE a (b)")
    file.close()


SOURCES: list[tuple[Callable[[Path], None], int, str]] = [
    (missing, 4, "There is no file"),
    (no_database, 3, "The source did not do as it should: file is not a database"),
    (corrupt, 3, "The source did not do as it should: database disk image is malformed"),
    (without_tables, 4, "migrations to apply"),
    (not_migrated, 4, "migrations to apply, stats_app.0001_create_statistics first: run `DATABASE"),
    (newer, 4, "is newer than this code, which does not know jobs_app.0099_new"),
    (another_column, 4, "the columns of music are not those of its migrations: mood"),
    (other_encoding, 4, "keeps text as UTF-16le: expected UTF-8"),
]


@pytest.mark.parametrize(("breaks", "code", "says"), SOURCES)
def test_a_source_that_does_not_fit_is_refused(
    source: Path, breaks: Callable[[Path], None], code: int, says: str
) -> None:
    breaks(source)
    # Refused before the target is asked for anything: there is none.
    done = copydb(source, "postgresql://nobody@127.0.0.1:1/nothing")
    assert done.code == code
    assert says in done.error
    assert not done.said


USAGE = {
    "postgresql://a@b/c sqlite:///x": "--from takes sqlite:///PATH: copydb moves from",
    "sqlite:///x sqlite:///y": "--to takes postgresql://…: copydb moves from",
    "x.sqlite3 postgresql://a@b/c": "--from does not begin with a scheme: expected sqlite:///PATH",
    "sqlite:///x a:pass-word@b/c": "--to does not begin with a scheme: expected",
    "sqlite:///x postgresql://a@b?sslmode=require": "--to names no database: expected postgresql",
    "sqlite:///x postgresql://a@b/c?sslpassword=pass-word": "--to has a password, which others",
    "sqlite:/// postgresql://a@b/c": "--from names no file: expected sqlite:///PATH",
    "sqlite:///x postgresql://a:pass-word@b/c": "--to has a password, which others can see",
    "sqlite:///x postgresql://a:pass-word/x@b/c": "--to cannot be read: expected postgresql://USER",
    "sqlite:///x postgresql://a@b/c?password=pass-word": "--to has a password, which others",
    "sqlite:///x postgresql://a:pass#word@b/c": "--to has a password, which others can see",
}


@pytest.mark.parametrize("urls", USAGE)
def test_urls_that_are_wrong_are_told(urls: str) -> None:
    source, target = urls.split()
    with pytest.raises(CommandError, match=re.escape(USAGE[urls])) as refused:
        call_command("copydb", "--from", source, "--to", target)
    assert refused.value.returncode == 2
    assert "word@" not in str(refused.value)
    assert "pass-word" not in str(refused.value)


def test_a_target_that_does_not_answer_is_told_without_its_password(source: Path) -> None:
    done = copydb(source, "postgresql://nobody:pass-word@127.0.0.1:1/nothing")
    assert done.code == 1
    assert done.error.startswith("The target did not do as it should: ")
    assert "pass-word" not in done.error + done.said


def test_another_copydb_on_the_same_target_is_waited_for_by_nobody(
    source: Path, target: str
) -> None:
    with psycopg.connect(target) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [crc32(b"copydb")])
        done = copydb(source, target)
    assert done.code == 5
    assert "Another copydb works on" in done.error


def test_a_source_and_a_target_that_others_hold_are_told(source: Path, target: str) -> None:
    holder = sqlite3.connect(source, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    waits = {"timeout": 0.1}
    with patch.object(command, "database", lambda url: with_options(database(url), waits)):
        done = copydb(source, target)
    holder.close()
    assert (done.code, done.error) == (
        5,
        "The source did not do as it should: database is locked",
    )
    with psycopg.connect(target) as reader, patch.object(databases, "LONGEST_WAIT", "100ms"):
        reader.execute("SELECT * FROM videos")
        done = copydb(source, target)
    assert done.code == 5
    assert "lock timeout" in done.error
    assert is_empty(target)


def with_options(config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    if "sqlite3" in config["ENGINE"]:
        config["OPTIONS"] |= options
    return config


def test_a_source_that_is_written_meanwhile_is_not_moved(source: Path, target: str) -> None:
    def and_writes(*args: Any) -> Any:
        broken(source, "UPDATE videos SET title = 'changed'")
        return copy(*args)

    with patch.object(command, "copy", and_writes):
        done = copydb(source, target)
    assert done.code == 5
    assert "Somebody wrote into the source meanwhile" in done.error
    assert is_empty(target)
    assert copydb(source, target).code == 0
    assert asked(target, "SELECT DISTINCT title FROM videos") == [("changed",)]


def test_rows_that_come_into_the_target_meanwhile_are_kept(source: Path, target: str) -> None:
    def and_writes(*args: Any, **options: Any) -> Any:
        call_command(*args, **options)
        changed(target, "INSERT INTO auth_group (name) VALUES ('Operators')")

    with patch.object(command, "call_command", and_writes):
        done = copydb(source, target)
    assert (done.code, "auth_group 1" in done.error) == (4, True)
    assert asked(target, "SELECT name FROM auth_group") == [("Operators",)]


def test_a_copy_that_is_not_the_same_is_not_kept(source: Path, target: str) -> None:
    def and_alters(opened: Any, into: Any, *args: Any) -> None:
        copy(opened, into, *args)
        with into.cursor() as cursor:
            cursor.execute("UPDATE auth_user SET is_active = NOT is_active")

    with patch.object(command, "copy", and_alters):
        done = copydb(source, target)
    assert done.code == 1
    assert done.error == (
        "The copy of auth_user is not what was copied: row 1, is_active is not the same; "
        "the target is empty."
    )
    assert is_empty(target)


def test_an_error_of_the_server_half_way_leaves_nothing(source: Path, target: str) -> None:
    changed(
        target,
        "CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "RAISE 'No space left on device: %', NEW USING ERRCODE = '53100'; END$$; "
        "CREATE TRIGGER full_ BEFORE INSERT ON videos FOR EACH ROW EXECUTE FUNCTION full_()",
    )
    done = copydb(source, target)
    assert done.code == 1
    assert done.error.startswith("The target did not do as it should: No space left on device")
    assert is_empty(target)
    changed(target, "DROP TRIGGER full_ ON videos")
    assert copydb(source, target).code == 0


def test_what_triggers_of_the_target_do_at_the_commit_is_seen(source: Path, target: str) -> None:
    changed(
        target,
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "UPDATE music SET title = 'another'; RETURN NULL; END$$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON auth_group DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION late()",
    )
    done = copydb(source, target)
    assert done.code == 1
    assert "title is not the same; the target is empty" in done.error
    assert is_empty(target)


def test_a_summary_that_cannot_be_written_leaves_nothing(source: Path, target: str) -> None:
    with open("/dev/full", "w") as full:
        done = copydb(source, target, full)
    assert (done.code, done.error) == (
        1,
        "Standard output cannot be written: No space left on device; the target is empty.",
    )
    assert is_empty(target)


def test_keys_below_one_arrive_and_their_sequence_begins(source: Path, target: str) -> None:
    broken(source, "UPDATE auth_group SET id = 0")
    broken(source, "UPDATE auth_user_groups SET group_id = 0")
    broken(source, "UPDATE auth_group_permissions SET group_id = 0")
    broken(source, "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'auth_group'")
    done = copydb(source, target)
    assert (done.code, done.error) == (0, "")
    assert re.search(r"^  auth_group_id_seq +nothing$", done.said, re.M)
    assert asked(target, "SELECT id FROM auth_group") == [(0,)]
    assert asked(target, "INSERT INTO auth_group (name) VALUES ('next') RETURNING id") == [(1,)]


def test_odd_tables_of_others_are_named_and_a_schema_of_the_role_changes_nothing(
    source: Path, target: str
) -> None:
    broken(source, 'CREATE TABLE "odd "" name" (id)')
    with sqlite3.connect(source) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute(
            "INSERT INTO sqlite_master "
            "VALUES ('table', 'map', 'map', 0, 'CREATE VIRTUAL TABLE map USING not_there(x)')"
        )
    file.close()
    changed(target, "CREATE SCHEMA AUTHORIZATION current_user")
    done = copydb(source, target)
    assert (done.code, done.error) == (0, "")
    assert re.search(r'^  odd " name +0 rows$', done.said, re.M)
    assert re.search(r"^  map +cannot be read$", done.said, re.M)
    assert re.search(r"^  (public\.)?auth_user_id_seq +2$", done.said, re.M)


def test_bad_rows_stop_it_before_the_target_is_touched(source: Path, empty: str) -> None:
    broken(source, 'UPDATE music SET metadata = \'{"a": 1, "a": 2}\' WHERE rowid = 1')
    broken(source, "UPDATE videos SET updated_at = '' WHERE rowid = 2")
    done = copydb(source, empty)
    assert done.code == 3
    assert len(done.said.splitlines()) == 2
    assert done.error.startswith("2 values that cannot be moved, named on standard output; nothing")
    assert f'sqlite3 {source} "SELECT * FROM music WHERE rowid = 1"' in done.error
    assert not tables_of(empty)


def test_the_command_says_it_in_one_line_and_ends_with_its_code(tmp_path: Path) -> None:
    done = manage(
        *("copydb", "--from", f"sqlite:///{tmp_path}/none", "--to", "postgresql://a@127.0.0.1:1/b")
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr == f"CommandError: There is no file {tmp_path}/none.\n"
