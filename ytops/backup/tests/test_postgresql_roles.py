"""Backup and restore of a PostgreSQL database by roles that may not do everything."""

import os
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from ytops.backup import pg_swap, postgresql
from ytops.backup.tests.servers import VERSION, connected_as, server
from ytops.backup.tests.site import Site, refused, said
from ytops.tests.processes import url_of

if connection.vendor != "postgresql":
    pytest.skip("of PostgreSQL alone", allow_module_level=True)
pytestmark = pytest.mark.django_db
PROVE = os.environ.get("YTOPS_PROVE") == "1"
takes_long = pytest.mark.skipif(not PROVE, reason="make prove runs it")


def test_a_role_that_may_not_make_databases_backs_up_and_is_told_what_a_restore_needs(
    site: Site, role: Callable[..., str]
) -> None:
    name = role()
    server("ALTER DATABASE {} OWNER TO {}", site.name, name)
    server("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", name, database=site.name)
    server("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", name, database=site.name)
    connected_as(USER=name)
    said("dbbackup")
    before = site.state()
    for command in (("dbrestore", "--noinput"), ("backup_drill",)):
        code, words = refused(*command)
        assert (code, f'ALTER ROLE "{name}" CREATEDB' in words) == (4, True)
    assert site.state() == before


def test_a_role_that_does_not_own_the_database_is_told_so(
    site: Site, role: Callable[..., str]
) -> None:
    name = role("CREATEDB")
    server("GRANT pg_read_all_data TO {}", name)
    connected_as(USER=name)
    said("dbbackup")
    before = site.state()
    code, words = refused("dbrestore", "--noinput")
    assert (code, site.database in words) == (4, True)
    assert site.state() == before


@pytest.fixture
def owner(site: Site, role: Callable[..., str]) -> str:
    """The owner of the site and all that is in it, who may make databases and nothing else."""
    name = role("CREATEDB")
    server("ALTER DATABASE {} OWNER TO {}", site.name, name)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    for (table,) in server(tables, database=site.name):
        server("ALTER TABLE {} OWNER TO {}", table, name, database=site.name)
    connected_as(USER=name)
    return name


@takes_long
def test_the_owner_who_may_make_databases_needs_no_superuser(site: Site, owner: str) -> None:
    before = site.content()
    said("dbbackup")
    server("DELETE FROM video_statistics", database=site.name)
    said("dbrestore", "--noinput")
    assert site.content() == before


def test_a_setting_that_only_a_superuser_makes_is_told_before_the_work(
    site: Site, owner: str, tools: Callable[..., None]
) -> None:
    server("ALTER DATABASE {} SET log_statement TO 'all'", site.name)
    said("dbbackup")
    before = site.state()
    tools("pg_restore", VERSION + "exit 1")
    code, words = refused("dbrestore", "--noinput")
    assert (code, f"the role {owner} may not" in words, "log_statement" in words) == (4, True, True)
    assert site.state() == before


@takes_long
def test_a_visitor_of_another_role_is_named_and_the_site_is_not_held_up(
    site: Site, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = []

    def visited(connect: Any, database: str, new: str) -> str:
        visitors.append(psycopg.connect(url_of(new)))
        return pg_swap.swap(connect, database, new)

    said("dbbackup")
    before = site.content()
    monkeypatch.setattr(postgresql, "swap", visited)
    code, words = refused("dbrestore", "--noinput")
    assert (code, f"could not be ended, of {visitors[0].info.user}: " in words) == (5, True)
    assert site.content() == before
    monkeypatch.undo()
    for visitor in visitors:
        visitor.close()
    said("dbrestore", "--noinput")


@takes_long
def test_a_role_of_the_backup_that_is_not_here_is_named_with_a_way_out(
    site: Site, role: Callable[..., str]
) -> None:
    gone = role()
    server("GRANT SELECT ON videos TO {}", gone, database=site.name)
    said("dbbackup")
    server("DROP OWNED BY {}", gone, database=site.name)
    server("ALTER ROLE {} RENAME TO {}", gone, f"{gone} gone")
    try:
        before = site.state()
        code, words = refused("dbrestore", "--noinput")
        assert (code, f'role "{gone}" does not exist' in words) == (4, True)
        assert "--pg-options='--no-owner --no-privileges'" in words
        assert site.state() == before
        said("dbrestore", "--noinput", "--pg-options=--no-owner --no-privileges")
        assert site.content() == before[0]
    finally:
        server("ALTER ROLE {} RENAME TO {}", f"{gone} gone", gone)
