"""Each setting has a row of `system_configuration`, so that an operator finds it."""

from typing import Any

from django.apps import apps as all_apps

from settings_app.models import SystemConfiguration
from settings_app.registry import registered


def add_missing_rows(using: str, apps: Any = all_apps, **kwargs: Any) -> None:
    """After a migration: the rows of new settings, at inherit. What is there stays as it is."""
    try:
        model = apps.get_model("settings_app", "SystemConfiguration")
    except LookupError:  # migrated back to before there was one
        return
    rows = model._base_manager.using(using)
    present = set(rows.values_list("key", flat=True))
    missing = [setting for setting in registered().values() if setting.key not in present]
    rows.bulk_create(
        [model(key=setting.key, encrypted=setting.secret) for setting in missing],
        ignore_conflicts=True,  # another process may be quicker
    )


def replace_row(instance: SystemConfiguration, raw: bool, using: str, **kwargs: Any) -> None:
    """Before loaddata saves a row: the one that this installation has for the key gives way."""
    if raw:
        rows = SystemConfiguration.objects.using(using).filter(key=instance.key)
        rows.exclude(pk=instance.pk).delete()
