"""What a backup says of itself."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.utils.encoding import force_bytes

from ytops.backup.refusals import Damaged, DoesNotFit
from ytops.db.secret_columns import secret_columns
from ytops.db.secrets import CannotDecrypt, Secret

FORMAT = 1

Query = Callable[[str], Iterable[tuple[Any, ...]]]


class Table(NamedTuple):
    quoted: str  # for SQL
    columns: frozenset[str]


@dataclass(frozen=True)
class Facts:
    """What one snapshot of a database holds."""

    migrations: dict[str, list[str]]  # app → names
    rows: dict[str, int]  # table → number
    keys: list[str]  # fingerprints of those of FERNET_KEYS that its secrets need
    unreadable_secrets: int  # that none of FERNET_KEYS opens

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())

    def differences(self, restored: "Facts") -> list[str]:
        """In what a database that was restored from this one is not the same."""
        found = [
            f"{name} has {restored.rows.get(name, 'no')} rows instead of {self.rows.get(name)}"
            for name in sorted(self.rows.keys() | restored.rows.keys())
            if self.rows.get(name) != restored.rows.get(name)
        ]
        if self.migrations != restored.migrations:
            found.append("its migrations are not those of the manifest")
        if restored.unreadable_secrets > self.unreadable_secrets:
            found.append(f"{restored.unreadable_secrets} of its secrets cannot be decrypted")
        return found


def facts_of(query: Query, tables: dict[str, Table]) -> Facts:
    """Ask a snapshot that does not change meanwhile; `tables` are all that it has, by name."""
    migrations: dict[str, list[str]] = {}
    if "django_migrations" in tables:
        for app, name in query("SELECT app, name FROM django_migrations ORDER BY app, name"):
            migrations.setdefault(app, []).append(name)
    rows = {}
    for name, table in tables.items():
        [(rows[name],)] = query(f"SELECT COUNT(*) FROM {table.quoted}")  # noqa: S608
    keys = Counter(map(key_of, secrets_of(query, tables)))
    unreadable = keys.pop(None, 0)
    return Facts(migrations, rows, sorted(key for key in keys if key), unreadable)


def secrets_of(query: Query, tables: dict[str, Table]) -> Iterator[Any]:
    """The content of every secret column that is there: the schema may be an older one."""
    for model, field in secret_columns():
        table = tables.get(model._meta.db_table)
        if table and field.column in table.columns:
            sql = f'SELECT "{field.column}" FROM {table.quoted} WHERE "{field.column}" IS NOT NULL'  # noqa: S608
            for (content,) in query(sql):
                yield content


def key_of(content: Any) -> str | None:
    try:
        return Secret.stored(force_bytes(content)).key_fingerprint()
    except CannotDecrypt:
        return None


@dataclass(frozen=True)
class Manifest:
    """`sha256` and `size` (bytes) are the payload's: an SQLite file, or an archive of pg_dump."""

    created: datetime
    ytops: str  # version
    engine: str
    engine_version: str
    facts: Facts
    sha256: str
    size: int
    damage: str = ""  # what was wrong with the database when this copy was made

    def as_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self), "created": self.created.isoformat()}

    def dump(self) -> bytes:
        return json.dumps(self.as_json(), sort_keys=True).encode()


def load(text: bytes) -> Manifest:
    """Damaged if this is no manifest; DoesNotFit if it is of a later ytops."""
    try:
        given = json.loads(text)
        if given.pop("format") > FORMAT and printable(given["ytops"]):
            raise DoesNotFit(f"It was made by a newer ytops ({given['ytops']}): update this one.")
        created = datetime.fromisoformat(given.pop("created")).astimezone(UTC)
        facts = Facts(**given.pop("facts"))
        manifest = Manifest(created=created, facts=facts, **given)
        if not well_formed(manifest):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Damaged("Its manifest cannot be read.") from None
    return manifest


def well_formed(manifest: Manifest) -> bool:
    facts, texts = manifest.facts, ("ytops", "engine", "engine_version", "sha256", "damage")
    return (
        all(printable(getattr(manifest, name)) for name in texts)
        and isinstance(manifest.size, int)
        and isinstance(facts.unreadable_secrets, int)
        and isinstance(facts.keys, list)
        and all(map(printable, facts.keys))
        and isinstance(facts.rows, dict)
        and all(map(printable, facts.rows))
        and all(isinstance(number, int) for number in facts.rows.values())
        and isinstance(facts.migrations, dict)
        and all(map(printable, facts.migrations))
        and all(
            isinstance(names, list) and all(map(printable, names))
            for names in facts.migrations.values()
        )
    )


def printable(text: Any) -> bool:
    """Whether it is text that can be shown: no second line, nothing that a terminal obeys."""
    return isinstance(text, str) and text.isprintable()
