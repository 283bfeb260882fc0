from django.apps import AppConfig


class VideosConfig(AppConfig):
    name = "videos_app"
    verbose_name = "Videos"
