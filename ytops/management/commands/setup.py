import secrets
import shutil
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandParser, call_command
from django.db import connection, transaction
from django.db.models import Q

from ytops.db.locks import exclusive, file_lock
from ytops.management.fixtures import load_missing
from ytops.startup import STARTUP

OPERATOR = "operator"


class Command(BaseCommand):
    help = (
        "Bring this installation up to date: folders, migrations, static files, what is missing "
        "of the defaults, and an operator account if there is none. Changes nothing that is there."
    )

    # It makes what other checks look for.
    requires_system_checks = [STARTUP]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="Fill an empty database with the demo fixture."
        )

    def handle(self, *, demo: bool, **options: Any) -> None:
        make_folders()
        with exclusive(connection, "setup"):
            call_command("migrate", verbosity=0, interactive=False)
            collect_static()
            added = load_missing("defaults")
            if added:
                self.stdout.write(f"Loaded {added} defaults.")
            if demo and not apps.get_model("channels_app.Channel").objects.exists():
                load_missing("demo")
                self.stdout.write("Loaded the demo.")
            self.make_operator()

    def make_operator(self) -> None:
        """A superuser, unless there is one, or one that was demoted on purpose."""
        users = get_user_model().objects
        if users.filter(Q(is_superuser=True) | Q(username=OPERATOR)).exists():
            return
        password = secrets.token_urlsafe(12)
        # Told before it counts: a process killed in between must not leave an account behind
        # whose password nobody has seen.
        with transaction.atomic():
            users.create_superuser(OPERATOR, password=password)
            self.stdout.write(
                f'Made the account "{OPERATOR}" with the password {password}\n'
                f"It is shown this once; `manage.py changepassword {OPERATOR}` sets another."
            )
            self.stdout.flush()


def make_folders() -> None:
    settings.VAR_DIR.mkdir(mode=0o700, exist_ok=True)
    settings.BACKUP_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    if connection.vendor == "sqlite":
        Path(connection.settings_dict["NAME"]).parent.mkdir(parents=True, exist_ok=True)


def collect_static() -> None:
    """Several installations may share the folder, as `make run` and `make demo` do."""
    unfinished = settings.VAR_DIR / "static.unfinished"
    with file_lock(settings.VAR_DIR / "static.lock"):
        # A killed run leaves files cut short: they look newer than their source, and a manifest
        # that is no JSON stops even `collectstatic --clear`.
        if unfinished.exists():
            shutil.rmtree(settings.STATIC_ROOT, ignore_errors=True)
        unfinished.touch()
        call_command("collectstatic", verbosity=0, interactive=False)
        unfinished.unlink()
