"""Whether this process can serve: its database answers and has the schema of this code."""

import logging
from functools import lru_cache

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def known_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 {"status": "ok"}, or 503 with what is wrong. Never says where the database is."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except (DatabaseError, InterfaceError) as error:
        logger.error("healthz: the database does not answer: %s", error)
        return JsonResponse({"status": "the database does not answer"}, status=503)
    missing = sorted(".".join(name) for name in known_migrations() - set(applied))
    if missing:
        logger.error("healthz: migrations to apply: %s", ", ".join(missing))
        body = {"status": "migrations to apply", "migrations": missing}
        return JsonResponse(body, status=503)
    return JsonResponse({"status": "ok"})
