from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_save


class SettingsConfig(AppConfig):
    name = "settings_app"
    verbose_name = "System"

    def ready(self) -> None:
        from settings_app import checks, panels, rows, snapshot  # noqa: F401  (registers them)

        connection_created.connect(snapshot.watch)
        post_migrate.connect(rows.add_missing_rows, sender=self)
        pre_save.connect(rows.replace_row, sender="settings_app.SystemConfiguration")
