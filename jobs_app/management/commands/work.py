from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DataError, IntegrityError

from jobs_app import handlers
from jobs_app.management import arguments
from jobs_app.states import JobKind
from jobs_app.worker import Worker, described
from settings_app.static_layers import valid_static_layers
from ytops.startup import STARTUP


class Command(BaseCommand):
    help = (
        "Be a worker: claim jobs, run the handlers that the modules of JOB_HANDLERS register, keep "
        "the leases, and take back what silent workers have. SIGTERM or Ctrl-C lets it finish its "
        "job and ends it; a second one gives the job back. Exit codes: 0 done; 1 refused, wrong, "
        "or stopped by a second signal; 2 usage."
    )
    requires_system_checks = [STARTUP]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--kind",
            choices=JobKind.values,
            action="append",
            help="Of this kind; repeatable. Default: each that has a handler.",
        )
        parser.add_argument(
            "--once", action="store_true", help="One job, or none if none is due; then end."
        )

    def handle(self, *, kind: list[str] | None, once: bool, **options: Any) -> None:
        valid_static_layers()
        handlers.load()
        known = handlers.registered()
        names = ", ".join(sorted(known)) or "none"
        if missing := set(kind or []) - set(known):
            what = " and ".join(sorted(missing))
            raise CommandError(f"There is no handler for {what}. Registered: {names}.")
        if not known:
            raise CommandError(
                "No handler is registered: JOB_HANDLERS names the modules that have them, such as "
                "jobs_app.demo."
            )
        worker = Worker(arguments.host_and_pid(), kind or sorted(known))
        try:
            worker.run(once=once)
        except (DataError, IntegrityError) as error:
            raise CommandError(f"No job could be claimed: {described(error)}") from None
        if worker.hurried:
            raise CommandError("Stopped by a second signal.")
