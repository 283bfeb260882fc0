import shlex
from argparse import ArgumentTypeError
from typing import Any

from dbbackup.signals import post_restore, pre_restore
from django.conf import settings
from django.core.management import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations.loader import MigrationLoader

from ytops.backup import storage
from ytops.backup.manifest import Manifest
from ytops.backup.refusals import NotConfirmed
from ytops.backup.restoring import proved, restore
from ytops.management.backups import EXIT_CODES, BackupCommand, described, newest, refuse
from ytops.management.speaking import USAGE

WHOLE = "a restore puts the whole database back, and keeps what was there beside it."
KEYS_ALONE = (
    "backups are encrypted to keys: BACKUP_IDENTITY_FILE names the file with the private one."
)
# The same under their short names; what they leave out is not in what the manifest counts.
PG_OPTIONS = (
    *("-O", "--no-owner", "-x", "--no-privileges", "--no-acl", "--no-comments"),
    *("--no-publications", "--no-security-labels", "--no-subscriptions", "--no-tablespaces"),
)


class Command(BackupCommand):
    help = (
        "Restore a backup, the newest unless one is named: prove it beside the database, keep "
        "what is there, put it in its place in one step. " + EXIT_CODES
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "-i", "--input-filename", metavar="NAME", help="As listbackups shows it."
        )
        source.add_argument("-I", "--input-path", metavar="PATH", help="A file.")
        parser.add_argument("-s", "--servername", help="The newest of this server.")
        parser.add_argument("--dry-run", action="store_true", help="Prove it and change nothing.")
        parser.add_argument("--noinput", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--pg-options",
            default=[],
            type=pg_options,
            help=f"More options for pg_restore: any of {', '.join(PG_OPTIONS)}.",
        )
        parser.add_argument("-c", "--decrypt", action="store_true", help="It is, if need be.")
        parser.add_argument("-z", "--uncompress", action="store_true", help="It always is.")
        parser.add_argument("-p", "--passphrase", help="Refused: " + KEYS_ALONE)
        parser.add_argument("-n", "--schema", action="append", help="Refused: " + WHOLE)
        parser.add_argument("-r", "--no-drop", action="store_true", help="Refused: " + WHOLE)

    def handle(self, **options: Any) -> None:
        refuse(options, passphrase=KEYS_ALONE, schema=WHOLE, no_drop=WHOLE)
        for given in ("input_filename", "input_path"):
            if options[given] == "":  # a variable of the shell that is not set
                option = given.replace("_", "-")
                raise CommandError(f"--{option}: it is empty.", returncode=USAGE)
        alias = options["database"] or DEFAULT_DB_ALIAS
        with self.at(alias, quiet=options["quiet"]) as (engine, progress):
            name = options["input_filename"] or path_of(options["input_path"])
            name = name or newest(engine, options["servername"])
            if options["dry_run"]:
                with proved(engine, name, progress, options["pg_options"]) as (manifest, _):
                    progress.end()
                    self.say(f"{name} would come back: {described(manifest)}. Nothing is changed.")
                return

            def confirm(manifest: Manifest) -> None:
                progress.end()
                made = f"{manifest.created:%Y-%m-%d %H:%M} UTC"
                self.say(f"{name} is whole: {described(manifest)}, of {made}.")
                if not options["noinput"]:
                    ask(f"Put it in the place of {engine.database}, which is kept? [y/N] ")
                self.manifest = manifest

            known = {
                "sender": type(self),
                "database": settings.DATABASES[alias],
                "database_name": alias,
                "filename": name,
                "servername": options["servername"],
                "storage": storage.storage(),
            }
            pre_restore.send(**known)
            back = restore(
                engine,
                name,
                progress,
                confirm,
                server=options["servername"] or "",
                options=options["pg_options"],
            )
            progress.end()
            self.say(f"Restored {engine.database} from {name}. {back}")
            if pending := migrations_after(self.manifest):
                less = f"{pending} migration{'s' if pending > 1 else ''} less"
                self.say(f"It has {less} than this code: run manage.py setup.")
            post_restore.send(**known, connector=engine)


def pg_options(text: str) -> list[str]:
    """Only such as leave something out: others could lead pg_restore to another database."""
    try:
        options = shlex.split(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error}: {text}") from None
    for option in options:
        if option not in PG_OPTIONS:
            raise ArgumentTypeError(f"{option!r}: expected any of {', '.join(PG_OPTIONS)}")
    return options


def path_of(given: str | None) -> str | None:
    return f"./{given}" if given and "/" not in given else given


def ask(question: str) -> None:
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise NotConfirmed("Not confirmed: nothing is changed.")


def migrations_after(manifest: Manifest) -> int:
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations.keys()
    there = {(app, name) for app, names in manifest.facts.migrations.items() for name in names}
    return len(known - there)
