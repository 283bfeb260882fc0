"""The two databases of a move, opened beside the one of DATABASE_URL; each fits, or is refused."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

from ytops.backup.refusals import Busy, DoesNotFit
from ytops.moving.tables import tables

SOURCE, TARGET = "copydb_from", "copydb_to"
RECORD = MigrationRecorder.Migration._meta.db_table
# They would end a long COPY, or the wait for its proof.
TIMEOUTS = (
    *("statement_timeout", "transaction_timeout"),
    *("idle_session_timeout", "idle_in_transaction_session_timeout"),
)
LONGEST_WAIT = "10s"  # for a table that somebody else reads


@contextmanager
def registered(alias: str, config: dict[str, Any]) -> Iterator[BaseDatabaseWrapper]:
    """A connection beside those of the settings, for so long."""
    connections.settings[alias] = connections.configure_settings(
        {DEFAULT_DB_ALIAS: {}, alias: config}
    )[alias]
    try:
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


class Source:
    """A SQLite file, read in one transaction: as it was when that began."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.file = connection.settings_dict["NAME"]
        connection.ensure_connection()
        self.driver: Any = connection.connection
        self.driver.execute("BEGIN")
        self.driver.execute("SELECT 1 FROM sqlite_master").fetchone()
        self.version = self._version()

    def rows(self, statement: str, *parameters: Any, text: Any = str) -> Any:
        """A cursor. What reads the file before it was checked has text as `Text`."""
        self.driver.text_factory = text
        return self.driver.execute(statement, parameters)

    def value(self, statement: str, *parameters: Any) -> Any:
        return self.rows(statement, *parameters).fetchone()[0]

    def has(self, table: str) -> bool:
        return bool(self.value("SELECT count(*) FROM sqlite_master WHERE name = ?", table))

    def count(self, table: str) -> int:
        name = table.replace('"', '""')
        return int(self.value(f'SELECT count(*) FROM "{name}"'))

    def others(self) -> dict[str, int | None]:
        """Rows of tables that no model has, such as those of an app that is not installed any more.

        None for one that SQLite cannot read, such as a virtual one without its module.
        """
        ours = {RECORD, *(table.label for table in tables())}
        names = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found: dict[str, int | None] = {}
        for (name,) in names:
            if name not in ours and not name.startswith("sqlite_"):
                found[name] = None
                with contextlib.suppress(sqlite3.Error):
                    found[name] = self.count(name)
        return found

    def refuse_if_written(self) -> None:
        """Busy, if anybody has committed since the transaction began. It ends here."""
        self.driver.execute("COMMIT")
        if self._version() != self.version:
            raise Busy(
                "somebody wrote into the source meanwhile: stop whatever uses it (the site, the "
                "workers, cron) and run this again; the target is empty"
            )

    def _version(self) -> Any:
        return self.driver.execute("PRAGMA data_version").fetchone()


@contextmanager
def opened_source(config: dict[str, Any]) -> Iterator[Source]:
    file = Path(config["NAME"])
    if not file.is_file():
        raise DoesNotFit(f"there is no file {file}")
    own = {
        "ENGINE": config["ENGINE"],
        "NAME": f"{file.absolute().as_uri()}?mode=ro",
        # Values as they are in the file, which need not be what their column says.
        "OPTIONS": {"timeout": config["OPTIONS"]["timeout"], "detect_types": 0},
    }
    with registered(SOURCE, own) as connection:
        source = Source(connection)
        if (encoding := source.value("PRAGMA encoding")) != "UTF-8":
            raise DoesNotFit(f"{file} keeps text as {encoding}: expected UTF-8")
        refuse_other_schema(source, file)
        yield source


def refuse_other_schema(source: Source, file: Path) -> None:
    executor = MigrationExecutor(source.connection)
    refuse_newer(executor, f"{file}")
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        first = plan[0][0]
        raise DoesNotFit(
            f"{file} has {len(plan)} migrations to apply, {first.app_label}.{first.name} first: "
            f"run `DATABASE_URL=sqlite:///{file} manage.py migrate`"
        )
    for table in tables():
        there = {row[1] for row in source.rows(f"PRAGMA table_info({table.name})")}
        expected = {column.label for column in table.columns}
        if there != expected:
            raise DoesNotFit(
                f"{file}: the columns of {table.label} are not those of its migrations: "
                f"{', '.join(sorted(there ^ expected))}"
            )


