"""The drill-down by date, from the calendar: it reads the first and the last row, no other.

Django's own reads every row of the list to know its years, months and days.
"""

from calendar import monthrange
from datetime import date
from itertools import takewhile
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.utils.formats import date_format
from django.utils.timezone import localtime


def drill_down(cl: ChangeList) -> dict[str, Any]:
    """The context of admin/date_hierarchy.html."""
    field = cl.date_hierarchy
    if not field:
        return {}
    names = [f"{field}__{part}" for part in ("year", "month", "day")]
    chosen = [int(cl.params[name]) for name in takewhile(cl.params.__contains__, names)]

    def link(*parts: int) -> str:
        return cl.get_query_string(dict(zip(names, parts, strict=False)), [f"{field}__"])

    def choice(*parts: int) -> dict[str, str]:
        return {"link": link(*parts), "title": title(parts)}

    context: dict[str, Any] = {"show": True, "choices": [], "back": None}
    if chosen:
        above = chosen[:-1]
        context["back"] = {"link": link(*above), "title": title(above) if above else "All dates"}
    if len(chosen) == len(names):
        context["choices"] = [{"title": title(chosen)}]
        return context
    # Not Min and Max in one query, for which SQLite reads the whole index.
    times = cl.queryset.values_list(field, flat=True)
    ends = [times.order_by(order).first() for order in (field, f"-{field}")]
    if None not in ends:
        first, last = (localtime(end).date() for end in ends)
        context["choices"] = [choice(*parts) for parts in below(chosen, first, last)]
    return context


def below(chosen: list[int], first: date, last: date) -> list[tuple[int, ...]]:
    """The years, or the months of the year, or the days of the month, from first to last."""
    if not chosen:
        return [(year,) for year in range(first.year, last.year + 1)]
    if len(chosen) == 1:
        (year,) = chosen
        months = [(year, month) for month in range(1, 13)]
        return [m for m in months if (first.year, first.month) <= m <= (last.year, last.month)]
    year, month = chosen
    days = [(year, month, day) for day in range(1, monthrange(year, month)[1] + 1)]
    return [day for day in days if first <= date(*day) <= last]


def title(parts: list[int] | tuple[int, ...]) -> str:
    formats = ("Y", "F Y", "j F Y")
    return date_format(date(*[*parts, 1, 1][:3]), formats[len(parts) - 1])
