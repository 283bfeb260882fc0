"""What goes with an object that is deleted: counted, not loaded."""

from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.text import capfirst

from ytops.admin.lists import shown_count

Rows = models.QuerySet[Any]
NAMED = 100


def cascade(rows: Rows) -> dict[type[models.Model], Rows]:
    """The rows that deletion takes along, by model, the given ones first."""
    found: dict[type[models.Model], Rows] = {rows.model: rows}
    waiting = [rows.model]
    while waiting:
        parent = waiting.pop(0)
        for relation in parent._meta.related_objects:
            if relation.on_delete is not models.CASCADE:
                continue
            child: type[models.Model] = relation.related_model
            taken = child._base_manager.filter(**{f"{relation.field.name}__in": found[parent]})
            found[child] = found[child] | taken if child in found else taken
            waiting.append(child)
    return found


def summary(
    objs: Rows | list[models.Model], request: HttpRequest
) -> tuple[list[str], dict[str, str], set[str], list[str]]:
    """For ModelAdmin.get_deleted_objects(): names, counts, missing permissions, protected."""
    if isinstance(objs, models.QuerySet):
        rows = objs.order_by()
    else:
        rows = type(objs[0])._base_manager.filter(pk__in=[obj.pk for obj in objs])
    lines = [f"{capfirst(rows.model._meta.verbose_name)}: {obj}" for obj in objs[:NAMED]]
    counts: dict[str, str] = {}
    forbidden: set[str] = set()
    for taken, queryset in cascade(rows).items():
        count = shown_count(queryset)
        if count == "0":
            continue
        options = taken._meta
        counts[str(options.verbose_name_plural)] = count
        if not request.user.has_perm(f"{options.app_label}.delete_{options.model_name}"):
            forbidden.add(str(options.verbose_name))
    return lines, counts, forbidden, []
