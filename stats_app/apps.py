from django.apps import AppConfig


class StatsConfig(AppConfig):
    name = "stats_app"
    verbose_name = "Statistics"

    def ready(self) -> None:
        from stats_app import panels  # noqa: F401  (registers them)
