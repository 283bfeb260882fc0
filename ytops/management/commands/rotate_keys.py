import secrets
from collections.abc import Sequence
from typing import Any

from django.core.management import CommandError, CommandParser

from ytops.backup.storage import Backup, folder, stored
from ytops.db import rotation
from ytops.db.rotation import Found, Rows
from ytops.management.progress import Progress
from ytops.management.speaking import SpeakingCommand

UNLISTED, UNREADABLE, BUSY = 1, 3, 5
KEEP = "Keep {}, elsewhere, as long as one of them is to be restored."


class Seen:
    """Each pass looks at every secret."""

    def __init__(self, passes: int) -> None:
        self.progress, self.done = Progress(), 0
        self.total = passes * rotation.count() if self.progress.shown else 0

    def __call__(self, rows: int) -> None:
        self.done += rows
        self.progress("Secrets", min(self.done, self.total), self.total)


class Command(SpeakingCommand):
    help = (
        "Bring every secret under the newest key, the first of FERNET_KEYS, while the site runs, "
        "and tell what still needs the older ones. Ended half way, it goes on at its next run. "
        "Exit codes: 0 done; 1 failed; 2 usage; 3 no key of FERNET_KEYS opens some of the secrets, "
        "the others are done; 5 somebody held some of the rows, or wrote under an older key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--dry-run", action="store_true", help="Tell, and change nothing.")
        only.add_argument("--generate", action="store_true", help="Print a new key, and no more.")

    def handle(self, *, dry_run: bool, generate: bool, **options: Any) -> None:
        if generate:
            self.print_key()
            return
        seen = Seen(passes=1 if dry_run else 2)
        written, found = (0, rotation.survey(seen)) if dry_run else rotation.rotate(seen)
        seen.progress.end()
        left, lost = rotation.behind(found), found[None].count
        if dry_run:
            self.stdout.write(f"Nothing is changed. To be rotated: {counted(left)}.")
        else:
            self.stdout.write(f"Rotated: {counted(written)}.")
        self.report_rows(found)
        why_unlisted = self.report_backups(found)
        problems: dict[int, str] = {}  # by exit code; all are told, and the first gives it
        if lost:
            problems[UNREADABLE] = (
                f"No key of FERNET_KEYS opens {counted(lost)}, named on standard output: put the "
                "key back that does, or enter them anew."
            )
        if left and not dry_run:
            problems[BUSY] = (
                f"An older key still holds {counted(left)}, named on standard output: somebody has "
                "these rows locked, or writes with the older FERNET_KEYS. Restart all that uses "
                "the database, with the new key in front, and run this again."
            )
        if why_unlisted:
            problems[UNLISTED] = why_unlisted
        if problems:
            raise CommandError(" ".join(problems.values()), returncode=next(iter(problems)))

    def print_key(self) -> None:
        self.stdout.write(secrets.token_urlsafe(48))
        self.stderr.write(
            "Put it in front of FERNET_KEYS, with a comma behind it, and keep a copy where the "
            "database is not. Restart all that uses the database; then: manage.py rotate_keys",
            str,
        )

    def report_rows(self, found: Found) -> None:
        newest, *older = [name for name in found if name is not None]
        self.stdout.write(f"Key {newest}, the newest, opens {counted(found[newest].count)}.")
        for name in older:
            if found[name].count:
                self.stdout.write(f"Key {name} is needed, for {counted(found[name].count)}:")
                self.print_places(found[name])
            else:
                self.stdout.write(
                    f"Nothing in the database needs key {name}: it can be taken out of FERNET_KEYS "
                    "here, unless it is a new one that is yet to come in front."
                )
        if not older:
            self.stdout.write(
                "FERNET_KEYS has no older key. A new one to put in front: "
                "manage.py rotate_keys --generate"
            )
        if found[None].count:
            self.stdout.write(f"No key of FERNET_KEYS opens {counted(found[None].count)}:")
            self.print_places(found[None])

    def report_backups(self, found: Found) -> str:
        """Why they cannot be listed; "" if they can."""
        try:
            backups = stored()
            place = folder()
        except Exception as error:  # whatever the library of another storage raises
            why = " ".join(str(error).split())
            return f"The backups cannot be listed, to tell which keys they need: {why}"
        if place and not place.is_dir():
            self.stdout.write(
                f"The folder of backups, {place}, is missing: which keys they need is not known. "
                "Keep every older key, elsewhere."
            )
        _, *older = [name for name in found if name is not None]
        for name in older:
            needing = [backup for backup in backups if name in (backup.keys or ())]
            self.print_backups(f"These backups need key {name}", needing, KEEP.format("it"))
        if older:
            silent = [backup for backup in backups if backup.keys is None]
            keep = KEEP.format("every older key")
            self.print_backups("These backups do not tell which keys they need", silent, keep)
        foreign = [backup for backup in backups if (backup.keys or set()) - found.keys()]
        self.print_backups("These backups need a key that is not in FERNET_KEYS", foreign)
        return ""

    def print_places(self, rows: Rows) -> None:
        for place in rows.places:
            self.stdout.write(f"  {place}")
        if more := rows.count - len(rows.places):
            self.stdout.write(f"  and {more:,} more")

    def print_backups(self, what: str, backups: Sequence[Backup], then: str = "") -> None:
        if backups:
            names = ", ".join(backup.name for backup in backups)
            self.stdout.write(f"{what}: {names}. {then}".rstrip())


def counted(number: int) -> str:
    return f"{number:,} secret{'' if number == 1 else 's'}"
