from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    name = "channels_app"
    verbose_name = "Channels"

    def ready(self) -> None:
        from channels_app import panels  # noqa: F401  (registers them)
        from channels_app.models import Channel
        from settings_app import scope

        scope.register(Channel)
