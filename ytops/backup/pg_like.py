"""An empty PostgreSQL database that is made, owned, granted and set as another one is."""

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
SETTINGS = """
    SELECT CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END, unnest(setconfig)
    FROM pg_db_role_setting WHERE setdatabase = %s
"""
# Their values are lists of quoted names already.
# https://www.postgresql.org/docs/current/sql-alterdatabase.html
LISTS = {"search_path", "session_preload_libraries", "local_preload_libraries", "temp_tablespaces"}


def create_like(server: psycopg.Connection[Any], name: str, new: str) -> None:
    """DoesNotFit if the role may not."""
    [(oid, row, encoding, owner, disk)] = server.execute(DATABASE, [name]).fetchall()
    provider = {"i": "icu", "b": "builtin"}.get(row["datlocprovider"], "libc")
    options = {"ENCODING": encoding, "LC_COLLATE": row["datcollate"], "LC_CTYPE": row["datctype"]}
    if provider != "libc":
        locale = row.get("datlocale") or row.get("daticulocale")
        options |= {"LOCALE_PROVIDER": provider, f"{provider}_LOCALE": locale}
    made = [SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(new))]
    made += [SQL(f"{option} {{}}").format(Literal(value)) for option, value in options.items()]
    if disk != "pg_default":  # which a role may use that may not name it
        made.append(SQL("TABLESPACE {}").format(Identifier(disk)))
    made.append(SQL("CONNECTION LIMIT {}").format(Literal(row["datconnlimit"])))
    try:
        server.execute(SQL(" ").join(made))
        server.execute(
            SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(new), Identifier(owner))
        )
        for statement in [*same_grants(server, oid, new), *same_settings(server, oid, new)]:
            server.execute(statement)
    except errors.InsufficientPrivilege as error:
        role = server.info.user
        raise DoesNotFit(
            f"A restore makes a database like {name}, which the role {role} may not ({error}). A "
            f'superuser of the server can say ALTER ROLE "{role}" CREATEDB, and make it the owner.'
        ) from None


def same_grants(server: psycopg.Connection[Any], oid: int, new: str) -> list[Composed]:
    found = server.execute(GRANTS, [oid]).fetchall()
    if not found:
        return []
    statements = [SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(new))]
    for privilege, grantable, role in found:
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
