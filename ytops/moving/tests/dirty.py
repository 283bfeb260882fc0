"""What SQLite lets in and PostgreSQL does not take, or takes for something else."""

import random
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

from ytops.moving.columns import Text
from ytops.moving.databases import opened_source
from ytops.moving.preflight import bad_rows
from ytops.moving.tables import tables
from ytops.moving.tests.moves import url_of
from ytops.settings import database

# Table, column, value, and how the line goes on behind "column: ".
VALUES: list[tuple[str, str, Any, str]] = [
    ("videos", "title", "x" * 501, "has 501 characters: expected at most 500"),
    ("videos", "title", "é" * 501, "has 501 characters: expected at most 500"),
    ("videos", "title", "a\0b", "has U+0000 as character 2"),
    ("videos", "title", "\0", "has U+0000 as character 1"),
    ("videos", "title", Text(b"\xed\xa0\xbd"), "has half of a surrogate pair"),
    ("videos", "title", Text(b"a\xff"), "is not UTF-8 at byte 2"),
    ("videos", "title", Text(b"\x80"), "is not UTF-8 at byte 1"),
    ("videos", "title", b"ab", "is a BLOB: expected a text"),
    ("videos", "title", None, "is NULL"),
    ("video_processing_jobs", "error_message", Text(b"\xc3("), "is not UTF-8 at byte 1"),
    ("videos", "metadata", r'{"a": "\u0000"}', "is JSON that cannot be stored: Character 1 is U"),
    ("videos", "metadata", r'{"a": "\ud83d"}', "is JSON that cannot be stored: Character 1 is U"),
    ("videos", "metadata", r'{"\udead": 1}', "is JSON that cannot be stored: Character 1 is U+DE"),
    ("videos", "metadata", Text(b'{"\xed\xa0\xbd": 1}'), "has half of a surrogate pair"),
    ("videos", "metadata", '{"a": 1, "a": 2}', "cannot be read: the key 'a' stands twice"),
    ("videos", "metadata", '{"a": }', "cannot be read: not valid JSON at line 1, column 7"),
    ("videos", "metadata", "", "cannot be read: not valid JSON"),
    ("videos", "metadata", '{"a": NaN}', "cannot be read: NaN is not JSON"),
    ("videos", "metadata", '{"a": 1e400}', "cannot be read: a number is too large"),
    ("videos", "metadata", '{"a": 1e17}', "is JSON that cannot be stored: A number of 17 digits"),
    (
        "videos",
        "metadata",
        '{"a": 1e-20000}',
        "has a number with more digits or a greater exponent",
    ),
    ("videos", "metadata", f'{{"a": 0.{"0" * 20_000}1}}', "has a number with more digits or a gr"),
    (
        "videos",
        "metadata",
        f'{{"a": {"[" * 101}{"]" * 101}}}',
        "is JSON that cannot be stored: Nest",
    ),
    ("videos", "metadata", b"{}", "is a BLOB: expected a text"),
    ("system_configuration", "value", " null ", "is JSON's null: expected NULL of SQL"),
    ("video_processing_jobs", "priority", 32768, "is 32768: expected -32768 to 32767"),
    ("video_processing_jobs", "backoff_seconds", 2**31, "is 2147483648: expected 0 to 2147483647"),
    ("video_statistics", "view_count", "many", "is 'many', not a whole number"),
    ("video_statistics", "view_count", 1.5, "is 1.5, not a whole number"),
    ("video_statistics", "view_count", 9.3e18, "is 9.3e+18, not a whole number"),
    ("video_statistics", "view_count", float("inf"), "is inf, not a whole number"),
    ("video_statistics", "view_count", b"1", "is a BLOB, not a whole number"),
    ("channels", "is_active", 2, "is 2: expected 0 or 1"),
    ("channels", "is_active", "yes", "is 'yes': expected 0 or 1"),
    ("system_configuration_changes", "channel_id", "not-a-uuid", "is no UUID: expected 32 hexade"),
    ("system_configuration_changes", "channel_id", str(uuid4()), "is no UUID: expected 32 hexade"),
    ("system_configuration_changes", "channel_id", "A" * 32, "is no UUID: expected 32 hexadecimal"),
    ("music", "id", "0" * 31 + "\0", "is no UUID: expected 32 hexadecimal digits, in lower case"),
    ("video_processing_jobs", "lease_token", "secret-token", "is no UUID: expected 32 hexadecimal"),
    ("videos", "music_id", "0" * 32, "names a row that music does not have"),
    ("videos", "preset_id", "x", "names a row that transformation_presets does not have"),
    ("auth_user_groups", "group_id", 99, "names a row that auth_group does not have"),
    ("videos", "published_at", "", "is empty: expected YYYY-MM-DD HH:MM:SS.ffffff in UTC, or NULL"),
    ("videos", "published_at", "2026-01-01 10:00:00+02:00", "has an offset, '2026-01-01 10:00:00+"),
    ("videos", "published_at", "2026-01-01 10:00:00Z", "has an offset, '2026-01-01 10:00:00Z': ex"),
    ("videos", "published_at", "2026-01-01T10:00:00", "is '2026-01-01T10:00:00': expected YYYY"),
    ("videos", "published_at", "2026-02-29 10:00:00", "is '2026-02-29 10:00:00': there is no such"),
    ("videos", "published_at", "2026-13-01 10:00:00", "is '2026-13-01 10:00:00': there is no such"),
    ("videos", "published_at", "2026-01-01 24:00:00", "is '2026-01-01 24:00:00': there is no such"),
    ("videos", "published_at", "0000-01-01 10:00:00", "is '0000-01-01 10:00:00': there is no such"),
    ("videos", "published_at", "12026-01-01 10:00:00", "is '12026-01-01 10:00:00': expected YYYY"),
    ("videos", "published_at", "2026-01-01", "is '2026-01-01': expected YYYY-MM-DD HH:MM:SS"),
    ("videos", "published_at", 1767225600, "is 1767225600: expected YYYY-MM-DD HH:MM:SS"),
    ("videos", "updated_at", None, "is NULL"),
    ("channels", "credentials", 17, "is a number: expected ciphertext"),
]
# Table, change, and the line: what is wrong with a row, not with a value.
ROWS = [
    ("videos", "metadata = '[1]'", "videos_json_shapes: is broken: Expected metadata a JSON obj"),
    ("videos", "status = 'lost'", "videos_status_known: is broken: Expected status to be one of"),
    ("video_statistics", "view_count = -1", "video_statistics_counts_not_negative: is broken: A"),
]
# Changes that make two rows one to PostgreSQL.
TWINS = [
    (
        "videos",
        "scheduled_for = '2026-01-01 10:00:00' || iif(rowid % 2, '', '.000')",
        "channel_id, scheduled_for: another row has the same",
    ),
    (
        "video_processing_jobs",
        "kind = 'publish', status = 'queued'",
        "video_id, kind: another row has the same",
    ),
    ("auth_group_permissions", "permission_id = 7", "group_id, permission_id: another row has"),
]
NOT_UTF_8 = [b"\xff", b"\x80", b"\xed\xa0\x80", b"\xc3", b"\xf0\x9f"]
# Unique, so that a copy of a row needs one of its own.
NULLED = {"youtube_channel_id", "youtube_video_id", "spotify_track_id", "scheduled_for"}


