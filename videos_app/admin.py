from django.contrib import admin

from videos_app.models import Video
from ytops.admin.base import ModelAdmin
from ytops.admin.display import outside, pill, timeline


@admin.register(Video)
class VideoAdmin(ModelAdmin[Video]):
    list_display = ("__str__", "channel", "state", "scheduled_for", "published_at", "on_youtube")
    list_filter = ("status", "channel", "preset")
    list_select_related = ("channel",)
    date_hierarchy = "created_at"
    search_fields = ("title", "source_url", "youtube_video_id")
    search_help_text = "Words of the title or the source URL, or a YouTube video id."
    autocomplete_fields = ("channel", "preset", "music")
    readonly_on_change = ("channel",)
    readonly_fields = (
        "state",
        "history",
        "on_youtube",
        "published_at",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": ("channel", "title", "source_url", "state", "scheduled_for")}),
        ("Production", {"fields": ("preset", "music", "metadata")}),
        ("On YouTube", {"fields": ("on_youtube", "published_at")}),
        ("History", {"fields": ("history", "created_at", "updated_at")}),
    )

    @admin.display(description="status", ordering="status")
    def state(self, video: Video) -> str:
        return pill(video.status, video.get_status_display())

    @admin.display(description="history")
    def history(self, video: Video) -> str:
        return timeline(video.processing_history)

    @admin.display(description="YouTube", ordering="youtube_video_id")
    def on_youtube(self, video: Video) -> str:
        return outside("https://www.youtube.com/watch?v=", video.youtube_video_id)
