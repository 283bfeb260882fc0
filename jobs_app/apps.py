from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs_app"
    verbose_name = "Processing"

    def ready(self) -> None:
        from jobs_app import conf, panels  # noqa: F401  (registers them)
