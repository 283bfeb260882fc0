"""Videos and jobs at any point of their way, and what must hold of them at any time."""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, cast
from uuid import UUID

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from jobs_app import pipeline
from jobs_app.models import VideoProcessingJob
from jobs_app.states import KIND_FROM, STAGES
from settings_app.models import SystemConfiguration
from videos_app.life import MOVES, VideoStatus
from videos_app.models import Video
from ytops.tests import examples

JOBS = VideoProcessingJob.objects
YOUTUBE_ID = "D-lhorsDlUQ"
RESULTS: dict[str, dict[str, Any]] = {"publish": {"youtube_video_id": YOUTUBE_ID}}


def now() -> datetime:
    """The database's."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT STATEMENT_TIMESTAMP()")
            return cast(datetime, cursor.fetchone()[0])
        cursor.execute("SELECT STRFTIME('%Y-%m-%dT%H:%M:%f+00:00', 'NOW')")
        return datetime.fromisoformat(cursor.fetchone()[0])


def configure(key: str, value: Any) -> None:
    SystemConfiguration.objects.update_or_create(key=key, defaults={"value": value})


def bring_near(jobs: Collection[VideoProcessingJob], random: Random | None = None) -> None:
    """As if the slots of these publications were some time ago, each at an instant of its own."""
    random = random or Random()
    for job in jobs:
        at = now() - timedelta(seconds=random.uniform(1, 3000))
        Video.objects.filter(pk=job.video_id).update(scheduled_for=at)
        JOBS.filter(pk=job.pk).update(run_at=at)


def queued(kind: str = "download", **values: Any) -> VideoProcessingJob:
    """The due job of a new video that rests before its stage."""
    video = examples.video(status=STAGES[kind].before, **values)
    job = pipeline.admit(video, by="a test")
    assert job is not None
    if kind == "publish":
        bring_near([job])
    return stored(job)


def claim(worker: str = "w1", **options: Any) -> VideoProcessingJob:
    (job,) = JOBS.claim(worker=worker, **options)
    return job


def running(kind: str = "download", **values: Any) -> VideoProcessingJob:
    """The same, claimed by w1; there must be no other that is due."""
    job = queued(kind, **values)
    found = claim()
    assert found == job
    return found


def stored(job: VideoProcessingJob) -> VideoProcessingJob:
    return JOBS.select_related("video").get(pk=job.pk)


def with_token(job: VideoProcessingJob, token: UUID | None) -> VideoProcessingJob:
    """As a worker has it that speaks from elsewhere: the row, and the token it was given."""
    found = stored(job)
    found.lease_token = token
    return found


def everything() -> list[Any]:
    """What stands in the rows of all videos and jobs."""
    return [*Video.objects.order_by("pk").values(), *JOBS.order_by("pk").values()]


def fall_silent(*jobs: VideoProcessingJob) -> None:
    """As if the lease had just expired."""
    JOBS.filter(pk__in=[job.pk for job in jobs]).update(
        lease_expires_at=Now() - timedelta(seconds=1)
    )


def due_again(job: VideoProcessingJob) -> None:
    JOBS.filter(pk=job.pk).update(run_at=F("created_at"))


def put_by_hand(job: VideoProcessingJob, at: VideoStatus) -> None:
    """Its video, past all rules."""
    Video._base_manager.filter(pk=job.video_id).update(status=at)


def moves_of(job: VideoProcessingJob) -> list[tuple[str, str]]:
    history = stored(job).video.processing_history
    return [(entry["from"], entry["to"]) for entry in history]


def assert_in_order(video: Video, start: VideoStatus = VideoStatus.SCRAPED) -> None:
    """Its history is complete: each entry goes on from the one before, by an allowed move."""
    history = video.processing_history
    steps = [{"to": start.value, "at": ""}, *history]
    for before, entry in pairwise(steps):
        assert entry["from"] == before["to"], history
        assert entry["to"] in MOVES[VideoStatus(entry["from"])], history
        assert entry["at"] >= before["at"], history
        assert entry["by"], history
    assert steps[-1]["to"] == video.status, history


def assert_agree(video: Video) -> None:
    """What its jobs say and where it is are the same story."""
    jobs = list(video.jobs.order_by("created_at"))
    story = (video.status, [(job.kind, job.status) for job in jobs])
    live = [job for job in jobs if job.status in ("queued", "running")]
    assert len(live) <= 1, story
    during = {stage.during: kind for kind, stage in STAGES.items()}
    at = VideoStatus(video.status)
    if at in during:
        assert [(job.kind, job.status) for job in live] == [(during[at], "running")], story
    elif at in KIND_FROM:
        assert [(job.kind, job.status) for job in live] == [(KIND_FROM[at], "queued")], story
    else:
        assert not live, story
        last = max(jobs, key=lambda job: job.finished_at or job.created_at)
        assert (last.kind, last.status) in ENDS[at] or (
            at == VideoStatus.SKIPPED and last.cancel_requested_at
        ), story


ENDS = {
    VideoStatus.PUBLISHED: [("publish", "succeeded"), ("publish", "failed")],  # or confirmed
    VideoStatus.NEEDS_REVIEW: [("publish", "failed")],
    VideoStatus.FAILED: [(kind, "failed") for kind in STAGES],
    VideoStatus.SKIPPED: [(kind, "cancelled") for kind in STAGES],
}
