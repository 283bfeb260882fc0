"""Where backups are kept, under which names, and how many of them."""

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone

from ytops.backup import archive
from ytops.backup.manifest import Manifest, load
from ytops.backup.refusals import Damaged, DoesNotFit, Refusal
from ytops.db.locks import file_lock

# DATABASE-SERVER-TIME.ENGINE.zst, or .zst.age: nothing but a backup that was whole once has it.
NAME = re.compile(
    r"(?P<database>[^-/]+)-(?P<server>[^/]+)-(?P<time>\d{8}T\d{6}\.\d{3}Z)"
    r"\.(?P<engine>sqlite3|pgdump)\.zst(?P<encrypted>\.age)?"
)
TIME = "%Y%m%dT%H%M%S.%f"
# The manifest of an encrypted backup, once more and readable, with what the file was like.
BESIDE = ".manifest"
UNFINISHED = ".unfinished-"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRIED = f"{UNFINISHED}lock"


@dataclass(frozen=True)
class Backup:
    name: str
    database: str
    server: str
    created: datetime
    size: int  # bytes
    encrypted: bool
    manifest: Manifest | None  # None if it is damaged, or encrypted and without one beside it
    damage: str = ""

    @property
    def age(self) -> timedelta:
        return timezone.now() - self.created

    @property
    def keys(self) -> frozenset[str] | None:
        """Fingerprints of the keys that its secrets need; None if nothing tells."""
        return frozenset(self.manifest.facts.keys) if self.manifest else None

    @property
    def state(self) -> str:
        return self.damage or ("encrypted" if self.encrypted else "whole")


def storage() -> Storage:
    return storages["dbbackup"]


def safe(text: str, also: str = "") -> str:
    return re.sub(rf"[^\w.{also}]", "_", text, flags=re.ASCII)


def file_name(
    database: str, engine: str, created: datetime, *, server: str = "", encrypted: bool
) -> str:
    time = created.strftime(TIME)[:-3] + "Z"
    server = safe(server or socket.gethostname(), also="-")
    return f"{safe(database)}-{server}-{time}.{engine}.zst{'.age' if encrypted else ''}"


def stored(database: str | None = None) -> list[Backup]:
    """The backups of a database, or of all, the newest first; nothing is read but their ends."""
    try:
        _, names = storage().listdir("")
    except FileNotFoundError:
        return []
    found = [backup_of(name, match) for name in names if (match := NAME.fullmatch(name))]
    wanted = [one for one in found if one and (not database or one.database == safe(database))]
    return sorted(wanted, key=lambda one: one.created, reverse=True)


def backup_of(name: str, match: re.Match[str]) -> Backup | None:
    """None if it has gone meanwhile, or its name holds no time."""
    encrypted = bool(match["encrypted"])
    manifest, size, damage = None, 0, ""
    try:
        created = datetime.strptime(match["time"] + "+0000", TIME + "Z%z")
        size = storage().size(name)
        manifest = manifest_beside(name, size) if encrypted else manifest_inside(name)
    except (FileNotFoundError, ValueError):
        return None
    except Refusal as error:
        damage = str(error)
    except OSError as error:
        damage = f"It cannot be read: {error.strerror}."
    if manifest and manifest.damage:
        damage = f"It was made of a damaged database: {manifest.damage}"
    return Backup(
        name, match["database"], match["server"], created, size, encrypted, manifest, damage
    )


def manifest_inside(name: str) -> Manifest | None:
    with storage().open(name) as file:
        return archive.read_manifest(file)


def manifest_beside(name: str, size: int) -> Manifest | None:
    try:
        with storage().open(name + BESIDE) as file:
            beside = json.loads(file.read(archive.LONGEST_MANIFEST))
        manifest = load(json.dumps(beside["manifest"]).encode())
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError, Refusal):
        return None  # what stands beside is an aid; the backup has its own
    if beside.get("file_size") != size:
        raise Damaged(f"It has {size} bytes instead of {beside.get('file_size')}.")
    return manifest


def folder() -> Path | None:
    """The storage's folder; None if it is somewhere else than on this machine's disks."""
    place = storage()
    return Path(place.path("")) if isinstance(place, FileSystemStorage) else None


@contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """A folder in `place` for what is not finished; it goes in any case.

    A killed process leaves one behind, without the lock on it: the next run removes that.
    """
    place.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        with file_lock(place / TRIED):
            for left in place.glob(f"{UNFINISHED}*/"):
                with suppress(BlockingIOError), locked(left):
                    shutil.rmtree(left)
            made = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place))
            stack.callback(shutil.rmtree, made, ignore_errors=True)
            stack.enter_context(locked(made))
        try:
            yield made
        except OSError as error:
            if error.errno not in FULL or error.filename:
                raise
            raise OSError(error.errno, error.strerror, str(place)) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """BlockingIOError if another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def publish(file: Path, name: str, manifest: Manifest, *, encrypted: bool) -> None:
    """Give a finished and proved file its name, in one step where the storage is a folder."""
    refuse_taken(name)
    try:
        if encrypted:
            beside = {"manifest": manifest.as_json(), "file_size": file.stat().st_size}
            storage().delete(name + BESIDE)
            storage().save(name + BESIDE, ContentFile(json.dumps(beside).encode()))
        if place := folder():
            move(file, place / name)
        else:
            with file.open("rb") as content:
                storage().save(name, File(content))
    except BaseException:
        remove(name)
        raise


def refuse_taken(name: str) -> None:
    if storage().exists(name):
        raise DoesNotFit(f"{name} is there already: a backup takes the place of nothing.")


def move(file: Path, place: Path) -> None:
    """To a place on the same disk; whole, and there to stay, or not at all."""
    with file.open("rb") as content:
        os.fsync(content.fileno())
    file.rename(place)
    descriptor = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(name: str) -> None:
    storage().delete(name)
    storage().delete(name + BESIDE)


def clean(database: str, made: str) -> list[str]:
    """Remove the backups of this database that are older than the newest BACKUP_KEEP whole ones.

    Never `made`, which was proved just now; what is damaged is neither counted nor removed.
    """
    whole = [one.name for one in stored(database) if not one.damage]
    surplus = [name for name in whole[settings.BACKUP_KEEP :] if name != made]
    for name in surplus:
        remove(name)
    _, names = storage().listdir("")
    for name in names:
        of = name.removesuffix(BESIDE)
        # Of a backup that was killed before it had its name.
        if of != name and of not in names and of.startswith(f"{safe(database)}-"):
            storage().delete(name)
    return surplus
