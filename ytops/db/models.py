"""What every table of ytops has: a time-ordered key and two timestamps."""

from collections.abc import Collection
from typing import Any, Self, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7

from ytops.db.strict_json import validate_text

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

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """As Django's, and refuse text that the databases do not take, before one is asked."""
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        for field in self._meta.fields:
            value = self.__dict__.get(field.attname)
            is_text = isinstance(field, models.CharField | models.TextField)
            if is_text and isinstance(value, str) and field.name not in (exclude or ()):
                try:
                    validate_text(value)
                except ValidationError as error:
                    errors.setdefault(field.name, []).append(error)
        if errors:
            raise ValidationError(errors)

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

    def write(self, **values: Any) -> None:
        """UPDATE these fields of the row, whatever the instance has of others.

        What an expression made of a field is read from the row when it is next asked for.
        """
        type(self)._default_manager.filter(pk=self.pk).update(**values)
        self.take_over(values)

    def take_over(self, values: dict[str, Any]) -> None:
        """Have what an UPDATE has just written."""
        for name, value in values.items():
            if hasattr(value, "resolve_expression"):
                self.__dict__.pop(name, None)
            else:
                setattr(self, name, value)
