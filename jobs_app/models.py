from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint
from django.utils import timezone

from channels_app.models import Channel
from videos_app.models import Video
from ytops.db.constraints import between, in_range, json_shapes, one_of, text_lengths
from ytops.db.fields import JSONObjectField
from ytops.db.models import BaseModel, BaseQuerySet

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
MOST_ATTEMPTS = 32_767
LONGEST_BACKOFF = 2_147_483_647


class JobStatus(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class JobKind(models.TextChoices):
    DOWNLOAD = "download", "download"
    TRANSFORM = "transform", "transform"
    PUBLISH = "publish", "publish"


class VideoProcessingJobQuerySet(BaseQuerySet["VideoProcessingJob"]):
    def queued(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=VideoProcessingJob.Status.QUEUED)

    def running(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=VideoProcessingJob.Status.RUNNING)

    def live(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status__in=VideoProcessingJob.LIVE)

    def failed(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=VideoProcessingJob.Status.FAILED)


class VideoProcessingJob(BaseModel):
    Kind = JobKind
    Status = JobStatus
    LIVE = [Status.QUEUED, Status.RUNNING]

    video = models.ForeignKey(Video, models.CASCADE, related_name="jobs")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=20, choices=Kind)
    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    priority = models.SmallIntegerField(
        default=0,
        validators=between(LOWEST_PRIORITY, HIGHEST_PRIORITY),
        help_text=f"From {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}; the highest runs first.",
    )
    run_at = models.DateTimeField(default=timezone.now, help_text="Not before this time.")
    attempts = models.PositiveSmallIntegerField(default=0, validators=between(0, MOST_ATTEMPTS))
    max_attempts = models.PositiveSmallIntegerField(default=5, validators=between(1, MOST_ATTEMPTS))
    backoff_seconds = models.PositiveIntegerField(
        default=60, validators=between(0, LONGEST_BACKOFF)
    )
    progress = models.PositiveSmallIntegerField(
        default=0, validators=between(0, 100), help_text="Per cent."
    )
    worker = models.CharField(max_length=200, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # GitHub's run ids are beyond 32 bits today.
    github_workflow_run_id = models.BigIntegerField("GitHub run", null=True, blank=True)
    error_message = models.TextField(blank=True)
    result = JSONObjectField()
    started_at = models.DateTimeField("started", null=True, blank=True)
    finished_at = models.DateTimeField("finished", null=True, blank=True)

    objects = VideoProcessingJobQuerySet.as_manager()

    class Meta:
        db_table = "video_processing_jobs"
        ordering = ["-created_at"]
        verbose_name = "processing job"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="jobs_by_age"),
            models.Index(fields=["status", "-created_at"], name="jobs_by_status"),
            models.Index(fields=["channel", "-created_at"], name="jobs_by_channel"),
            models.Index(fields=["channel", "status"], name="jobs_by_channel_status"),
            models.Index(fields=["video", "-created_at"], name="jobs_by_video"),
        ]
        constraints = [
            UniqueConstraint(
                fields=["video", "kind"],
                condition=Q(status__in=["queued", "running"]),
                name="jobs_one_live_a_video_and_kind",
                violation_error_message="This video has a live job of this kind already.",
            ),
            one_of("jobs", "kind", JobKind.values),
            one_of("jobs", "status", JobStatus.values),
            text_lengths("jobs", worker=(0, 200), error_message=(0, None)),
            json_shapes("jobs", result="{"),
            in_range("jobs", "priority", LOWEST_PRIORITY, HIGHEST_PRIORITY),
            in_range("jobs", "attempts", 0, MOST_ATTEMPTS),
            in_range("jobs", "max_attempts", 1, MOST_ATTEMPTS),
            in_range("jobs", "backoff_seconds", 0, LONGEST_BACKOFF),
            in_range("jobs", "progress", 0, 100),
            CheckConstraint(
                condition=Q(github_workflow_run_id__gt=0),
                name="jobs_github_run_is_positive",
                violation_error_message="A GitHub run id is greater than 0.",
            ),
            CheckConstraint(
                condition=Q(finished_at__gte=F("started_at")),
                name="jobs_finish_after_start",
                violation_error_message="A job cannot finish before it starts.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.get_status_display()}"

    def clean(self) -> None:
        video = Video.objects.filter(pk=self.video_id).first()
        if video and self.channel_id and video.channel_id != self.channel_id:
            raise ValidationError({"channel": "The video belongs to another channel."})

    def save(self, **options: Any) -> None:
        if self._state.adding and not self.channel_id and self.video_id:
            self.channel_id = self.video.channel_id
        super().save(**options)
