import json

from django.contrib import admin
from django.utils.text import Truncator

from settings_app.models import SystemConfiguration
from ytops.admin.base import ModelAdmin


@admin.register(SystemConfiguration)
class SystemConfigurationAdmin(ModelAdmin[SystemConfiguration]):
    list_display = ("key", "shown_value", "updated_at")
    list_filter = ("encrypted",)
    search_fields = ("key",)
    fields = ("key", "encrypted", "value", "secret", "created_at", "updated_at")
    readonly_fields = ("created_at", "updated_at")
    readonly_on_change = ("key",)

    @admin.display(description="value")
    def shown_value(self, row: SystemConfiguration) -> object:
        if row.encrypted:
            return "not set" if row.secret is None else row.secret
        if row.value is None:
            return "inherited"
        return Truncator(json.dumps(row.value, ensure_ascii=False)).chars(80)
