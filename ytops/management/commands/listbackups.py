from typing import Any

from django.core.management import CommandParser
from django.utils.timesince import timesince

from ytops.backup.storage import Backup, stored
from ytops.management.backups import size_of
from ytops.management.speaking import SpeakingCommand

HEAD = ("name", "age", "size", "rows", "state")


class Command(SpeakingCommand):
    help = "The backups, the newest first; `backup_drill` proves one to the last byte."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-d", "--database", metavar="NAME", help="As it begins a backup's name."
        )
        encrypted = parser.add_mutually_exclusive_group()
        for flags, value, words in (
            (("-e", "--encrypted"), True, "Only encrypted ones."),
            (("-E", "--not-encrypted"), False, "None that is encrypted."),
        ):
            encrypted.add_argument(
                *flags, dest="encrypted", action="store_const", const=value, help=words
            )
        parser.add_argument("-q", "--quiet", action="store_true", help="Without a head.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(
        self,
        *,
        database: str | None,
        encrypted: bool | None,
        quiet: bool,
        format: str,
        **options: Any,
    ) -> None:
        found = [one for one in stored(database) if encrypted in (None, one.encrypted)]
        if format == "json":
            self.print_json([as_dict(one) for one in found])
        else:
            head = () if quiet or not found else (HEAD,)
            self.print_columns([*head, *map(row_of, found)])


def as_dict(backup: Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "database": backup.database,
        "created": backup.created.isoformat(),
        "size": backup.size,
        "rows": backup.manifest and backup.manifest.facts.total_rows,
        "state": backup.state,
        "manifest": backup.manifest and backup.manifest.as_json(),
    }


def row_of(backup: Backup) -> tuple[str, ...]:
    rows = f"{backup.manifest.facts.total_rows:,}" if backup.manifest else "not known"
    age = timesince(backup.created, depth=1).replace("\xa0", " ")
    return backup.name, age, size_of(backup.size), rows, backup.state
