from django.contrib import admin
from django.core.exceptions import ValidationError

from jobs_app.models import VideoProcessingJob
from videos_app.models import Video
from ytops.admin.base import ModelAdmin
from ytops.admin.display import json_block, pill
from ytops.admin.forms import EditForm


class JobForm(EditForm):
    def clean_video(self) -> Video:
        video: Video = self.cleaned_data["video"]
        if video.status == Video.Status.PUBLISHED:
            raise ValidationError("This video is published: no job starts from it.")
        return video


@admin.register(VideoProcessingJob)
class VideoProcessingJobAdmin(ModelAdmin[VideoProcessingJob]):
    form = JobForm
    list_display = (
        "kind",
        "state",
        "video",
        "channel",
        "tries",
        "run_at",
        "finished_at",
    )
    list_filter = ("status", "kind", "channel")
    list_select_related = ("video", "channel")
    date_hierarchy = "created_at"
    search_fields = ("worker", "video__title", "github_workflow_run_id__exact")
    search_help_text = "Words of the video's title, a worker's name or a GitHub run id."
    autocomplete_fields = ("video",)
    readonly_on_change = ("video", "kind")
    readonly_fields = (
        "state",
        "channel",
        "attempts",
        "progress",
        "worker",
        "lease_expires_at",
        "cancel_requested_at",
        "github_workflow_run_id",
        "error_message",
        "shown_result",
        "started_at",
        "finished_at",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": ("video", "kind", "priority", "run_at")}),
        ("Attempts", {"fields": ("attempts", "max_attempts", "backoff_seconds")}),
        ("State", {"fields": ("state", "channel", "progress", "error_message", "shown_result")}),
        (
            "Run",
            {
                "fields": (
                    "worker",
                    "lease_expires_at",
                    "cancel_requested_at",
                    "github_workflow_run_id",
                    "started_at",
                    "finished_at",
                    "created_at",
                    "updated_at",
                )
            },
        ),
    )

    @admin.display(description="status", ordering="status")
    def state(self, job: VideoProcessingJob) -> str:
        return pill(job.status, job.get_status_display())

    @admin.display(description="attempts", ordering="attempts")
    def tries(self, job: VideoProcessingJob) -> str:
        return f"{job.attempts} of {job.max_attempts}"

    @admin.display(description="result")
    def shown_result(self, job: VideoProcessingJob) -> str:
        return json_block(job.result)
