from django.apps import AppConfig


class YtopsConfig(AppConfig):
    name = "ytops"

    def ready(self) -> None:
        from ytops import checks  # noqa: F401  (registers them)
        from ytops.db.fork import heed_forks

        heed_forks()
