"""An empty PostgreSQL database that is made, owned, granted and set as another one is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier, Literal

from ytops.backup.refusals import DoesNotFit

# The columns differ between versions.
DATABASE = """
    SELECT pg_database.oid, to_jsonb(pg_database), pg_encoding_to_char(encoding),
           pg_get_userbyid(datdba), spcname
    FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE datname = %s
"""
GRANTS = """
    SELECT privilege_type, is_grantable, CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END
    FROM pg_database, aclexplode(datacl) WHERE pg_database.oid = %s
"""
COMMENT = "SELECT shobj_description(%s, 'pg_database')"
SETTINGS = """
    SELECT CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END, unnest(setconfig)
    FROM pg_db_role_setting WHERE setdatabase = %s
"""
# Their values are lists of quoted names already.
# https://www.postgresql.org/docs/current/sql-alterdatabase.html
LISTS = {"search_path", "session_preload_libraries", "local_preload_libraries", "temp_tablespaces"}


def create_like(server: psycopg.Connection[Any], name: str, new: str) -> None:
    """An empty database of the same kind; DoesNotFit if the role may not."""
    [(_, row, encoding, _, disk)] = server.execute(DATABASE, [name]).fetchall()
    provider = {"i": "icu", "b": "builtin"}.get(row.get("datlocprovider"), "libc")
    options = {"ENCODING": encoding, "LC_COLLATE": row["datcollate"], "LC_CTYPE": row["datctype"]}
    if provider != "libc":
        locale = row.get("datlocale") or row.get("daticulocale")
        options |= {"LOCALE_PROVIDER": provider, f"{provider}_LOCALE": locale}
        if rules := row.get("daticurules"):
            options["ICU_RULES"] = rules
    made = [SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(new))]
    made += [SQL(f"{option} {{}}").format(Literal(value)) for option, value in options.items()]
    if disk != "pg_default":  # which a role may use that may not name it
        made.append(SQL("TABLESPACE {}").format(Identifier(disk)))
    made.append(SQL("CONNECTION LIMIT {}").format(Literal(row["datconnlimit"])))
    with allowed(server, name):
        server.execute(SQL(" ").join(made))
    with server.transaction(force_rollback=True):  # a refusal is told before the work
        set_like(server, name, new)


def set_like(server: psycopg.Connection[Any], name: str, new: str) -> None:
    """The same owner, grants, settings and comment; when it is filled, for it may then be closed
    to writers."""
    [(oid, row, _, owner, _)] = server.execute(DATABASE, [name]).fetchall()
    [(comment,)] = server.execute(COMMENT, [oid]).fetchall()
    of = Identifier(new)
    statements = [SQL("ALTER DATABASE {} OWNER TO {}").format(of, Identifier(owner))]
    if row["datacl"] is not None:
        statements += same_grants(server, oid, new, owner)
    statements += same_settings(server, oid, new)
    statements.append(SQL("COMMENT ON DATABASE {} IS {}").format(of, Literal(comment)))
    with allowed(server, name):
        for statement in statements:
            server.execute(statement)


@contextmanager
def allowed(server: psycopg.Connection[Any], name: str) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        role = server.info.user
        raise DoesNotFit(
            f"A restore makes a database like {name}, which the role {role} may not: {error}. A "
            f'superuser of the server can say ALTER ROLE "{role}" CREATEDB, make it the owner, and '
            "GRANT SET ON PARAMETER where it is a setting that is named."
        ) from None


def same_grants(server: psycopg.Connection[Any], oid: int, new: str, owner: str) -> list[Composed]:
    """None to begin with: what a new database grants by itself is taken away."""
    revoke = SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC, {}")
    statements = [revoke.format(Identifier(new), Identifier(owner))]
    for privilege, grantable, role in server.execute(GRANTS, [oid]).fetchall():
        to = Identifier(role) if role else SQL("PUBLIC")
        statement = SQL(f"GRANT {privilege} ON DATABASE {{}} TO {{}}").format(Identifier(new), to)
        statements.append(statement + SQL(" WITH GRANT OPTION" if grantable else ""))
    return statements


def same_settings(server: psycopg.Connection[Any], oid: int, new: str) -> list[Composed]:
    statements = []
    for role, setting in server.execute(SETTINGS, [oid]).fetchall():
        name, _, value = setting.partition("=")
        at = SQL("DATABASE {}").format(Identifier(new))
        if role:
            at = SQL("ROLE {} IN ").format(Identifier(role)) + at
        shown = SQL(value) if name in LISTS else Literal(value)
        statements.append(SQL("ALTER {} SET {} TO {}").format(at, Identifier(name), shown))
    return statements
