"""The states and kinds of a job, and what its kind means in the life of its video."""

from typing import NamedTuple

from django.db.models import TextChoices

from videos_app.life import VideoStatus


class JobStatus(TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


LIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
FINISHED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class JobKind(TextChoices):
    DOWNLOAD = "download", "download"
    TRANSFORM = "transform", "transform"
    PUBLISH = "publish", "publish"


class Stage(NamedTuple):
    """Where a video is before, during and after a job of a kind."""

    before: VideoStatus
    during: VideoStatus
    after: VideoStatus


S = VideoStatus
STAGES = {
    JobKind.DOWNLOAD.value: Stage(S.SCRAPED, S.DOWNLOADING, S.DOWNLOADED),
    JobKind.TRANSFORM.value: Stage(S.DOWNLOADED, S.TRANSFORMING, S.TRANSFORMED),
    JobKind.PUBLISH.value: Stage(S.TRANSFORMED, S.PUBLISHING, S.PUBLISHED),
}
KIND_FROM = {stage.before: kind for kind, stage in STAGES.items()}


class JobRefused(Exception):
    """What was asked of a job or a video cannot be done; nothing has changed."""


class LeaseLost(JobRefused):
    """The job is not this worker's any more; nothing has changed."""
