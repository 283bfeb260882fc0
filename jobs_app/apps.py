from django.apps import AppConfig
from django.db.models.signals import post_save


class JobsConfig(AppConfig):
    name = "jobs_app"
    verbose_name = "Processing"

    def ready(self) -> None:
        from jobs_app import actions, conf, panels, pipeline  # noqa: F401  (registers them)
        from videos_app.models import Video

        post_save.connect(pipeline.follow_slot, sender=Video)
