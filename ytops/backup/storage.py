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
    r"(?P<database>[\w.]+)-(?P<server>[\w.-]+)-(?P<time>\d{8}T\d{6}\.\d{3}Z)"
    r"\.(?P<engine>sqlite3|pgdump)\.zst(?P<encrypted>\.age)?",
    re.ASCII,
)
TIME = "%Y%m%dT%H%M%S.%f"
# The manifest of an encrypted backup, once more and readable, with what the file was like.
BESIDE = ".manifest"
UNFINISHED = ".unfinished-ytops-"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRIED = f"{UNFINISHED}lock"


@dataclass(frozen=True)
class Name:
    name: str
    database: str
    server: str
    created: datetime
    encrypted: bool

    @property
    def of_the_future(self) -> bool:
        return self.created > timezone.now() + timedelta(hours=1)


@dataclass(frozen=True)
class Backup(Name):
    size: int  # bytes
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
    end = ".age" if encrypted else ""
    return f"{safe(database)}-{server_name(server)}-{time}.{engine}.zst{end}"


def server_name(given: str = "") -> str:
    """As it stands in a backup's name."""
    return safe(given or settings.BACKUP_SERVER or socket.gethostname(), also="-")


def listed(database: str | None = None) -> list[Name]:
    """The names of the backups of a database, or of all, the newest first.

    Those of the future are the last: a clock was wrong, and they would be the newest for ever.
    """
    try:
        _, names = storage().listdir("")
    except FileNotFoundError:
        return []
    place = folder()
    found = [
        Name(name, match["database"], match["server"], created, bool(match["encrypted"]))
        for name in names
        if (match := NAME.fullmatch(name))
        and (created := time_of(match["time"]))
        and (not database or match["database"] == safe(database))
        and (not place or (place / name).is_file())  # and no pipe that would be waited for
    ]
    return sorted(found, key=lambda one: (not one.of_the_future, one.created), reverse=True)


def time_of(text: str) -> datetime | None:
    try:
        return datetime.strptime(text + "+0000", TIME + "Z%z")
    except ValueError:
        return None


def stored(database: str | None = None) -> list[Backup]:
    """As `listed`, with what stands at the ends of the files."""
    return [backup for name in listed(database) if (backup := look_at(name))]


def look_at(name: Name) -> Backup | None:
    """None if it has gone meanwhile."""
    manifest, size, damage = None, 0, ""
    try:
        size = storage().size(name.name)
        if name.encrypted:
            manifest = manifest_beside(name.name, size)
        else:
            manifest = manifest_inside(name.name)
    except FileNotFoundError:
        return None
    except Refusal as error:
        damage = str(error)
    except OSError as error:
        damage = f"It cannot be read: {error.strerror}."
    if manifest and manifest.damage:
        damage = f"It was made of a damaged database: {manifest.damage}"
    if not damage and name.of_the_future:
        damage = "Its time is in the future: a clock was wrong."
    return Backup(**vars(name), size=size, manifest=manifest, damage=damage)


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
    for left in place.glob(f"{UNFINISHED}*/"):
        with suppress(OSError), locked(left):
            shutil.rmtree(left)
    with ExitStack() as stack:
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
def shared_workplace() -> Iterator[Path]:
    """That of the storage, made and tidied by one process at a time."""
    place = folder() or settings.BACKUP_DIR
    place.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        with file_lock(place / TRIED):
            made = stack.enter_context(workplace(place))
        yield made


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """BlockingIOError if another has it. Of a file in it: NFS locks no folders."""
    if folder.is_symlink():
        raise NotADirectoryError(folder)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
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


def clean(database: str, server: str, made: str) -> list[str]:
    """Remove what is older than the newest BACKUP_KEEP whole backups of a database and a server.

    Never `made`, which was proved just now; what is damaged is neither counted nor removed.
    """
    whole = [one for one in stored(database) if one.server == server and not one.damage]
    surplus = [one.name for one in whole[settings.BACKUP_KEEP :] if one.name != made]
    for name in surplus:
        remove(name)
    _, names = storage().listdir("")
    for name in names:
        of = name.removesuffix(BESIDE)
        match = NAME.fullmatch(of) if of != name and of not in names else None
        # Of a backup that was killed before it had its name.
        if match and (match["database"], match["server"]) == (safe(database), server):
            storage().delete(name)
    return surplus
