"""Backup and restore of PostgreSQL: tools, passwords, what a database has beside rows."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import connection

from ytops.backup import pg_swap, postgresql
from ytops.backup.pg_swap import shortened
from ytops.backup.postgresql import PostgreSQL
from ytops.backup.tests.servers import VERSION, connected_as, server
from ytops.backup.tests.site import Site, close, refused, said
from ytops.tests.processes import url_of

if connection.vendor != "postgresql":
    pytest.skip("of PostgreSQL alone", allow_module_level=True)
pytestmark = pytest.mark.django_db
PASSWORD = "pass word'\"of=the%site"
TOOLS = ("pg_dump", "pg_restore")
PROVE = os.environ.get("YTOPS_PROVE") == "1"
NAMES = [
    "a-b 'c\"=%ü" + "x" * 63,
    'quo"ted',
    "it's",
    "Ümläut",
    "x" * 63,
    "per%cent",
    "-dash",
    "a=b",
]
takes_long = pytest.mark.skipif(not PROVE, reason="make prove runs it")


def test_a_tool_that_is_older_than_the_server_is_refused_with_both_versions(
    site: Site, tools: Callable[..., None]
) -> None:
    said("dbbackup")
    before = site.state()
    [(version,)] = server("SELECT split_part(current_setting('server_version'), ' ', 1)")
    for tool, commands in (
        ("pg_dump", [("dbbackup",)]),
        ("pg_restore", [("dbbackup",), ("dbrestore", "--noinput"), ("backup_drill",)]),
    ):
        tools(tool, f"echo '{tool} (PostgreSQL) 15.2 (Debian 15.2-1)'")
        for command in commands:
            code, words = refused(*command)
            assert (code, f"the server is PostgreSQL {version}" in words) == (4, True)
            assert f"{tool} is '{tool} (PostgreSQL) 15.2 (Debian 15.2-1)'" in words
    assert site.state() == before


def test_a_tool_that_does_not_tell_its_version_is_refused(
    site: Site, tools: Callable[..., None]
) -> None:
    for script in ("exit 1", "echo nothing", "echo 'cannot be run' >&2; exit 127"):
        tools("pg_dump", script)
        code, words = refused("dbbackup")
        assert (code, words.startswith("pg_dump ")) == (4, True)
    assert site.files() == {}


def test_a_tool_that_is_missing_is_refused_with_the_server_s_version(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("dbbackup")
    before = site.state()
    (empty := site.folder / "empty").mkdir()
    monkeypatch.setenv("PATH", str(empty))
    for command in (("dbbackup",), ("dbrestore", "--noinput")):
        code, words = refused(*command)
        assert (code, "pg_restore is not installed, and the server is PostgreSQL " in words) == (
            4,
            True,
        )
    assert site.state() == before


BAD_DUMPS = [
    ("echo 'server closed the\nconnection' >&2; exit 1", 1, "pg_dump failed: server closed"),
    (
        '{real} "$@" | head -c 9000; echo "lost connection" >&2; exit 1',
        1,
        "pg_dump failed: lost connection",
    ),
    ('{real} "$@" | head -c 9000', 3, "pg_restore failed: "),
    ("exit 0", 3, "pg_restore failed: "),
    ("kill -9 $$", 1, "pg_dump failed: "),
]


def test_a_pg_dump_that_does_not_come_to_its_end_leaves_nothing(
    site: Site, tools: Callable[..., None]
) -> None:
    """Its archive is read through before it gets a name: what is missing at its end is noticed."""
    before = site.state()
    for script, code, words in BAD_DUMPS:
        tools("pg_dump", VERSION + script)
        got, message = refused("dbbackup")
        assert (got, message.startswith(words)) == (code, True), message
    assert site.state() == before


def test_one_that_is_told_to_end_waits_for_no_tool(site: Site, tools: Callable[..., None]) -> None:
    before = site.state()
    tools("pg_restore", VERSION + "exec sleep 600")
    tools("pg_dump", VERSION + '{real} "$@"; sleep 0.2; kill -TERM $PPID; exec sleep 600')
    with pytest.raises(SystemExit) as ended:
        said("dbbackup")
    assert ended.value.code == 128 + signal.SIGTERM
    assert site.state() == before


BAD_RESTORES = [
    ("echo 'out of memory' >&2; exit 1", "pg_restore failed: out of memory"),
    ("exit 0", "rows instead of "),
    ('"{real}" --schema-only "$@"', "channels has 0 rows instead of 2"),
]


def test_a_pg_restore_that_does_not_restore_changes_nothing(
    site: Site, tools: Callable[..., None]
) -> None:
    said("dbbackup")
    before = site.state()
    for script, words in BAD_RESTORES:
        tools("pg_restore", VERSION + script)
        code, message = refused("dbrestore", "--noinput")
        assert (code, words in message) == (3, True), message
    assert site.state() == before


def test_the_password_is_in_no_command_line_and_no_output(
    site: Site, tools: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    log = site.folder / "log"
    for tool in TOOLS:
        tools(
            tool,
            f"tr '\\0' '\\n' < /proc/$$/cmdline >> {log}\n"
            f'echo "PGPASSWORD=$PGPASSWORD" >> {log}\n'
            'exec {real} "$@"',
        )
    connected_as(PASSWORD=PASSWORD)
    words = said("dbbackup") + said("dbrestore", "--noinput")
    lines = log.read_text().splitlines()
    assert f"PGPASSWORD={PASSWORD}" in lines  # else the tools could not connect
    assert not [line for line in lines if PASSWORD in line and not line.startswith("PGPASSWORD=")]
    assert PASSWORD not in words
    assert PASSWORD not in str(capfd.readouterr())
    assert PASSWORD.encode() not in b"".join(site.files().values())
    connected_as(PORT="1", HOST="127.0.0.1")
    code, message = refused("dbbackup")
    assert (code, PASSWORD in message) == (1, False)


FACTS = """
    SELECT pg_get_userbyid(datdba), datacl::text, pg_encoding_to_char(encoding), datcollate,
        datctype, datlocprovider, datconnlimit, shobj_description(oid, 'pg_database'),
        ARRAY(SELECT coalesce(setrole::regrole::text, '') || setconfig::text
              FROM pg_db_role_setting WHERE setdatabase = pg_database.oid ORDER BY 1)
    FROM pg_database WHERE datname = current_database()
