"""The form of a channel: its overrides as typed fields, each saved by itself."""

import json
from typing import Any

from django import forms
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.text import Truncator, capfirst

from channels_app.models import Channel
from channels_app.widgets import ScheduleWidget
from settings_app import changes
from settings_app.display import key_line
from settings_app.forms import SettingField, SettingsForm
from settings_app.layers import (
    explain_all,
    masked,
    override_problem,
    overrides_of,
    per_channel,
)
from settings_app.models import Through
from ytops.db import strict_json

STRAYS = "strays"


def strays(channel: Channel | None) -> dict[str, Any]:
    """Entries of a channel's settings that no field edits."""
    known, found = per_channel(), overrides_of(channel).items() if channel else ()
    return {key: value for key, value in found if key not in known}


def stray_in_words(key: str, value: Any) -> tuple[str, str, str]:
    """The key, the value, and what is wrong."""
    shown = Truncator(strict_json.line(masked(key, value))).chars(80)
    return Truncator(key_line(key)).chars(80), shown, capfirst(override_problem(key, value) or "")


def stray_name(key: str, value: Any) -> str:
    """What a tick posts: it names the key, and without telling the value changes with it."""
    text = json.dumps(value, sort_keys=True)
    return f"{salted_hmac(__name__, text, algorithm='sha256').hexdigest()[:16]} {json.dumps(key)}"


class StraysField(forms.MultipleChoiceField):
    """Ticks the entries to remove; one that is gone meanwhile is no mistake."""

    widget = forms.CheckboxSelectMultiple
    default_error_messages = {
        "invalid_choice": "Somebody else changed an entry that you ticked, so that none was "
        "removed. Look again, and tick what is to go."
    }

    def valid_value(self, value: str) -> bool:
        choices: Any = self.choices
        keys = {name.partition(" ")[2] for name, _ in choices}
        return super().valid_value(value) or value.partition(" ")[2] not in keys


def setting_fields(channel: Channel | None) -> dict[str, forms.Field]:
    """By name; the name is the key of the setting."""
    fields: dict[str, forms.Field] = {
        explanation.setting.key: SettingField(explanation, "channel", explanation.setting.help)
        for explanation in explain_all(per_channel().values(), channel)
    }
    if found := strays(channel):
        line = '<code>{} = {}</code> <strong class="bad">{}</strong>'
        fields[STRAYS] = StraysField(
            required=False,
            label="Entries that nothing reads",
            choices=[
                (stray_name(key, value), format_html(line, *stray_in_words(key, value)))
                for key, value in found.items()
            ],
            help_text="Those with a tick are removed.",
        )
    return fields


def setting_fieldsets(channel: Channel | None) -> list[tuple[str, dict[str, Any]]]:
    groups: dict[str, list[str]] = {}
    for setting in per_channel().values():
        groups.setdefault(f"Settings: {setting.group}", []).append(setting.key)
    if strays(channel):
        groups["Settings: wrong entries"] = [STRAYS]
    return [(title, {"fields": names}) for title, names in groups.items()]


class ChannelForm(SettingsForm):
    class Meta:
        widgets = {
            "schedule": ScheduleWidget({"class": "json", "rows": 8, "spellcheck": "false"}),
        }

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        if self.setting_fields.keys() & set(self.changed_data) and not self.instance._state.adding:
            changes.refuse_if_stuck(self.instance)
        return self.cleaned_data

    def save_settings(self, by: str) -> None:
        """After the channel itself; what turns out to be no change leaves `changed_data`."""
        for name, field in self.setting_fields.items():
            if name in self.changed_data:
                value, channel = self.cleaned_data[name], self.instance
                if not changes.change(
                    field.setting, value, by=by, through=Through.ADMIN, channel=channel
                ):
                    self.changed_data.remove(name)
        if STRAYS in self.changed_data:
            self.changed_data.remove(STRAYS)
            channel, ticked = self.instance, self.cleaned_data[STRAYS]
            for key, value in strays(channel).items():
                if stray_name(key, value) in ticked and changes.remove_override(
                    channel, key, by=by, through=Through.ADMIN
                ):
                    self.changed_data.append(f"{stray_in_words(key, value)[0]} (removed)")
