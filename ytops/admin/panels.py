"""Panels: sections that apps put on the index page and on the pages of other apps' objects."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from ytops.admin.display import TONES
from ytops.admin.lists import shown_count

Context = Callable[..., dict[str, Any] | None]


@dataclass(frozen=True)
class Panel:
    """`context` makes what the template needs, or None where there is nothing to show.

    It gets the request and, on an object's page, the object.
    """

    title: str
    template: str
    permission: str
    context: Context
    top: bool  # before all else on the page


_index: list[Panel] = []
_object: dict[type[Model], list[Panel]] = defaultdict(list)


def index_panel(
    title: str, template: str, permission: str, *, top: bool = False
) -> Callable[[Context], Context]:
    """Put a panel on the index page, for those who have the permission."""

    def register(context: Context) -> Context:
        _index.append(Panel(title, template, permission, context, top))
        return context

    return register


def object_panel(
    model: type[Model], title: str, template: str, permission: str, *, top: bool = False
) -> Callable[[Context], Context]:
    """Put a panel on the page of every object of a model, for those who have the permission."""

    def register(context: Context) -> Context:
        _object[model].append(Panel(title, template, permission, context, top))
        return context

    return register


Rendered = list[tuple[str, SafeString]]


def on_index(request: HttpRequest) -> dict[str, Rendered]:
    """`top_panels` and `panels` of the page."""
    return _rendered(_index, request)


def on_object(request: HttpRequest, obj: Model) -> dict[str, Rendered]:
    """`top_panels` and `panels` of the page."""
    return _rendered(_object[type(obj)], request, obj)


def _rendered(panels: list[Panel], request: HttpRequest, *args: Any) -> dict[str, Rendered]:
    places: dict[str, Rendered] = {"top_panels": [], "panels": []}
    for panel in panels:
        if request.user.has_perm(panel.permission):
            context = panel.context(request, *args)
            if context is not None:
                place = places["top_panels" if panel.top else "panels"]
                place.append((panel.title, render_to_string(panel.template, context, request)))
    return places


def counts_by_status(rows: QuerySet[Any], **of: Model) -> dict[str, Any]:
    """For ytops/counts.html: each status of these rows, linked to the list that shows them."""
    options = rows.model._meta
    narrowed = "".join(f"&{name}__id__exact={obj.pk}" for name, obj in of.items())
    rows = rows.filter(**of)
    return {
        "url": f"admin:{options.app_label}_{options.model_name}_changelist",
        "counts": [
            (
                words,
                TONES.get(status, "quiet"),
                shown_count(rows.filter(status=status)),
                f"status__exact={status}{narrowed}",
            )
            for status, words in options.get_field("status").flatchoices
        ],
    }
