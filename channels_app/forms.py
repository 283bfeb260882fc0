"""The form of a channel: its overrides as typed fields, each saved by itself."""

from typing import Any

from django import forms
from django.db import transaction
from django.utils.html import format_html

from channels_app.models import Channel
from settings_app import changes
from settings_app.display import json_line
from settings_app.forms import SettingField, SettingsForm
from settings_app.layers import explain_all, masked, override_problem, per_channel
from settings_app.models import Through

STRAYS = "strays"


def strays(channel: Channel | None) -> dict[str, tuple[Any, str]]:
    """Entries of a channel's settings that no field edits: key → value, what is wrong."""
    known, found = per_channel(), channel.settings.items() if channel else ()
    return {
        key: (masked(key, value), override_problem(key, value) or "")
        for key, value in found
        if key not in known
    }


class StraysField(forms.MultipleChoiceField):
    """Ticks the entries to remove; one that is gone meanwhile is no mistake."""

    widget = forms.CheckboxSelectMultiple

    def valid_value(self, value: str) -> bool:
        return True


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
            label="Remove",
            choices=[
                (json_line(key), format_html(line, key, json_line(value), problem))
                for key, (value, problem) in found.items()
            ],
            help_text="Entries that nothing reads. Left without a tick, they stay.",
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
            self.remove_strays(set(self.cleaned_data[STRAYS]))

    def remove_strays(self, named: set[str]) -> None:
        with transaction.atomic():
            row = Channel.objects.select_for_update(of=("self",)).get(pk=self.instance.pk)
            removed = {key for key in strays(row) if json_line(key) in named}
            kept = {key: value for key, value in row.settings.items() if key not in removed}
            row.save_fields(settings=kept)