def refuse_newer(executor: MigrationExecutor, what: str) -> None:
    loader = executor.loader
    unknown = [
        f"{app}.{name}"
        for app, name in loader.applied_migrations
        if app in loader.migrated_apps and (app, name) not in loader.disk_migrations
    ]
    if unknown:
        raise DoesNotFit(
            f"{what} is newer than this code, which does not know {', '.join(sorted(unknown))}"
        )


@contextmanager
def opened_target(config: dict[str, Any], shown: str) -> Iterator[BaseDatabaseWrapper]:
    """A PostgreSQL without rows of its own, held against another copydb."""
    # One session, whose errors are its own and not those of a pool.
    options = {name: value for name, value in config["OPTIONS"].items() if name != "pool"}
    with registered(TARGET, {**config, "OPTIONS": options}) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s)",
                [list(TIMEOUTS)],
            )
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LONGEST_WAIT])
            cursor.execute("SET datestyle = ISO")
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
            # So that the server gives up soon after we were killed; not every system can tell it.
            cursor.execute("SET client_connection_check_interval = '1s'")
        refuse_unfit(connection, shown)
        with connection.cursor() as cursor:
            # Held until the session ends.
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [crc32(b"copydb")])
            if cursor.fetchone() == (False,):
                raise Busy(f"another copydb works on {shown}, or one that was just killed")
        refuse_rows(connection, shown)
        yield connection


def refuse_unfit(connection: BaseDatabaseWrapper, shown: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_encoding'), current_setting('transaction_read_only'), "
            "current_schema(), has_schema_privilege(current_schema(), 'CREATE'), current_user"
        )
        encoding, read_only, schema, may_create, user = cursor.fetchone()
    if encoding != "UTF8":
        raise DoesNotFit(f"{shown} keeps text as {encoding}: expected UTF8")
    if read_only == "on":
        raise DoesNotFit(f"{shown} can only be read: is it a standby?")
    if not may_create:
        raise DoesNotFit(
            f"{user} may not make tables in {shown}: make {user} its owner, or "
            f"GRANT CREATE ON SCHEMA {schema or 'public'} TO {user}"
        )
    refuse_newer(MigrationExecutor(connection), shown)


def refuse_rows(connection: BaseDatabaseWrapper, shown: str) -> None:
    """DoesNotFit, if the target has rows that `migrate` did not make."""
    models = {table.label: table.model for table in tables()}
    found = []
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    for name in sorted(set(names) - {RECORD}):
        manager: Any = models[name]._default_manager if name in models else None
        if name in (ContentType._meta.db_table, Permission._meta.db_table):
            count = undeclared(connection, models[name])
        elif hasattr(manager, "beyond_migrate"):
            count = manager.using(connection.alias).beyond_migrate().count()
        else:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(name)}")
                (count,) = cursor.fetchone()
        if count:
            found.append(f"{name} {count:,}")
    if found:
        raise DoesNotFit(
            f"{shown} is not empty, and what is there would be lost: {', '.join(found)}. "
            "Name an empty database; not even `setup` may have run there"
        )


def undeclared(connection: BaseDatabaseWrapper, model: type[Model]) -> int:
    """How many content types or permissions are there that `migrate` makes for no model of ours."""
    declared: set[tuple[str | None, ...]] = set()
    for ours in apps.get_models():
        meta = ours._meta
        kind = (meta.app_label, meta.model_name)
        actions = [get_permission_codename(action, meta) for action in meta.default_permissions]
        names = [*actions, *(codename for codename, _ in meta.permissions)]
        declared |= {kind, *((*kind, name) for name in names)}
    columns = ["app_label", "model"]
    if model is Permission:
        columns = ["content_type__app_label", "content_type__model", "codename"]
    rows = model._base_manager.using(connection.alias).values_list(*columns)
    return sum(row not in declared for row in rows)
