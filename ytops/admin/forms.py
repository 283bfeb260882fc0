"""The admin's form: writes only what its operator changed, and overwrites nobody unseen."""

import hashlib
import json
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.functional import cached_property

from ytops.db import strict_json
from ytops.db.forms import with_plain_line_ends
from ytops.db.secrets import Secret

OPENED = "_opened"


def digest(field: models.Field[Any, Any] | None, value: Any) -> str:
    """A short name for a value, equal for what a browser shows and posts as equal."""
    if isinstance(value, Secret):
        value = value.identity()  # a new key is nobody's edit
    elif isinstance(value, models.Model):
        value = value.pk
    elif isinstance(value, datetime):
        value = value.replace(microsecond=0)  # a form's time has none
    elif isinstance(field, models.CharField | models.TextField):
        # Line ends come back from a text box as CRLF, and not at all from a one-line input.
        lines = with_plain_line_ends(value or "").split("\n")
        value = ("\n" if isinstance(field, models.TextField) else "").join(lines)
    text = json.dumps(value, cls=DjangoJSONEncoder, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class EditForm(forms.ModelForm[Any]):
    """Carries the digests of the values it was opened with.

    At a save the instance is the locked row. A field whose row value is not the opened one was
    changed by somebody else meanwhile: if the operator left it alone the row's value stays, and
    if not, the save is refused with both values shown; saving once more then overwrites.
    """

    opened_digests: dict[str, str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = False  # Django's own, for fields with a callable default
        self.opened_digests = dict(self.stored_digests)
        if self.is_bound:
            self.opened_digests |= self.posted_digests()

    @cached_property
    def columns(self) -> dict[str, models.Field[Any, Any]]:
        return {field.name: field for field in self.instance._meta.concrete_fields}

    def stored_values(self) -> dict[str, Any]:
        """What the row has, by the name of the field that edits it.

        A form with fields that are no columns adds, as JSON, what they have when left alone.
        """
        edited = self.columns.keys() & self.fields.keys()
        return {name: self.columns[name].value_from_object(self.instance) for name in edited}

    def posted_digests(self) -> dict[str, str]:
        try:
            posted = strict_json.parse(self.data.get(OPENED, "{}"))
        except ValueError:
            return {}
        if not isinstance(posted, dict):
            return {}
        return {name: posted[name] for name in self.stored_digests if name in posted}

    @cached_property
    def stored_digests(self) -> dict[str, str]:
        if self.instance._state.adding:
            return {}
        stored = self.stored_values().items()
        return {name: digest(self.columns.get(name), value) for name, value in stored}

    @property
    def opened(self) -> str:
        """What the page carries, for the comparison at the save."""
        return json.dumps(self.opened_digests)

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        for name, stored in self.stored_digests.items():
            if name not in self.cleaned_data:
                continue
            opened = self.opened_digests[name]
            entered = self.entered_digest(name)
            if entered in (opened, stored):
                del self.cleaned_data[name]  # not the operator's change: the row keeps its own
            elif opened != stored:
                self.opened_digests[name] = stored
                self.add_error(name, self.conflict(name))
        for name, value in self.cleaned_data.items():
            if isinstance(self.columns.get(name), models.TextField):
                self.cleaned_data[name] = with_plain_line_ends(value)
        self.changed_data = [name for name in self.changed_data if name in self.cleaned_data]
        return self.cleaned_data

    def entered_digest(self, name: str) -> str:
        field, value = self.columns.get(name), self.cleaned_data[name]
        if isinstance(field, models.CharField | models.TextField):
            value = self[name].data  # as posted: cleaned, it has lost its outer spaces
        return digest(field, value)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        # Django leaves out the constraints that have a field which the page does not show.
        try:
            self.instance.validate_constraints()
        except ValidationError as error:
            self.add_error(None, error.messages)

    def stored_in_words(self, name: str) -> str:
        value = getattr(self.instance, name)
        if isinstance(value, Secret):
            return "another secret"
        if isinstance(self.columns[name], models.JSONField):
            return strict_json.pretty(value)
        return "empty" if value is None or value == "" else f"“{value}”"

    def conflict(self, name: str) -> ValidationError:
        return ValidationError(
            "Somebody else changed this while you edited it. It is now "
            f"{self.stored_in_words(name)}. What you entered is below: save again to put it in "
            "place, or reload the page to drop it.",
            code="conflict",
        )
