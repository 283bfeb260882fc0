"""listbackups: what there is, the newest first, in text and in JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError

from ytops.backup import storage
from ytops.backup.tests.files import manifest_of, packed
from ytops.backup.tests.site import said

PLAIN, ENCRYPTED = packed(b"payload"), packed(b"payload", "encrypted")


@pytest.fixture
def names(backups: Path) -> list[str]:
    """A whole one, an encrypted one, one that is cut, one of another database; oldest first."""
    backups.mkdir()
    made = []
    for days, database, content, encrypted in (
        (400, "ytops", PLAIN, False),
        (3, "ytops", ENCRYPTED, True),
        (2, "ytops", PLAIN[:-1], False),
        (0, "shop", PLAIN, False),
    ):
        created = datetime.now(UTC) - timedelta(days=days, minutes=1)
        name = storage.file_name(database, "pgdump", created, server="web", encrypted=encrypted)
        (backups / name).write_bytes(content)
        made.append(name)
    beside = {"manifest": manifest_of(b"payload").as_json(), "file_size": len(ENCRYPTED)}
    (backups / f"{made[1]}.manifest").write_text(json.dumps(beside))
    return made


def rows(*arguments: str) -> list[list[str]]:
    """The cells of each line."""
    return [line.split("  ") for line in said("listbackups", *arguments).splitlines()]


def test_nothing_is_listed_where_nothing_is(backups: Path) -> None:
    assert said("listbackups") == ""
    assert json.loads(said("listbackups", "--format=json")) == []


def test_age_size_rows_and_state(names: list[str]) -> None:
    lines = [[cell.strip() for cell in row if cell.strip()] for row in rows()]
    size = f"{len(PLAIN)} bytes"
    assert lines == [
        ["name", "age", "size", "rows", "state"],
        [names[3], "1 minute", size, "3", "whole"],
        [
            names[2],
            "2 days",
            f"{len(PLAIN) - 1} bytes",
            "not known",
            "It has no manifest at its end: it is cut short, or no backup of ytops.",
        ],
        [names[1], "3 days", f"{len(ENCRYPTED)} bytes", "3", "encrypted"],
        [names[0], "1 year", size, "3", "whole"],
    ]


def test_in_json_with_the_manifest(names: list[str]) -> None:
    listed = json.loads(said("listbackups", "--format=json"))
    assert [one["name"] for one in listed] == names[::-1]
    assert [one["rows"] for one in listed] == [3, None, 3, 3]
    assert listed[0]["manifest"] == manifest_of(b"payload").as_json()
    assert listed[1]["manifest"] is None
    assert datetime.fromisoformat(listed[0]["created"]).tzinfo


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        (("-d", "ytops"), (2, 1, 0)),
        (("-d", "shop"), (3,)),
        (("-d", "none"), ()),
        (("-e",), (1,)),
        (("-E",), (3, 2, 0)),
        (("-E", "-d", "ytops"), (2, 0)),
    ],
)
def test_what_is_asked_for(
    option: tuple[str, ...], wanted: tuple[int, ...], names: list[str]
) -> None:
    assert [row[0] for row in rows("-q", *option)] == [names[number] for number in wanted]
    assert rows(*option) == [] or rows(*option)[0][0].startswith("name")


def test_encrypted_and_not_exclude_one_another(names: list[str]) -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        said("listbackups", "-e", "-E")


def test_one_of_the_future_is_listed(backups: Path) -> None:
    backups.mkdir()
    later = datetime.now(UTC) + timedelta(days=400)
    name = storage.file_name("ytops", "sqlite3", later, encrypted=False)
    (backups / name).write_bytes(PLAIN)
    assert rows("-q")[0][0] == name
