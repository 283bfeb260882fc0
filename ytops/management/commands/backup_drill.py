from typing import Any

from django.core.management import CommandParser
from django.db import DEFAULT_DB_ALIAS

from ytops.backup.restoring import proved
from ytops.management.backups import EXIT_CODES, BackupCommand, described, newest


class Command(BackupCommand):
    help = (
        "Restore the newest backup into a scratch database and compare it with its manifest; "
        "fails if it would not come back. " + EXIT_CODES
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("-s", "--servername", help="The newest of this server.")

    def handle(
        self, *, database: str | None, servername: str | None, quiet: bool, **options: Any
    ) -> None:
        with self.at(database or DEFAULT_DB_ALIAS, quiet=quiet) as (engine, progress):
            name = newest(engine, servername)
            with proved(engine, name, progress) as (manifest, _):
                progress.end()
                self.say(f"{name} comes back: {described(manifest)}.")
