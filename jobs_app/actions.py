"""What an operator does with a job, and with a video and its jobs, in the admin."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Q

from jobs_app import pipeline
from jobs_app.models import VideoProcessingJob
from jobs_app.states import LIVE, JobRefused, JobStatus
from jobs_app.waiting import why_waiting
from videos_app.life import RESTING, MoveRefused, VideoStatus
from videos_app.models import Video
from ytops.admin.actions import ActionRefused, object_action

ENDED = (JobStatus.FAILED, JobStatus.CANCELLED)
# The ways in which YouTube and people write the address of a video.
ADDRESS = re.compile(
    r"(?:https?://)?(?:(?:www|m|music|studio)\.)?"
    r"(?:youtube\.com/(?:watch\?(?:\S*&)?v=|(?:shorts|live|embed|video)/)|youtu\.be/)"
    r"([\w-]+)(?:[?&/#]\S*)?",
    re.ASCII | re.IGNORECASE,
)


def youtube_id(text: str) -> str:
    """The id in the address of a video; any other text as it is, without its outer spaces."""
    text = text.strip()
    found = ADDRESS.fullmatch(text)
    return found[1] if found else text


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except (JobRefused, MoveRefused) as refusal:
        raise ActionRefused(str(refusal)) from None


def is_in_review(job: VideoProcessingJob) -> bool:
    return bool(job.video.status == VideoStatus.NEEDS_REVIEW)


def how_queued(is_queued: object, video: Video) -> str:
    if video.status == VideoStatus.NEEDS_REVIEW:
        return "sent to review: it may be out"
    return "queued" if is_queued else "waits for a slot of its channel"


# --- jobs ---


@object_action(
    VideoProcessingJob, "Retry", button=lambda job: job.status in ENDED and not is_in_review(job)
)
@refusals()
def retry(job: VideoProcessingJob, by: str) -> str:
    return how_queued(job.retry(by=by), job.video)


@object_action(VideoProcessingJob, "Cancel", button=lambda job: job.status in LIVE)
@refusals()
def cancel(job: VideoProcessingJob, by: str) -> str:
    if job.lock(Q(status=JobStatus.RUNNING, cancel_requested_at__isnull=False)):
        raise ActionRefused(f'"{job.video}": its {job.kind} was asked to cancel already.')
    job.cancel(by=by)
    return "cancelled" if job.status == JobStatus.CANCELLED else "asked to cancel"


@object_action(
    VideoProcessingJob,
    "Send to review",
    button=lambda job: job.status in (*LIVE, JobStatus.FAILED) and not is_in_review(job),
)
@refusals()
def review(job: VideoProcessingJob, by: str) -> str:
    job.review(by=by)
    return "sent to review"


# --- videos ---


def can_be_admitted(video: Video) -> bool:
    return video.status in RESTING and not video.jobs.live().exists()


def can_be_retried(video: Video) -> bool:
    stopped = video.status in (VideoStatus.FAILED, VideoStatus.SKIPPED)
    return stopped or (is_under_way(video) and not video.jobs.live().exists())


def is_under_way(video: Video) -> bool:
    return video.status in Video.IN_PROGRESS and video.status not in RESTING


@object_action(Video, "Admit", button=can_be_admitted)
@refusals()
def admit(video: Video, by: str) -> str:
    locked: Any = Video.objects.select_for_update(of=("self",), no_key=True)
    video = locked.get(pk=video.pk)
    if not can_be_admitted(video):
        raise ActionRefused(f'"{video}" does not wait to be admitted: {why_waiting(video)}.')
    job = pipeline.admit(video, by=by)
    video.refresh_from_db()
    return "skipped" if video.status == VideoStatus.SKIPPED else how_queued(job, video)


@object_action(Video, "Retry", button=can_be_retried)
@refusals()
def retry_video(video: Video, by: str) -> str:
    return how_queued(pipeline.resume(video, by=by), video)


@object_action(Video, "It is out", takes="youtube")
@refusals()
def confirm(video: Video, by: str, text: str) -> str:
    pipeline.confirm(video, youtube_id(text), by=by)
    return "published"


@object_action(Video, "It is not out")
@refusals()
def queue_again(video: Video, by: str) -> str:
    return how_queued(pipeline.deny(video, by=by), video)
