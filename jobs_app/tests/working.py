"""A worker in this process, what its handlers may do, and videos for it."""

import os
import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from channels_app.models import Channel
from jobs_app import handlers, heartbeat, worker
from jobs_app.handlers import Work
from jobs_app.models import VideoProcessingJob
from jobs_app.worker import Worker
from videos_app.models import Video
from ytops.tests import examples

BEFORE = {"download": "scraped", "transform": "downloaded", "publish": "transformed"}


class InOneProcess:
    """Its tests begin without handlers, wait for nothing, and each word of progress is due."""

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handlers, "_registered", {})
        for name in ("POLL", "NEXT_TRY"):
            monkeypatch.setattr(worker, name, (0.0, 0.001))
        monkeypatch.setattr(heartbeat, "PROGRESS_AFTER", 0.0)
        monkeypatch.setattr(heartbeat, "NEXT_TRY", 0.001)

    @pytest.fixture
    def channel(self, shared: None) -> Channel:
        return examples.channel(schedule={})


def queue(video: Video, kind: str) -> VideoProcessingJob:
    """A job that is due, whatever the clocks of Python and the database say."""
    return examples.job(video, kind=kind, run_at=timezone.now() - timedelta(minutes=1))


def queued(channel: Channel, kind: str = "download", **values: Any) -> VideoProcessingJob:
    past = timezone.now() - timedelta(minutes=1)
    slot = {"scheduled_for": past - timedelta(seconds=Video.objects.count())}
    values |= {"status": BEFORE[kind]} | (slot if kind == "publish" else {})
    return queue(examples.video(channel=channel, **values), kind)


def stored(job: VideoProcessingJob) -> VideoProcessingJob:
    return VideoProcessingJob.objects.select_related("video").get(pk=job.pk)


def states(job: VideoProcessingJob) -> tuple[str, str]:
    now = stored(job)
    return now.status, now.video.status


def work_once(*kinds: str) -> Worker:
    made = Worker("w1", kinds or sorted(handlers.registered()))
    made.run(once=True)
    return made


def until_told(work: Work) -> None:
    """Report progress until the heartbeat has an answer that ends the work."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        work.progress(50)
        time.sleep(0.001)
    raise AssertionError("the heartbeat never said anything")


def signals(count: int) -> None:
    for _ in range(count):
        os.kill(os.getpid(), signal.SIGTERM)
