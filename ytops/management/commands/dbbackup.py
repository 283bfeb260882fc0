import re
from pathlib import Path
from typing import Any

from dbbackup.signals import post_backup, pre_backup
from django.conf import settings
from django.core.management import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from ytops.backup import storage
from ytops.backup.making import make_backup, make_backup_at
from ytops.management.backups import (
    EXIT_CODES,
    BackupCommand,
    described,
    refuse,
    refuse_unknown,
    size_of,
)
from ytops.management.speaking import USAGE

PARTIAL = "a backup of a part could not be restored: a restore puts the whole database back."


class Command(BackupCommand):
    help = (
        "Back up the database: consistent while it is written, compressed, encrypted to "
        "BACKUP_RECIPIENTS if there are any, and proved before it gets its name. " + EXIT_CODES
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "-c",
            "--clean",
            action="store_true",
            help="Then remove those of this server that are older than its newest BACKUP_KEEP.",
        )
        parser.add_argument(
            "-s",
            "--servername",
            default="",
            help="The server in its name; this host if not given.",
        )
        parser.add_argument("-z", "--compress", action="store_true", help="It always is.")
        parser.add_argument(
            "-e", "--encrypt", action="store_true", help="Refuse if there are no BACKUP_RECIPIENTS."
        )
        target = parser.add_mutually_exclusive_group()
        target.add_argument(
            "-o",
            "--output-filename",
            metavar="NAME",
            default="",
            help="A name of your own in the storage; it is then neither listed nor cleaned.",
        )
        target.add_argument(
            "-O", "--output-path", metavar="PATH", help="A file that is not in the storage."
        )
        parser.add_argument("-x", "--exclude-tables", help="Refused: " + PARTIAL)
        parser.add_argument("-n", "--schema", action="append", help="Refused: " + PARTIAL)
        parser.add_argument("--noinput", action="store_true", help="It never asks.")

    def handle(self, **options: Any) -> None:
        refuse(options, exclude_tables=PARTIAL, schema=PARTIAL)
        if options["encrypt"] and not settings.BACKUP_RECIPIENTS:
            raise CommandError("--encrypt: BACKUP_RECIPIENTS is not set.", returncode=USAGE)
        own = options["output_filename"]
        if own and not re.fullmatch(r"\w[\w.-]*", own):
            raise CommandError(
                f"--output-filename: {own!r} is no plain name; -O takes a path.", returncode=USAGE
            )
        if storage.NAME.fullmatch(own):
            raise CommandError(
                f"--output-filename: {own!r} has the form of the names that ytops gives by itself.",
                returncode=USAGE,
            )
        aliases = [one.strip() for one in (options["database"] or DEFAULT_DB_ALIAS).split(",")]
        refuse_unknown(*aliases)
        for alias in aliases:
            self.back_up(alias, **options)

    def back_up(self, alias: str, **options: Any) -> None:
        server, path = options["servername"], options["output_path"]
        with self.at(alias, quiet=options["quiet"]) as (engine, progress):
            known = {"sender": type(self), "connector": engine, "servername": server}
            known["database"] = settings.DATABASES[alias]
            pre_backup.send(**known)
            if path:
                name, manifest = path, make_backup_at(engine, progress, Path(path))
                size = Path(path).stat().st_size
            else:
                own = options["output_filename"]
                name, manifest = make_backup(engine, progress, name=own, server=server)
                size = storage.storage().size(name)
            progress.end()
            to = len(settings.BACKUP_RECIPIENTS)
            encrypted = f", encrypted to {to} key{'s' if to > 1 else ''}" if to else ""
            self.say(f"{name}: {size_of(size)}, {described(manifest)}, proved{encrypted}.")
            if options["clean"]:
                for gone in storage.clean(engine.database, storage.server_name(server), name):
                    self.say(f"Removed {gone}.")
            post_backup.send(**known, filename=name, storage=storage.storage())
