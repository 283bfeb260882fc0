from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.text import Truncator

from jobs_app import display
from jobs_app.models import VideoProcessingJob
from jobs_app.queue import VideoProcessingJobQuerySet
from jobs_app.states import JobStatus
from ytops.admin.base import ModelAdmin
from ytops.admin.display import json_block
from ytops.admin.forms import EditForm

WHILE_QUEUED = ("priority", "run_at", "max_attempts", "backoff_seconds")
SHORT = 80  # characters of an error in the list


class JobForm(EditForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        job = self.instance  # the locked row
        if self.changed_data and job.status != JobStatus.QUEUED:
            raise ValidationError(
                f"This job is {job.get_status_display()} by now: it can be changed only while it "
                "is queued. Nothing was saved."
            )
        return cleaned

    def clean_max_attempts(self) -> int:
        most, tried = int(self.cleaned_data["max_attempts"]), self.instance.attempts
        if "max_attempts" in self.changed_data and most <= tried:
            times = "once" if tried == 1 else f"{tried} times"
            raise ValidationError(f"It has been tried {times}: at least {tried + 1}.")
        return most


class RunningFilter(admin.SimpleListFilter):
    title = parameter_name = "running"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("stuck", "stuck: its worker is silent"), ("cancelling", "asked to cancel")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        jobs: VideoProcessingJobQuerySet = rows  # type: ignore[assignment]
        match self.value():
            case "stuck":
                return jobs.stuck()
            case "cancelling":
                return jobs.running().filter(cancel_requested_at__isnull=False)
        return rows


@admin.register(VideoProcessingJob)
class VideoProcessingJobAdmin(ModelAdmin[VideoProcessingJob]):
    form = JobForm
    list_display = (
        "kind",
        "state",
        "of_video",
        "tries_by_whom",
        "now",
    )
    list_filter = ("status", RunningFilter, "kind", "channel")
    list_select_related = ("video", "channel")
    date_hierarchy = "created_at"
    search_fields = ("worker", "video__title", "github_workflow_run_id__exact")
    search_help_text = "Words of the video's title, a worker's name or a GitHub run id."
    readonly_fields = (
        "video",
        "kind",
        "state",
        "channel",
        "tries",
        "what_next",
        "shown_error",
        "shown_result",
        "worker",
        "github_run",
        "lease_expires_at",
        "cancel_requested_at",
        "started_at",
        "finished_at",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": ("video", "channel", "kind", "state", "what_next", "tries")}),
        ("Outcome", {"fields": ("shown_error", "shown_result")}),
        ("While it is queued", {"fields": WHILE_QUEUED}),
        (
            "Run",
            {
                "fields": (
                    "worker",
                    "github_run",
                    "lease_expires_at",
                    "cancel_requested_at",
                    "started_at",
                    "finished_at",
                    "created_at",
                    "updated_at",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[VideoProcessingJob]:
        """With `now`, the database's time, by which a lease ends."""
        return super().get_queryset(request).annotate(now=Now())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a job comes of what becomes of its video

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # `jobs prune` does, and the deletion of a video or a channel

    def get_readonly_fields(
        self, request: HttpRequest, obj: VideoProcessingJob | None = None
    ) -> Any:
        """What is posted is in the form in any case, so that it is refused and not dropped."""
        fields = super().get_readonly_fields(request, obj)
        if obj and obj.status != JobStatus.QUEUED and request.method != "POST":
            return (*fields, *WHILE_QUEUED)
        return fields

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        job = kwargs.get("obj")
        if job and job.status != JobStatus.QUEUED:
            context |= {"show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="status", ordering="status")
    def state(self, job: Any) -> str:
        return display.state(job, job.now)

    @admin.display(description="attempts")
    def tries(self, job: VideoProcessingJob) -> str:
        return display.attempts(job)

    @admin.display(description="attempts", ordering="attempts")
    def tries_by_whom(self, job: VideoProcessingJob) -> str:
        return display.two_lines(display.attempts(job), job.worker and display.worker(job))

    @admin.display(description="video", ordering="video__title")
    def of_video(self, job: VideoProcessingJob) -> str:
        return display.two_lines(job.video, job.channel)

    @admin.display(description="now")
    def what_next(self, job: Any) -> str:
        return display.what_next(job, job.now)

    @admin.display(description="now", ordering="run_at")
    def now(self, job: Any) -> str:
        error = Truncator(job.error_message).chars(SHORT)
        return display.two_lines(display.what_next(job, job.now), error)

    @admin.display(description="GitHub run")
    def github_run(self, job: VideoProcessingJob) -> str:
        return display.github_run(job)

    @admin.display(description="error")
    def shown_error(self, job: VideoProcessingJob) -> str:
        return display.error(job)

    @admin.display(description="result")
    def shown_result(self, job: VideoProcessingJob) -> str:
        return json_block(job.result)
