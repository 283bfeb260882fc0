from typing import Any

from django.core.management.commands import migrate
from django.db import transaction
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor


class WholeOrNotAtAll(MigrationExecutor):
    """Applies a migration and records it in one transaction.

    Django records one that sets up foreign keys or indexes last in a transaction of its own: a
    process killed in between leaves tables that every later migrate stumbles over.
    """

    def apply_migration(self, state: Any, migration: Migration, *args: Any, **options: Any) -> Any:
        if not migration.atomic:
            return super().apply_migration(state, migration, *args, **options)
        alias = self.connection.alias
        # SQLite changes tables with its foreign keys off, which no transaction can switch.
        with self.connection.constraint_checks_disabled(), transaction.atomic(alias):
            return super().apply_migration(state, migration, *args, **options)

    def unapply_migration(
        self, state: Any, migration: Migration, *args: Any, **options: Any
    ) -> Any:
        if not migration.atomic:
            return super().unapply_migration(state, migration, *args, **options)
        alias = self.connection.alias
        with self.connection.constraint_checks_disabled(), transaction.atomic(alias):
            return super().unapply_migration(state, migration, *args, **options)


migrate.MigrationExecutor = WholeOrNotAtAll  # type: ignore[attr-defined]


class Command(migrate.Command):
    pass
