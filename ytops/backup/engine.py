"""What a backup and a restore ask of a database."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from ytops.backup.archive import Readable, Writable
from ytops.backup.manifest import Facts

# (what is being done, how much of it, of how much, where that is known)
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Snapshot:
    payload: Readable
    size: int | None  # bytes, where known before
    facts: Callable[[], Facts]  # waits until they are known
    damage: str = ""


def database_name(connection: BaseDatabaseWrapper) -> str:
    """For people; of SQLite the file's name without its ending."""
    name = str(connection.settings_dict["NAME"])
    return Path(name).stem if connection.vendor == "sqlite" else name


class Engine(Protocol):
    name: str  # in a manifest
    extension: str  # of a backup's name
    database: str  # a name for people
    version: str

    def lock(self) -> AbstractContextManager[None]:
        """One backup or restore of a database at a time; BlockingIOError if there is one."""

    def snapshot(
        self, work: Path, progress: Progress, *, sound: bool = True
    ) -> AbstractContextManager[Snapshot]:
        """The database as it is at one moment."""

    def read_through(self, work: Path) -> AbstractContextManager[Writable]:
        """Takes a payload; Damaged at the end if the engine's own tool cannot read it."""

    def scratch(
        self, payload: Path, work: Path, options: Sequence[str]
    ) -> AbstractContextManager[Facts]:
        """Restore the payload beside the database; what is in it then."""

    def swap(self, payload: Path, keep: Callable[[], str], progress: Progress) -> str:
        """Put what was restored in the place of the database in one step; how to go back."""