"""
OF_TABLES = """
    SELECT relname, pg_get_userbyid(relowner), relacl::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace ORDER BY 1
"""


def test_owner_grants_settings_and_locale_are_kept(site: Site, role: Callable[..., str]) -> None:
    owner, reader = role(), role()
    for sql, *names in (
        ("ALTER DATABASE {} OWNER TO {}", site.name, owner),
        ("REVOKE ALL ON DATABASE {} FROM PUBLIC", site.name),
        ("GRANT CONNECT ON DATABASE {} TO {} WITH GRANT OPTION", site.name, reader),
        ("ALTER DATABASE {} SET statement_timeout TO '5min'", site.name),
        ('ALTER DATABASE {} SET search_path TO "$user", public', site.name),
        ("ALTER DATABASE {} SET \"ytops.note\" TO 'it''s = a \"note\"'", site.name),
        ("ALTER ROLE {} IN DATABASE {} SET work_mem TO '8MB'", reader, site.name),
        ("ALTER DATABASE {} CONNECTION LIMIT 50", site.name),
        ("COMMENT ON DATABASE {} IS 'it''s mine'", site.name),
    ):
        server(sql, *names)
    for sql, *names in (
        ("ALTER TABLE videos OWNER TO {}", owner),
        ("GRANT SELECT ON videos TO {}", reader),
    ):
        server(sql, *names, database=site.name)
    before = [server(sql, database=site.name) for sql in (FACTS, OF_TABLES)]
    said("dbbackup")
    said("dbrestore", "--noinput")
    assert [server(sql, database=site.name) for sql in (FACTS, OF_TABLES)] == before


def test_what_is_taken_from_everybody_and_closed_to_writers_stays_so(site: Site) -> None:
    for sql in (
        "REVOKE ALL ON DATABASE {} FROM PUBLIC, CURRENT_USER",
        "ALTER DATABASE {} SET default_transaction_read_only TO on",
    ):
        server(sql, site.name)
    before = server(FACTS, database=site.name)
    assert before[0][1] == "{}"
    said("dbbackup")
    said("dbrestore", "--noinput")
    assert server(FACTS, database=site.name) == before


def test_one_of_a_later_server_is_refused_with_both_versions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("dbbackup")
    before = site.state()
    version = property(lambda self: "12.22", lambda self, version: None)
    monkeypatch.setattr(PostgreSQL, "version", version, raising=False)
    code, words = refused("dbrestore", "--noinput")
    assert code == 4
    assert re.search(r"It is of PostgreSQL 1[5-9]\.\d+.*, and this server is 12\.22: ", words)
    assert site.state() == before


def test_a_visitor_of_all_databases_does_not_hold_up_the_swap(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = []

    def visited(connect: Any, database: str, new: str) -> str:
        visitors.append(psycopg.connect(url_of(new)))
        return pg_swap.swap(connect, database, new)

    before = site.content()
    said("dbbackup")
    monkeypatch.setattr(postgresql, "swap", visited)
    said("dbrestore", "--noinput")
    assert site.content() == before
    for visitor in visitors:
        visitor.close()


@pytest.mark.parametrize(
    "options", ["-d {} --clean --if-exists", "--create --clean", "--no-such-option", "'--no-owner"]
)
def test_options_that_could_reach_another_database_are_refused(options: str, site: Site) -> None:
    said("dbbackup")
    site.execute("UPDATE music SET title = 'committed later'")
    before = site.state()
    given = options.format(site.name)
    code, _ = refused("dbrestore", "--dry-run", f"--pg-options={given}")
    assert code in (1, 2)
    assert site.state() == before


@takes_long
@pytest.mark.parametrize("name", NAMES)
def test_a_database_of_any_name(name: str, site: Site) -> None:
    close()
    name = shortened(f"{site.name}{name}", 63)
    server("ALTER DATABASE {} RENAME TO {}", site.name, name)
    connected_as(NAME=name)
    renamed = Site(name, site.folder, site.backups)
    try:
        before = renamed.content()
        words = said("dbbackup")
        assert said("backup_drill").startswith(words.partition(":")[0])
        words = said("dbrestore", "--noinput")
        assert renamed.content() == before
        close()
        for command in [line for line in words.splitlines() if line.startswith("  ")]:
            if "psql" in command:
                subprocess.run(["bash", "-euc", command], check=True, capture_output=True)
        assert renamed.content() == before
    finally:
        close()
        with suppress(psycopg.errors.InvalidCatalogName):
            server("ALTER DATABASE {} RENAME TO {}", name, site.name)
