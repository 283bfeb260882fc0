"""Which values a snapshot is made of."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from channels_app.models import Channel
from settings_app import registry, snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.rows import add_missing_rows
from settings_app.tests.threads import statements_seen
from ytops.db.secrets import Secret

pytestmark = pytest.mark.django_db
Declare = Callable[..., Setting[Any]]
KEY = "test.value"
ROWS = SystemConfiguration.objects


def file_with(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = folder / "ytops.toml"
    file.write_text(text)
    monkeypatch.setenv("YTOPS_CONFIG_FILE", str(file))
    return file


def loaded(folder: Path, key: str, **fields: Any) -> None:
    model = "settings_app.systemconfiguration"
    file = folder / "dump.json"
    file.write_text(
        json.dumps([{"model": model, "pk": str(uuid4()), "fields": {"key": key, **fields}}])
    )
    call_command("loaddata", file, verbosity=0)


class TestOverrides:
    """Empty, zero and false are values."""

    @pytest.fixture(params=[("", "default"), (0, 5), (False, True)], ids=str)
    def empty(self, request: pytest.FixtureRequest) -> tuple[Any, Any]:
        """An empty value, and a default of the same type that is not empty."""
        value: tuple[Any, Any] = request.param
        return value

    def test_in_the_environment(
        self, empty: tuple[Any, Any], declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        value, default = empty
        monkeypatch.setenv("YTOPS_TEST_VALUE", registry.text_of(value))
        setting = declare(KEY, type(value), default=default, per_channel=True)
        ROWS.create(key=KEY, value=default)
        assert setting.get() == setting.get(Channel(settings={KEY: default})) == value

    def test_in_a_channel(self, empty: tuple[Any, Any], declare: Declare) -> None:
        value, default = empty
        setting = declare(KEY, type(value), default=default, per_channel=True)
        ROWS.create(key=KEY, value=default)
        assert setting.get(Channel(settings={KEY: value})) == value
        assert setting.get(Channel()) == setting.get() == default

    def test_in_the_database_over_the_file(
        self,
        empty: tuple[Any, Any],
        declare: Declare,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        value, default = empty
        file_with(f"{KEY} = {json.dumps(default)}", tmp_path, monkeypatch)
        setting = declare(KEY, type(value), default=default)
        ROWS.create(key=KEY, value=value)
        assert setting.get() == value

    def test_in_the_file(
        self,
        empty: tuple[Any, Any],
        declare: Declare,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        value, default = empty
        file_with(f"{KEY} = {json.dumps(value)}", tmp_path, monkeypatch)
        setting = declare(KEY, type(value), default=default)
        ROWS.create(key=KEY)
        assert setting.get() == value


class TestNull:
    def test_in_a_row_means_inherit_however_it_is_written(
        self, declare: Declare, tmp_path: Path
    ) -> None:
        setting = declare(KEY, int, default=7)
        row = ROWS.create(key=KEY, value=1)
        for write in (
            lambda: ROWS.filter(key=KEY).update(value=None),
            lambda: ROWS.bulk_update([SystemConfiguration(pk=row.pk, value=None)], ["value"]),
            lambda: loaded(tmp_path, KEY, value=None),
        ):
            ROWS.filter(key=KEY).update(value=1)
            assert setting.get() == 1
            write()
            assert setting.get() == 7

    def test_in_a_channel_is_refused_and_passed_over(
        self, declare: Declare, caplog: pytest.LogCaptureFixture
    ) -> None:
        setting = declare(KEY, int, default=7, per_channel=True)
        channel = Channel(name="A", settings={KEY: None})
        with pytest.raises(ValidationError, match="null is no value"):
            channel.full_clean()
        assert setting.get(channel) == 7
        assert "null is no value" in caplog.text

    def test_is_no_value_of_any_type(self, declare: Declare) -> None:
        for number, kind in enumerate((int, str, bool)):
            setting = declare(f"test.null_{number}", kind, default=kind())
            with pytest.raises(ValidationError, match="null is no value"):
                setting.clean(None)


class TestRowsOfTheRegistry:
    def test_a_default_of_a_new_version_takes_effect(self, declare: Declare) -> None:
        old = declare(KEY, int, default=1)
        add_missing_rows(using="default")
        assert old.get() == 1
        assert not ROWS.get(key=KEY).value
        del registry._registered[KEY]
        new = declare(KEY, int, default=2)
        add_missing_rows(using="default")
        assert new.get() == 2

    def test_a_migration_adds_what_is_missing_and_overwrites_nothing(
        self, declare: Declare
    ) -> None:
        ROWS.create(key=KEY, value=5)
        for key in (KEY, "test.other"):
            declare(key, int, default=1)
        declare("test.secret", Secret, default=None)
        before = {row["key"]: row for row in ROWS.values()}
        add_missing_rows(using="default")
        after = {row["key"]: row for row in ROWS.values()}
        assert after.keys() - before.keys() == {"test.other", "test.secret"}
        assert {key: after[key] for key in before} == before
        assert [after["test.other"][name] for name in ("value", "secret", "encrypted")] == [
            None,
            None,
            False,
        ]
        assert after["test.secret"]["encrypted"]
        with statements_seen() as seen:
            add_missing_rows(using="default")
        assert [sql.split()[0] for sql in seen] == ["SELECT"]

    def test_a_dump_replaces_the_row_that_has_another_id(
        self, declare: Declare, tmp_path: Path
    ) -> None:
        setting = declare(KEY, int, default=1)
        ROWS.create(key=KEY, value=2)
        ROWS.create(key="test.other", value=2)
        loaded(tmp_path, KEY, value=3)
        assert (setting.get(), ROWS.get(key=KEY).value) == (3, 3)
        assert ROWS.get(key="test.other").value == 2


@pytest.mark.usefixtures("committing")
def test_the_table_can_go_and_come_again() -> None:
    ROWS.filter(key="jobs.max_attempts").update(value=9)
    try:
        state = MigrationExecutor(connection).migrate([("settings_app", None)])
        emit_post_migrate_signal(0, False, "default", apps=state.apps)
        assert snapshot.TABLE not in connection.introspection.table_names()
    finally:
        call_command("migrate", "settings_app", verbosity=0)
    rows = dict(ROWS.values_list("key", "value"))
    assert rows == dict.fromkeys(registry.registered())


class TestBadRows:
    @pytest.fixture(autouse=True)
    def _each_read_loads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshot, "LONGEST_AGE", 0.0)

    @pytest.fixture
    def errors(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
        caplog.set_level(logging.INFO, "settings_app")
        return lambda: [record.getMessage() for record in caplog.records]

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("5", 'expected a whole number from 0 to 9, not "5".'),
            (5.0, "expected a whole number from 0 to 9, not 5.0."),
            (True, "expected a whole number from 0 to 9, not true."),
            (10, "expected a whole number from 0 to 9, not 10."),
            ([], "expected a whole number from 0 to 9, not []."),
            ({"a": "x" * 100}, "expected a whole number from 0 to 9, not {"),
        ],
    )
    def test_is_passed_over_told_once_and_taken_when_it_is_repaired(
        self, declare: Declare, errors: Callable[[], list[str]], value: Any, said: str
    ) -> None:
        setting = declare(KEY, int, default=1, min=0, max=9)
        other = declare("test.other", int, default=1)
        ROWS.create(key=KEY, value=value)
        ROWS.create(key="test.other", value=2)
        assert [setting.get() for _ in range(5)] == [1] * 5
        assert other.get() == 2
        assert len(errors()) == 1
        assert f"Passed over: system_configuration, {KEY}: {said}" in errors()[0]
        assert len(errors()[0]) < 200
        ROWS.filter(key=KEY).update(value=3)
        assert setting.get() == 3
        assert len(errors()) == 1

    def test_a_secret_that_no_key_opens(
        self, declare: Declare, errors: Callable[[], list[str]], settings: Any
    ) -> None:
        setting = declare(KEY, Secret, default=None)
        ROWS.create(key=KEY, secret="hunter2", encrypted=True)
        assert setting.get().reveal() == "hunter2"
        keys, settings.FERNET_KEYS = settings.FERNET_KEYS, ["another-key-0123456789-0123456789-01"]
        assert [setting.get() for _ in range(5)] == [None] * 5
        assert errors() == [
            f"Passed over: system_configuration, {KEY}: "
            "cannot decrypt: its key is not in FERNET_KEYS."
        ]
        settings.FERNET_KEYS = keys
        assert setting.get().reveal() == "hunter2"

    def test_a_secret_in_clear_and_a_value_kept_as_a_secret(
        self, declare: Declare, errors: Callable[[], list[str]]
    ) -> None:
        secret = declare(KEY, Secret, default=None)
        plain = declare("test.plain", str, default="default")
        ROWS.create(key=KEY, value="hunter2")
        ROWS.create(key="test.plain", secret="hunter2", encrypted=True)
        assert secret.get() is None
        assert plain.get() == "default"
        assert sorted(errors()) == [
            "Passed over: system_configuration, test.plain: it is kept encrypted: set it anew.",
            f"Passed over: system_configuration, {KEY}: it is kept in clear: set it anew.",
        ]

    def test_a_row_of_no_setting_disturbs_nothing(
        self, declare: Declare, errors: Callable[[], list[str]]
    ) -> None:
        ROWS.create(key="test.gone", value=1)
        assert declare(KEY, int, default=1).get() == 1
        assert errors() == []
