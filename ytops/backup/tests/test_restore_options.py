"""dbrestore: its options, its question, keys, signals, older schemas."""

import io
from pathlib import Path
from typing import Any

import pytest
from dbbackup.signals import post_restore, pre_restore
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from pyrage import encrypt

from channels_app.models import Channel
from ytops.backup.tests.files import KEY, OTHER_KEY
from ytops.backup.tests.site import (
    Good,
    Site,
    backup_of,
    refused,
    said,
    spoil,
)
from ytops.db.secrets import Secret
from ytops.tests.examples import CREDENTIALS

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_a_yes_restores(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.content()
    name = backup_of(site)
    for answer in ("y", " YES ") if connection.vendor == "sqlite" else ("yes",):
        spoil(site)
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        said("dbrestore", "-i", name)
        assert site.content() == before


def test_the_newest_or_the_one_that_is_named_or_the_newest_of_a_server(site: Site) -> None:
    names = []
    for server in ("one", "two"):
        site.execute(f"UPDATE music SET title = '{server}'")
        names.append(said("dbbackup", "-s", server).partition(":")[0])
    options = [
        (("-i", names[0]), "one"),
        (("-s", "two"), "two"),
        (("-s", "one"), "one"),
    ]
    for option, title in options:
        words = said("dbrestore", "--dry-run", *option)
        assert words.startswith(names[title == "two"])
    code, message = refused("dbrestore", "--dry-run")
    assert code == 4
    assert message.endswith(": there are some of one, two; -s names one of them.")
    said("backup_drill", "-s", "two")
    own = said("dbbackup").partition(":")[0]
    assert said("dbrestore", "--dry-run").startswith(own)
    before = set(site.files())
    said("dbrestore", "--noinput", "-s", "one")
    if connection.vendor == "sqlite":
        [kept] = set(site.files()) - before
        assert kept.startswith(f"{site.database}-one-")
    assert "'one'" in str(site.content()["music"]) or "one," in str(site.content()["music"])


def test_one_of_an_older_schema_says_that_migrations_are_to_be_run(site: Site) -> None:
    newest = "DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0012%'"
    site.execute(newest)
    backup_of(site)
    words = said("dbrestore", "--noinput")
    assert words.endswith("It has 1 migration less than this code: run manage.py setup.\n")
    site.execute("DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0011%'")
    backup_of(site)
    words = said("dbrestore", "--noinput")
    assert words.endswith("It has 2 migrations less than this code: run manage.py setup.\n")


def test_secrets_that_nothing_opened_come_back_as_they_were(
    site: Site, settings: LazySettings
) -> None:
    keys = settings.FERNET_KEYS
    settings.FERNET_KEYS = ["a key that is lost"]
    Channel.objects.create(name="lost", credentials=CREDENTIALS)
    settings.FERNET_KEYS = keys
    before = site.content()
    backup_of(site)
    spoil(site)
    said("dbrestore", "--noinput")
    assert site.content() == before
    lost: Secret = Channel.objects.get(name="lost").credentials
    settings.FERNET_KEYS = ["a key that is lost"]
    assert lost.reveal() == CREDENTIALS


def test_the_signals_of_dbbackup_are_sent(site: Site) -> None:
    heard: list[dict[str, Any]] = []

    def hear(**given: Any) -> None:
        heard.append(given)

    name = backup_of(site)
    pre_restore.connect(hear)
    post_restore.connect(hear)
    try:
        said("dbrestore", "--dry-run")
        assert heard == []
        said("dbrestore", "--noinput")
    finally:
        pre_restore.disconnect(hear)
        post_restore.disconnect(hear)
    assert [one["signal"] for one in heard] == [pre_restore, post_restore]
    assert {one["filename"] for one in heard} == {name}


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        (None, 4, "BACKUP_IDENTITY_FILE must name the file"),
        (f"{OTHER_KEY}", 4, "encrypted to other keys than that of BACKUP_IDENTITY_FILE"),
        ("not a key", 4, "is no file of private keys"),
        ("", 4, "is no file of private keys"),
    ],
    ids=["none", "another", "wrong", "empty"],
)
def test_an_encrypted_one_needs_its_key(
    key: str | None, code: int, words: str, unchanged: Site, good: Good, tmp_path: Path,
    settings: LazySettings,
) -> None:  # fmt: skip
    (file := tmp_path / "file").write_bytes(encrypt(good.file, [KEY.to_public()]))
    if key is not None:
        (tmp_path / "key").write_text(key)
        settings.BACKUP_IDENTITY_FILE = str(tmp_path / "key")
    for options in (("--noinput",), ("--dry-run",)):
        got, message = refused("dbrestore", "-I", str(file), *options)
        assert (got, words in message, str(OTHER_KEY) in message) == (code, True, False)
    (tmp_path / "key").write_text(str(KEY))
    settings.BACKUP_IDENTITY_FILE = str(tmp_path / "key")
    assert " would come back: " in said("dbrestore", "-I", str(file), "--dry-run")


def test_a_private_key_that_is_not_there_is_named(unchanged: Site, settings: LazySettings) -> None:
    settings.BACKUP_IDENTITY_FILE = "/no/such/key"
    code, message = refused("dbrestore", "--noinput")
    assert (code, message) == (
        4,
        "BACKUP_IDENTITY_FILE: /no/such/key cannot be read: No such file or directory.",
    )


OPTIONS = [
    (("-p", "secret words"), "--passphrase: backups are encrypted to keys"),
    (("-n", "public"), "--schema: a restore puts the whole database back"),
    (("-r",), "--no-drop: a restore puts the whole database back"),
    (("-d", "other"), "There is no database 'other': there is default."),
    (("-i", ""), "--input-filename: it is empty."),
    (("-I", ""), "--input-path: it is empty."),
]


def test_what_it_does_not_do_is_refused(unchanged: Site) -> None:
    for options, words in OPTIONS:
        code, message = refused("dbrestore", "--noinput", *options)
        assert (code, message.startswith(words), "secret" in message) == (2, True, False)


def test_a_name_and_a_path_exclude_one_another(unchanged: Site, good: Good) -> None:
    with pytest.raises(Exception, match="not allowed with"):
        said("dbrestore", "-i", good.name, "-I", "other", "--noinput")


def test_a_server_whose_name_begins_as_another_is_another(unchanged: Site, good: Good) -> None:
    server = good.name.removeprefix(f"{unchanged.database}-").partition("-2")[0]
    assert good.name in said("dbrestore", "-s", server, "--dry-run")
    assert refused("dbrestore", "-s", server[:-1], "--dry-run")[0] == 4
    other = good.name.replace(f"-{server}-", f"-{server}-2-").replace("-20", "-29", 1)
    (unchanged.backups / other).write_bytes(good.file)
    try:
        assert said("dbrestore", "-s", server, "--dry-run").startswith(good.name)
        assert said("dbrestore", "-s", f"{server}-2", "--dry-run").startswith(other)
    finally:
        (unchanged.backups / other).unlink()


@pytest.mark.parametrize("answer", ["n", "", "no", "maybe", "yess", None])
def test_without_a_yes_nothing_is_changed(
    answer: str | None, unchanged: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def reply(question: str) -> str:
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", reply)
    out = io.StringIO()
    with pytest.raises(Exception, match="Not confirmed: nothing is changed") as error:
        call_command("dbrestore", stdout=out)
    assert getattr(error.value, "returncode", None) == 6
    assert "is whole: " in out.getvalue()
    assert asked == [f"Put it in the place of {unchanged.database}, which is kept? [y/N] "]
