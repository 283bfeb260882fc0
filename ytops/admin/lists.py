"""Lists whose cost does not grow with their table."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.utils.functional import cached_property

MOST_COUNTED = 10_000


def bounded_count(queryset: QuerySet[Any], most: int = MOST_COUNTED) -> tuple[int, bool]:
    """How many rows there are, and whether there are more than the `most` that are counted."""
    found = queryset.order_by()[: most + 1].count()
    return min(found, most), found > most


def shown_count(queryset: QuerySet[Any]) -> str:
    count, capped = bounded_count(queryset)
    return f"{count:,}+" if capped else f"{count:,}"


class BoundedPaginator(Paginator[Any]):
    """Counts no further than MOST_COUNTED rows; what lies beyond is reached by filters."""

    @cached_property
    def bounded(self) -> tuple[int, bool]:
        return bounded_count(self.object_list)  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        return self.bounded[0]

    @property
    def capped(self) -> bool:
        return self.bounded[1]


class BoundedChangeList(ChangeList):
    def get_results(self, request: Any) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count  # nothing is hidden: no "show all"

    def get_filters(self, request: Any) -> Any:
        try:
            return super().get_filters(request)
        except (ValueError, OverflowError) as error:  # a year that no calendar has
            raise IncorrectLookupParameters(error) from error

    def get_ordering(self, request: Any, queryset: QuerySet[Any]) -> list[Any]:
        return [self.nulls_last(order) for order in super().get_ordering(request, queryset)]

    def nulls_last(self, order: Any) -> Any:
        """PostgreSQL takes NULL for the largest value, SQLite for the smallest."""
        if not isinstance(order, str) or order.lstrip("-") == "pk":
            return order
        path = get_fields_from_path(self.model, order.lstrip("-"))
        if not any(field.null for field in path):
            return order  # as it stands, for its index
        column = F(order.lstrip("-"))
        down = order.startswith("-")
        return column.desc(nulls_last=True) if down else column.asc(nulls_last=True)
