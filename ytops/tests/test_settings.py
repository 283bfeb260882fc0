import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from ytops.tests.processes import finish, manage, settings_of, start

pytestmark = pytest.mark.once

# As an installation with a proxy in front gives them; nothing from .env.
PRODUCTION = {
    "SECRET_KEY": "a-key-of-this-test-alone-" + "0123456789abcdefghijklmnopqrstuvwxyz",
    "FERNET_KEYS": "another-key-of-this-test-" + "0123456789abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "ytops.example.org",
    "HTTPS": None,
    "DEBUG": None,
}


def settings_with(*names: str, **env: str | None) -> list[Any]:
    found = settings_of(**env)
    return [found[name] for name in names]


def test_check_deploy_has_nothing_to_say_of_production() -> None:
    result = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_short_key_is_warned_about() -> None:
    result = manage("check", "--fail-level", "WARNING", FERNET_KEYS=f"{'k' * 32},short")
    assert result.returncode == 1
    assert "ytops.W001" in result.stderr
    assert "Key 2 of FERNET_KEYS" in result.stderr
    assert "short" not in result.stderr


def test_production_is_what_one_gets_without_asking() -> None:
    names = ("DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    assert settings_with(*names, HTTPS=None, DEBUG=None) == [False, True, True, True]
    assert settings_with(*names, HTTPS="", DEBUG="") == [False, True, True, True]


def test_dot_env_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\n"
        "SECRET_KEY=a$b#c, d\n"
        "FERNET_KEYS=$first, sec#ond ,third\n"
        "ALLOWED_HOSTS=from.the.file\n"
        "CSRF_TRUSTED_ORIGINS=https://a.example:8443,https://*.b.example\n"
        "HTTPS=off\n"
    )
    given = {"ENV_FILE": str(file), "SECRET_KEY": None, "FERNET_KEYS": None, "HTTPS": None}
    names = ("SECRET_KEY", "FERNET_KEYS", "CSRF_TRUSTED_ORIGINS", "HTTPS", "ALLOWED_HOSTS")
    values = settings_with(*names, ALLOWED_HOSTS="from.the.environment", **given)
    assert values == [
        "a$b#c,d",
        ["$first", "sec#ond", "third"],
        ["https://a.example:8443", "https://*.b.example"],
        False,
        ["from.the.environment"],
    ]


def test_values_of_the_environment_are_taken_as_they_are() -> None:
    keys = "$HOME,#hash, a=b "
    values = settings_with("FERNET_KEYS", "SECRET_KEY", FERNET_KEYS=keys, SECRET_KEY="$HOME")
    assert values == [["$HOME", "#hash", "a=b"], "$HOME"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///var/some.sqlite3", "var/some.sqlite3"),
        ("sqlite:////srv/data/some.sqlite3", "/srv/data/some.sqlite3"),
    ],
)
def test_where_sqlite_is(url: str, name: str) -> None:
    databases, folder = settings_with("DATABASES", "BASE_DIR", DATABASE_URL=url)
    assert databases["default"]["NAME"] == str(Path(folder) / name)


def test_postgresql_with_a_difficult_password() -> None:
    [databases] = settings_with(
        "DATABASES", DATABASE_URL="postgresql://u%40x:p%23%24%2C%2F@db.example:5433/name"
    )
    config = databases["default"]
    found = [config[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")]
    assert found == ["u@x", "p#$,/", "db.example", 5433, "name"]


def test_a_line_of_the_log_names_time_level_and_logger() -> None:
    code = "import django, logging; django.setup(); logging.getLogger('a.b').warning('it rains')"
    said = finish(start("-c", code)).stderr
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING a\.b: it rains\n", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# keys\nFERNET_KEYS = a-key-in-clear\n", "line 2: expected NAME=value"),
        (b"FERNET_KEYS: a-key-in-clear\n", "line 1: expected NAME=value"),
        (b"FERNET_KEYS=\xffa-key-in-clear\n", "cannot be read"),
    ],
)
def test_a_broken_env_file_is_named_without_its_content(
    content: bytes, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match=said) as error:
        settings_of(ENV_FILE=str(file))
    assert str(error.value).startswith(str(file))
    assert "a-key-in-clear" not in f"{error.value} {caplog.text}"


def test_an_env_file_of_another_editor_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes("\ufeffSECRET_KEY=one\r\n\r\nexport ALLOWED_HOSTS=a.example\r\n".encode())
    found = settings_with("SECRET_KEY", "ALLOWED_HOSTS", ENV_FILE=str(file), SECRET_KEY=None)
    assert found == ["one", ["a.example"]]


def test_where_backups_are_and_what_they_are_told() -> None:
    found = settings_with(
        "BACKUP_DIR", "BACKUP_KEEP", "STORAGES", BACKUP_DIR="var/x", BACKUP_KEEP="3"
    )
    assert found[0].parts[-2:] == ("var", "x")
    assert found[1] == 3
    assert found[2]["dbbackup"]["OPTIONS"]["location"] == found[0]
    options = {"BACKUP_STORAGE": "a.Storage", "BACKUP_STORAGE_OPTIONS": '{"bucket": "b"}'}
    [storages] = settings_with("STORAGES", **options)
    assert storages["dbbackup"] == {"BACKEND": "a.Storage", "OPTIONS": {"bucket": "b"}}


@pytest.mark.parametrize("number", ["0", "ten", "1.5", "-1", "٣"])
def test_a_number_of_backups_that_is_none_stops_the_start(number: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"BACKUP_KEEP is .* a whole number from 1"):
        settings_of(BACKUP_KEEP=number)


def test_options_of_the_storage_that_are_no_json_are_not_quoted() -> None:
    with pytest.raises(ImproperlyConfigured, match="BACKUP_STORAGE_OPTIONS") as error:
        settings_of(BACKUP_STORAGE="a.Storage", BACKUP_STORAGE_OPTIONS="{secret")
    assert "secret" not in str(error.value)
