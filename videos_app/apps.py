from django.apps import AppConfig


class VideosConfig(AppConfig):
    name = "videos_app"
    verbose_name = "Videos"

    def ready(self) -> None:
        from videos_app import conf, panels  # noqa: F401  (registers them)
