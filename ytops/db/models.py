"""What every table of ytops has: a time-ordered key and two timestamps."""

from typing import Any, Self, TypeVar

from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7

M = TypeVar("M", bound=models.Model, covariant=True)


class BaseQuerySet(models.QuerySet[M]):
    def update(self, **values: Any) -> int:
        """As Django's, and `updated_at` with it; `bulk_update()` comes through here too."""
        values.setdefault("updated_at", timezone.now())
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]


class BaseModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Not auto_now: a fixture written by hand may leave these two out.
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("updated", default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            self.updated_at = timezone.now()
        if options.get("update_fields"):
            options["update_fields"] = {*options["update_fields"], "updated_at"}
        super().save(**options)

    def save_fields(self, **values: Any) -> Self:
        """Set and write these fields alone, if any of them differs; the row stays as it is else."""
        changed = [name for name, value in values.items() if getattr(self, name) != value]
        for name in changed:
            setattr(self, name, values[name])
        if changed:
            self.save(update_fields=changed)
        return self
