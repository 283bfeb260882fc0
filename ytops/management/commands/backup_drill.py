from typing import Any

from django.db import DEFAULT_DB_ALIAS

from ytops.backup.restoring import proved
from ytops.management.backups import EXIT_CODES, BackupCommand, described, newest


class Command(BackupCommand):
    help = (
        "Restore the newest backup into a scratch database and compare it with its manifest; "
        "fails if it would not come back. " + EXIT_CODES
    )

    def handle(self, *, database: str | None, quiet: bool, **options: Any) -> None:
        with self.at(database or DEFAULT_DB_ALIAS, quiet=quiet) as (engine, progress):
            backup = newest(engine)
            with proved(engine, backup.name, progress) as (manifest, _):
                progress.end()
                self.say(f"{backup.name} comes back: {described(manifest)}.")
