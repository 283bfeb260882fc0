"""Lists whose cost does not grow with their table."""

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MOST_COUNTED = 10_000


def bounded_count(queryset: QuerySet[Any], most: int = MOST_COUNTED) -> tuple[int, bool]:
    """How many rows there are, and whether there are more than the `most` that are counted."""
    found = queryset.order_by()[: most + 1].count()
    return min(found, most), found > most


def shown_count(queryset: QuerySet[Any], most: int = MOST_COUNTED) -> str:
    count, capped = bounded_count(queryset, most)
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
        # The drill-down by date reads every row of the list to know its years.
        if self.paginator.capped:
            self.date_hierarchy = None
