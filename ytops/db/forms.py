"""Form fields for strict JSON and for secrets."""

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from ytops.db import strict_json
from ytops.db.secrets import CannotDecrypt, JSONSecret, Secret


def with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str) -> Any:
    try:
        return strict_json.parse(text)
    except ValueError as error:
        raise ValidationError(f"This cannot be read: {error}.", code="invalid") from None


class StrictJSONFormField(forms.JSONField):
    """Shows JSON indented, reads it strictly, says where it is broken, keeps what was typed."""

    widget = forms.Textarea(attrs={"class": "json", "rows": 8, "spellcheck": "false"})

    def __init__(self, *, empty_value: Any = None, **kwargs: Any) -> None:
        super().__init__(empty_value=empty_value, **kwargs)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return self.empty_value
        if not isinstance(value, str):
            return value
        result = parsed(value)
        if result is None:
            raise ValidationError("null is no value: leave it empty instead.", code="null_value")
        return result

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled or data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> str:
        if isinstance(value, InvalidJSONInput):
            return value
        return "" if value is None else strict_json.pretty(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        try:
            return bool(json.dumps(initial) != json.dumps(self.to_python(data)))
        except ValidationError:
            return True


@dataclass(frozen=True)
class Shown:
    """What the widget draws: the secret in the database, and what is typed but not yet saved."""

    stored: Secret | None
    pending: Secret | None = None
    removing: bool = False


class SecretWidget(forms.Textarea):
    """Write-only: says what is stored, never shows it, and has a box to replace it.

    After an error elsewhere in the form, what was typed waits in a hidden input as ciphertext.
    """

    template_name = "ytops/secret.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        shown = value if isinstance(value, Shown) else Shown(value or None)
        context = super().get_context(name, None, attrs)
        context["pending"] = shown.pending.tagged() if shown.pending else ""
        context["is_set"] = shown.stored is not None
        context["removing"] = shown.removing
        if shown.stored is not None:
            try:
                context["fingerprint"] = shown.stored.key_fingerprint()
            except CannotDecrypt as error:
                context["problem"] = str(error)
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str | CannotDecrypt | None:
        """The text typed, "" to keep what is stored, None to remove it."""
        if typed := (data.get(name) or "").strip():
            return with_plain_line_ends(typed)
        if data.get(f"{name}-remove"):
            return None
        if pending := data.get(f"{name}-pending"):
            try:
                return str(Secret.of(pending).reveal())
            except (CannotDecrypt, ValueError):
                return CannotDecrypt()
        return ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


class SecretFormField(forms.Field):
    widget = SecretWidget(attrs={"rows": 6, "autocomplete": "off", "spellcheck": "false"})
    empty_values = ()  # "{}" typed is a value too: the validators are to see it

    def __init__(self, *, secret_class: type[Secret] = Secret, **kwargs: Any) -> None:
        self.secret_class = secret_class
        super().__init__(**kwargs)

    def _clean_bound_field(self, bf: Any) -> Secret | None:
        if self.disabled or bf.data == "":
            return self.clean_blank(bf.initial)
        return self.clean(bf.data)

    def clean_blank(self, stored: Secret | None) -> Secret | None:
        if self.required and stored is None:
            raise ValidationError(self.error_messages["required"], code="required")
        return stored

    def clean(self, value: Any) -> Secret | None:
        """Plaintext is checked here, encrypted at once, and goes no further."""
        if value is None:
            return self.clean_blank(None)
        if isinstance(value, CannotDecrypt):
            raise ValidationError(
                "What was entered before can no longer be read: enter it again.", code="unreadable"
            )
        plain = parsed(value) if issubclass(self.secret_class, JSONSecret) else value
        self.run_validators(plain)
        return self.secret_class.encrypt(plain)

    def bound_data(self, data: Any, initial: Any) -> Any:
        if not data or self.disabled:
            return Shown(initial, removing=data is None and not self.disabled)
        try:
            self.clean(data)
        except ValidationError:
            return Shown(initial)
        return Shown(initial, pending=Secret.encrypt(data))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and data != "" and not (data is None and initial is None)
