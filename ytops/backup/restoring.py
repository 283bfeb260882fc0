"""Restores a backup: proves it beside the database first, then swaps it in."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.db.migrations.loader import MigrationLoader

from ytops.backup import archive, storage
from ytops.backup.engine import Engine, Progress
from ytops.backup.making import make_backup
from ytops.backup.manifest import Manifest
from ytops.backup.refusals import Damaged, DoesNotFit, Refusal
from ytops.db.secrets import ciphers


def restore(
    engine: Engine,
    name: str,
    progress: Progress,
    confirm: Callable[[Manifest], None],
    *,
    server: str = "",
    options: Sequence[str] = (),
) -> str:
    """Prove the backup `name`, ask `confirm` (which may raise), swap it in; how to go back.

    `name` with a slash is a path. `server` is in the name of the safety copy. `options` are for
    pg_restore.
    """

    def keep() -> str:
        kept, made = make_backup(engine, progress, server=server, sound=False)
        if made.damage:
            return f"What was there is kept as it was, damaged ({made.damage}), in {kept}."
        return f"To go back to what was there: manage.py dbrestore -i {kept}"

    with proved(engine, name, progress, options) as (manifest, payload):
        confirm(manifest)
        return engine.swap(payload, keep, progress)


@contextmanager
def proved(
    engine: Engine, name: str, progress: Progress, options: Sequence[str] = ()
) -> Iterator[tuple[Manifest, Path]]:
    """Restore a backup into a scratch database and compare that with the manifest."""
    identities = archive.identities_of(settings.BACKUP_IDENTITY_FILE)
    with storage.shared_workplace() as work:
        payload = work / "payload"
        with ExitStack() as stack:
            with about(name):
                with opened(name) as file, payload.open("xb") as target:
                    manifest = archive.unpack(file, target, identities)
                refuse_misfit(manifest, engine)
                facts = stack.enter_context(engine.scratch(payload, work, options))
                if found := manifest.facts.differences(facts):
                    more = f"; and {len(found) - 3} more" if found[3:] else ""
                    words = "; ".join(found[:3]) + more
                    raise Damaged(f"It does not come back as it was: {words}.")
            yield manifest, payload


@contextmanager
def about(name: str) -> Iterator[None]:
    try:
        yield
    except Refusal as error:
        raise type(error)(f"{name}: {error}") from None


def opened(name: str) -> Any:
    """A backup of the storage, or a file."""
    try:
        if "/" in name:
            return Path(name).open("rb")
        return storage.storage().open(name)
    except (
        FileNotFoundError,
        IsADirectoryError,
        NotADirectoryError,
        SuspiciousFileOperation,
    ):
        raise DoesNotFit("There is no such backup.") from None


def refuse_misfit(manifest: Manifest, engine: Engine) -> None:
    if manifest.engine != engine.name:
        raise DoesNotFit(
            f"It is a backup of {manifest.engine}, and this database is {engine.name}. Restore it "
            "where DATABASE_URL is of its kind; manage.py copydb moves SQLite to PostgreSQL."
        )
    if engine.name == "postgresql" and major(manifest.engine_version) > major(engine.version):
        raise DoesNotFit(
            f"It is of PostgreSQL {manifest.engine_version}, and this server is {engine.version}: "
            "no server reads what a later one has written."
        )
    if manifest.damage:
        raise Damaged(f"It was made of a damaged database: {manifest.damage}")
    if missing := sorted(set(manifest.facts.keys) - ciphers().keys()):
        raise DoesNotFit(
            f"Its secrets need the keys with the fingerprints {', '.join(missing)}, which are not "
            "in FERNET_KEYS: put them behind the others."
        )
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations.keys()
    newer = [
        f"{app}.{name}"
        for app, names in manifest.facts.migrations.items()
        for name in names
        if (app, name) not in known
    ]
    if newer:
        raise DoesNotFit(
            f"Its schema is newer than this code, which does not know {newer[0]}"
            f"{f' and {len(newer) - 1} more' if newer[1:] else ''}: it was made by ytops "
            f"{manifest.ytops}, and this is older."
        )


def major(version: str) -> int:
    """18 of “18.4 (Debian 18.4-1)”; 0 of what is no version."""
    found = re.match(r"\d{1,9}", version)
    return int(found[0]) if found else 0
