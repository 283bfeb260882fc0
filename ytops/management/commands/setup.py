import secrets
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandParser, call_command
from django.db import connection

from ytops.db.locks import exclusive
from ytops.management.fixtures import load_missing

OPERATOR = "operator"


class Command(BaseCommand):
    help = (
        "Bring this installation up to date: folders, migrations, static files, what is missing "
        "of the defaults, and an operator account if there is none. Changes nothing that is there."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="Fill an empty database with the demo fixture."
        )

    def handle(self, *, demo: bool, verbosity: int, **options: Any) -> None:
        make_folders()
        with exclusive(connection, "setup"):
            call_command("migrate", verbosity=0, interactive=False)
            call_command("collectstatic", verbosity=0, interactive=False)
            added = load_missing("defaults")
            if added:
                self.stdout.write(f"Loaded {added} defaults.")
            if demo and not apps.get_model("channels_app.Channel").objects.exists():
                call_command("loaddata", "demo", verbosity=0)
                self.stdout.write("Loaded the demo.")
            if password := make_operator():
                self.stdout.write(
                    f"Made the account “{OPERATOR}” with the password {password}\n"
                    "It is shown this once; `manage.py changepassword operator` sets another."
                )


def make_folders() -> None:
    settings.VAR_DIR.mkdir(mode=0o700, exist_ok=True)
    if connection.vendor == "sqlite":
        Path(connection.settings_dict["NAME"]).parent.mkdir(parents=True, exist_ok=True)


def make_operator() -> str | None:
    """The password of a new superuser, or None if there is a superuser already."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(OPERATOR, password=password)
    return password
