from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from channels_app.models import Channel
from videos_app import slots
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.admin.base import ModelAdmin
from ytops.admin.display import moment, outside, pill
from ytops.admin.forms import EditForm

WITHOUT_A_SLOT_TO_COME = (VideoStatus.PUBLISHING, VideoStatus.PUBLISHED, VideoStatus.SKIPPED)


class VideoForm(EditForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        video = self.instance  # the locked row
        if "scheduled_for" not in self.changed_data or video._state.adding:
            return cleaned
        # As who assigns a slot does: neither gives away what the other is giving away.
        Channel.objects.select_for_update(no_key=True).get(pk=video.channel_id)
        if video.status in WITHOUT_A_SLOT_TO_COME:
            said = f"This video is {video.get_status_display()} by now: its time is not changed."
            self.add_error("scheduled_for", ValidationError(said))
        return cleaned


@admin.register(Video)
class VideoAdmin(ModelAdmin[Video]):
    form = VideoForm
    list_display = ("__str__", "channel", "state", "scheduled_for", "published_at", "on_youtube")
    list_filter = ("status", "channel", "preset")
    list_select_related = ("channel",)
    date_hierarchy = "created_at"
    search_fields = ("title", "source_url", "youtube_video_id")
    search_help_text = "Words of the title or the source URL, or a YouTube video id."
    autocomplete_fields = ("channel", "preset", "music")
    readonly_on_change = ("channel",)
    readonly_fields = (
        "slot",
        "on_youtube",
        "published_at",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": ("channel", "title", "source_url", "slot", "scheduled_for")}),
        ("Production", {"fields": ("preset", "music", "metadata")}),
        ("On YouTube", {"fields": ("on_youtube", "published_at")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> Any:
        """What is posted is in the form in any case, so that it is refused and not dropped."""
        fields = super().get_readonly_fields(request, obj)
        if obj and obj.status in WITHOUT_A_SLOT_TO_COME and request.method != "POST":
            return (*fields, "scheduled_for")
        return fields

    @admin.display(description="status", ordering="status")
    def state(self, video: Video) -> str:
        return pill(video.status, video.get_status_display())

    @admin.display(description="slot", empty_value="–")
    def slot(self, video: Video) -> str | None:
        at = video.scheduled_for
        return f"{slots.local_time(video.channel, at)} ({moment(at)})" if at else None

    @admin.display(description="YouTube", ordering="youtube_video_id")
    def on_youtube(self, video: Video) -> str:
        return outside("https://www.youtube.com/watch?v=", video.youtube_video_id)
