"""Typed form fields for settings, the same for the system and for a channel; empty is inherit."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from settings_app.display import fallback, layer_in_words, pinned
from settings_app.layers import Explanation
from settings_app.registry import UNSET, Setting, text_of
from ytops.admin.forms import EditForm
from ytops.db import strict_json
from ytops.db.forms import SecretFormField, SecretWidget, with_plain_line_ends
from ytops.db.secrets import Secret
from ytops.db.strict_json import UNSTORABLE

EMPTY_CHOICE = '""'  # the posted text of a choice that is the empty text
WRONG_CHOICE = "leave as it is: "


class TextOrEmpty(forms.Textarea):
    """A text box, and a tick by which the empty text is told from none.

    Posts a list of the two.
    """

    template_name = "settings_app/text.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        text, empty = value
        return super().get_context(name, text, attrs) | {"empty": empty}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Any] | None:
        if name not in data:
            return None
        return [with_plain_line_ends(data[name]), f"{name}-empty" in data]


class Choice(forms.Select):
    """A wrong value is one more choice; posted, it is left alone."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        posted = super().value_from_datadict(data, files, name)
        return None if posted is None or posted.startswith(WRONG_CHOICE) else posted


def is_free_text(setting: Setting[Any]) -> bool:
    return setting.value_type is str and not setting.choices


def choices_of(setting: Setting[Any]) -> tuple[Any, ...]:
    return (True, False) if setting.value_type is bool else setting.choices


def widget_of(setting: Setting[Any], shown: Any) -> forms.Widget:
    if is_free_text(setting):
        return TextOrEmpty({"rows": 3})
    if choices := choices_of(setting):
        named = [(text_of(c) or EMPTY_CHOICE, text_of(c) or "the empty text") for c in choices]
        if shown.startswith(WRONG_CHOICE):
            named.append((shown, Truncator(shown).chars(80)))
        return Choice(choices=[("", "inherit"), *named])
    # Not type="number": what a browser cannot read as one it posts as nothing, which is inherit.
    return forms.TextInput({"inputmode": "numeric", "class": "vTextField"})


class SettingField(forms.Field):
    """The value that one layer gives a setting.

    A wrong one is shown as JSON, but a text for a text as it is. What is posted is not read here:
    SettingsForm compares it with what was shown, and has `read()` read what was changed.
    """

    def __init__(self, explanation: Explanation, source: str, help_text: Any = "") -> None:
        self.setting, self.layer = explanation.setting, explanation.layer(source)
        shown = self.shown()
        super().__init__(
            required=False,
            label=self.setting.label,
            initial=shown,
            disabled=self.setting.pinned,
            widget=widget_of(self.setting, shown),
            help_text=help_of(explanation, source, help_text),
        )

    def shown(self) -> Any:
        """What a browser posts if it is left alone."""
        value, wrong = self.layer.value, self.layer.error
        text = with_plain_line_ends(text_of(value)) if self.layer.is_set else ""
        if is_free_text(self.setting):
            plain = type(value) is str and not UNSTORABLE.search(value)
            return [strict_json.line(value) if wrong and not plain else text, value == ""]
        if wrong:
            return f"{WRONG_CHOICE if choices_of(self.setting) else ''}{strict_json.line(value)}"
        return EMPTY_CHOICE if value == "" else text

    def clean(self, value: Any) -> Any:
        return self.bound_data(value, self.initial)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if data is None or self.disabled else data  # None: not posted, left alone

    def read(self, posted: Any) -> Any:
        """The value, or UNSET to inherit. ValidationError."""
        text, empty = posted if is_free_text(self.setting) else (posted, posted == EMPTY_CHOICE)
        if empty and text not in ("", EMPTY_CHOICE):
            raise ValidationError(
                "Either a text or the empty text: empty the box or take the tick away.",
                code="contradiction",
            )
        if empty:
            return self.setting.clean("")
        return self.setting.parse(text) if text else UNSET


def help_of(explanation: Explanation, source: str, help_text: Any) -> SafeString:
    setting, error = explanation.setting, explanation.layer(source).error
    wrong = format_html('<strong class="bad">Wrong, so passed over: {}</strong> ', error or "")
    if setting.pinned:
        said = f"{pinned(setting)} What holds: {layer_in_words(explanation.winner)}."
    elif source == "channel":
        said = f"Inherited: {fallback(explanation, source)}."
    else:
        without = "Removed" if setting.secret else "Left empty"
        said = f"{without}: {fallback(explanation, source)}."
    spaced = format_html("{} ", help_text) if help_text else ""
    return format_html(
        '{}{}<span class="inherited">{}</span>', wrong if error else "", spaced, said
    )


def secret_field(explanation: Explanation, stored: Secret | None) -> SecretFormField:
    setting = explanation.setting
    return SecretFormField(
        required=False,
        label=setting.label,
        initial=stored,
        validators=[setting.clean],
        widget=SecretWidget({"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text=help_of(explanation, "database", ""),
    )


class SettingsForm(EditForm):
    """A form some of whose fields are settings; `cleaned_data` has those that were changed."""

    @property
    def setting_fields(self) -> dict[str, SettingField]:
        found = self.fields.items()
        return {name: field for name, field in found if isinstance(field, SettingField)}

    def stored_values(self) -> dict[str, Any]:
        shown = {name: field.initial for name, field in self.setting_fields.items()}
        return super().stored_values() | shown

    def stored_in_words(self, name: str) -> str:
        if field := self.setting_fields.get(name):
            layer = field.layer
            return f"“{layer_in_words(layer, 1000)}”" if layer.is_set else "inherited"
        return super().stored_in_words(name)

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        for name, field in self.setting_fields.items():
            if name in self.cleaned_data:
                try:
                    self.cleaned_data[name] = field.read(self.cleaned_data[name])
                except ValidationError as error:
                    self.add_error(name, error)
        return self.cleaned_data
