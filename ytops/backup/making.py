"""Makes a backup and gives it a name when it has been proved."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyrage
from django.conf import settings

import ytops
from ytops.backup import archive, storage
from ytops.backup.engine import Engine, Progress
from ytops.backup.manifest import Manifest
from ytops.backup.refusals import Damaged, DoesNotFit


def make_backup(
    engine: Engine, progress: Progress, *, name: str = "", server: str = "", sound: bool = True
) -> tuple[str, Manifest]:
    """Make a backup in the storage, under this name or one of its own; its name.

    `sound` off: also of a database that is damaged, as it is.
    """
    created = datetime.now(UTC)
    recipients = archive.recipients_of(settings.BACKUP_RECIPIENTS)
    encrypted = bool(recipients)
    if not name:
        name = storage.file_name(
            engine.database, engine.extension, created, server=server, encrypted=encrypted
        )
    storage.refuse_taken(name)
    with storage.shared_workplace() as work:
        file = work / "backup"
        manifest = pack_database(engine, file, created, recipients, progress, sound=sound)
        storage.publish(file, name, manifest, encrypted=encrypted)
    return name, manifest


def make_backup_at(engine: Engine, progress: Progress, place: Path) -> Manifest:
    """Make a backup as a file that is not in the storage."""
    if place.exists():
        raise DoesNotFit(f"{place} is there already: a backup takes the place of nothing.")
    recipients = archive.recipients_of(settings.BACKUP_RECIPIENTS)
    with storage.workplace(place.parent) as work:
        file = work / "backup"
        manifest = pack_database(engine, file, datetime.now(UTC), recipients, progress)
        storage.move(file, place)
    return manifest


def pack_database(
    engine: Engine,
    file: Path,
    created: datetime,
    recipients: Sequence[pyrage.x25519.Recipient],
    progress: Progress,
    *,
    sound: bool = True,
) -> Manifest:
    """Write a backup into a file, which another thread reads again to its last byte meanwhile.

    An encrypted one too, though its private keys are elsewhere: it is encrypted to one key more,
    which is forgotten at the end.
    """
    proof = pyrage.x25519.Identity.generate()
    everyone = [*recipients, proof.to_public()] if recipients else []
    file.touch(mode=0o600, exist_ok=False)  # before anything is in it
    with (
        file.open("rb") as source,
        ThreadPoolExecutor(1) as beside,
        # An error ends the reader first, which the thread may be waiting for.
        engine.read_through(file.parent) as reader,
    ):
        with (
            archive.Growing(source) as growing,
            engine.snapshot(file.parent, progress, sound=sound) as snapshot,
            file.open("wb") as target,
        ):

            def manifest(sha256: str, size: int) -> Manifest:
                return Manifest(
                    created=created,
                    ytops=ytops.__version__,
                    engine=engine.name,
                    engine_version=engine.version,
                    facts=snapshot.facts(),
                    sha256=sha256,
                    size=size,
                    damage=snapshot.damage,
                )

            payload = archive.Hashed(
                snapshot.payload, lambda done: progress("Packing byte", done, snapshot.size)
            )
            read_again = beside.submit(archive.unpack, growing, reader, [proof])
            archive.pack(payload, manifest, target, everyone)
        found = read_again.result()
    if found.sha256 != payload.sha256.hexdigest():
        raise Damaged("What was written is not what was read: is the disk at fault?")
    return found
