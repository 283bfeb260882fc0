"""`check --database default` on keys that nothing needs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from ytops import checks
from ytops.db import secret_columns
from ytops.db.secrets import fingerprint
from ytops.tests import examples

pytestmark = pytest.mark.django_db

NEW, OLD, OLDEST = ("new-key-" * 5, "old-key-" * 5, "oldest-key-" * 4)


@pytest.fixture(autouse=True)
def backups(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[Any]:
    """What the storage has, of what the check asks; there are three keys."""
    settings.FERNET_KEYS = [NEW, OLD, OLDEST]
    found: list[Any] = []
    monkeypatch.setattr(checks, "stored", lambda: found)
    monkeypatch.setattr(checks, "folder", lambda: None)
    return found


def backup(*keys: str) -> Any:
    return SimpleNamespace(keys=frozenset(map(fingerprint, keys)))


def warnings() -> list[CheckMessage]:
    return [found for found in run_checks(databases=["default"]) if found.id == "ytops.W002"]


def idle() -> list[str]:
    """The keys that it names."""
    return [warning.msg.split()[3].rstrip(",") for warning in warnings()]


def test_each_is_named_but_never_the_newest() -> None:
    assert idle() == [fingerprint(OLD), fingerprint(OLDEST)]
    assert not any(key in str(warnings()) for key in (NEW, OLD, OLDEST))


def test_a_key_of_a_row_is_needed(settings: Settings) -> None:
    settings.FERNET_KEYS = [OLD]
    examples.channel()
    settings.FERNET_KEYS = [NEW, OLD, OLDEST]
    assert idle() == [fingerprint(OLDEST)]


def test_a_key_of_a_backup_is_needed(backups: list[Any]) -> None:
    backups += [backup(NEW), backup(OLDEST, NEW)]
    assert idle() == [fingerprint(OLD)]


def test_while_a_backup_does_not_tell_every_key_may_be_needed(backups: list[Any]) -> None:
    backups += [SimpleNamespace(keys=None), backup(NEW)]
    assert idle() == []


def test_one_key_costs_no_query_nor_do_checks_without_a_database(settings: Settings) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert checks.fernet_keys_are_needed(databases=None) == []
        settings.FERNET_KEYS = [NEW]
        assert idle() == []
    assert not any("credentials" in query["sql"] for query in queries.captured_queries)


def test_before_the_tables_are_there_it_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    [(model, _), *_] = secret_columns.secret_columns()
    monkeypatch.setattr(model._meta, "db_table", "not_there_yet")
    with transaction.atomic():
        assert idle() == []
        connection.set_rollback(True)  # PostgreSQL: the transaction of the failed query


def test_where_the_backups_cannot_be_listed_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable() -> Any:
        raise OSError

    monkeypatch.setattr(checks, "stored", unreachable)
    assert idle() == []


def test_where_the_folder_of_backups_is_missing_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks, "folder", lambda: tmp_path)
    assert len(idle()) == 2
    monkeypatch.setattr(checks, "folder", lambda: tmp_path / "not there")
    assert idle() == []