def loosen(file: sqlite3.Connection) -> None:
    """Take off what SQLite itself would refuse."""
    file.execute("PRAGMA writable_schema = ON")
    file.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL,', ',')")
    file.execute("PRAGMA writable_schema = RESET")
    file.execute("PRAGMA ignore_check_constraints = ON")
    file.execute("PRAGMA foreign_keys = OFF")
    unique = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%'"
    for (name,) in file.execute(unique).fetchall():
        file.execute(f'DROP INDEX "{name}"')


def another_row(file: sqlite3.Connection, table: str) -> int:
    """Insert the first row of this table once more, with keys of its own; the rowid."""
    found = file.execute(f"SELECT * FROM {table} ORDER BY rowid LIMIT 1")
    names = [column[0] for column in found.description]
    row = dict(zip(names, found.fetchone(), strict=True))
    (last,) = file.execute(f"SELECT max(rowid) FROM {table}").fetchone()
    own: dict[str, Any] = {
        "id": last + 1 if isinstance(row["id"], int) else uuid4().hex,
        "permission_id": last + 10,
        "source_url": uuid4().hex,
        "timestamp": f"2025-01-01 00:00:00.{random.randrange(10**6):06}",
        **dict.fromkeys(NULLED),
    }
    if table == "system_configuration":
        own["key"] = uuid4().hex
    row |= {name: value for name, value in own.items() if name in row}
    columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"
    return int(file.execute(statement, list(row.values())).lastrowid or 0)


def bound(value: Any) -> str:
    return "CAST(? AS text)" if isinstance(value, Text) else "?"


def told(file: Path) -> list[str]:
    """What the preflight says."""
    with opened_source(database(url_of(file))) as opened:
        return [str(bad) for bad in bad_rows(opened, tables(), lambda table, count: None)]
