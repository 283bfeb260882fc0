"""The week grid of a schedule, over the text box of its JSON."""

from typing import Any

from django import forms
from django.forms.widgets import Script

from channels_app.schedule import time_zones

DAYS_IN_WORDS = (
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
)


class ScheduleWidget(forms.Textarea):
    template_name = "channels_app/schedule.html"

    class Media:
        css = {"all": ["channels_app/schedule.css"]}
        js = [Script("channels_app/schedule.js", defer=True)]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        return context | {"days": DAYS_IN_WORDS, "zones": sorted(time_zones())}
