from django.apps import AppConfig


class YtopsConfig(AppConfig):
    name = "ytops"

    def ready(self) -> None:
        from ytops import checks  # noqa: F401  (registers them)
        from ytops.backup import health  # noqa: F401  (registers its check and its panel)
        from ytops.db.fork import heed_forks

        heed_forks()
