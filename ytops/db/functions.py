"""SQL functions that both databases have, each under its own name."""

import json
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, JSONField, Value
from django.db.models.sql.compiler import SQLCompiler


class Append(Func):
    """A JSON list with one object more at its end, to which `at` is added: the database's time.

    As one expression, so that two writers who append at once both stay in the list.
    """

    output_field = JSONField()

    def __init__(self, field: str, entry: dict[str, Any]) -> None:
        super().__init__(field, Value(json.dumps(entry)))

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> Any:
        at = "strftime('%%%%Y-%%%%m-%%%%dT%%%%H:%%%%M:%%%%f+00:00', 'now')"
        template = f"json_insert(%(expressions)s, '$.at', {at}))"
        return self.as_sql(
            compiler,
            connection,
            template=template,
            arg_joiner=", '$[#]', json_insert(",
            **context,
        )

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> Any:
        # Not now(): that is when the transaction began, and it may have waited for the row since.
        clock = "clock_timestamp() AT TIME ZONE 'UTC'"
        at = f"""to_char({clock}, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
        template = f"%(expressions)s::jsonb || jsonb_build_object('at', {at}))"
        return self.as_sql(
            compiler,
            connection,
            template=template,
            arg_joiner=" || jsonb_build_array(",
            **context,
        )
