"""What is late, what may be out, and what somebody else holds at the moment."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from jobs_app import pipeline
from jobs_app.models import VideoProcessingJob
from jobs_app.states import JobRefused
from jobs_app.tests.fleet import JOBS, claim, configure, queued, running, stored
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def move_slot(job: VideoProcessingJob, by: timedelta) -> None:
    Video.objects.filter(pk=job.video_id).update(scheduled_for=Now() + by)
    job.write(run_at=Now() + by)


class TestALatePublication:
    def test_goes_out_within_the_hour(self) -> None:
        job = queued("publish")
        move_slot(job, -timedelta(minutes=59))
        assert claim() == job

    def test_gets_the_next_slot_after_it(self) -> None:
        job = queued("publish")
        move_slot(job, -timedelta(minutes=61))
        assert JOBS.claim(worker="w") == []
        found = stored(job)
        assert found.status == "queued"
        assert found.run_at == found.video.scheduled_for
        assert JOBS.filter(pk=job.pk, run_at__gt=Now()).exists()

    def test_what_an_outage_held_up_does_not_go_out_at_once(self) -> None:
        channel = examples.channel()
        jobs = [queued("publish", channel=channel) for _ in range(4)]
        for number, job in enumerate(jobs, start=2):
            move_slot(job, -number * DAY)
        assert JOBS.claim(worker="w", limit=4) == []
        days = {stored(job).run_at.date() for job in jobs}
        assert len(days) == 4  # the default schedule has one slot a day

    def test_that_was_tried_before_is_tried_again(self) -> None:
        job = queued("publish")
        claim().fail("quota", retry_in=timedelta(0))
        move_slot(job, -DAY)
        assert claim() == job

    def test_of_a_channel_that_was_stopped_waits(self) -> None:
        job = queued("publish")
        configure("publish.posts_per_day", 0)
        assert JOBS.claim(worker="w") == []
        found = stored(job)
        assert (found.status, found.video.status) == ("cancelled", "transformed")
        assert "publish.posts_per_day" in found.error_message
        assert found.video.scheduled_for is None
        configure("publish.posts_per_day", 2)
        assert found.retry(by="operator")
        assert stored(job).run_at == stored(job).video.scheduled_for


class TestWhatMayBeOut:
    def test_is_reviewed_if_its_job_is_gone(self) -> None:
        job = running("publish")
        job.delete()
        video = Video.objects.get()
        assert pipeline.resume(video, by="operator") is None
        assert Video.objects.get().status == "needs_review"
        assert not JOBS.exists()

    def test_is_not_confirmed_while_it_is_published(self) -> None:
        video = Video.objects.get(pk=running("publish").video_id)
        with pytest.raises(JobRefused, match="waits for no review"):
            pipeline.confirm(video, "D-lhorsDlUQ", by="operator")
        assert Video.objects.get().status == "publishing"

    def test_a_time_to_come_is_kept(self) -> None:
        job = running("publish")
        later = timezone.now() + 300 * DAY
        Video.objects.update(scheduled_for=later)
        job.fail("timeout")
        assert pipeline.deny(Video.objects.get(), by="operator") == job
        assert stored(job).run_at == stored(job).video.scheduled_for == later

    def test_an_old_failure_does_not_take_the_video_from_a_later_job(self) -> None:
        job = running("download")
        job.fail("no disk", final=True)
        video = stored(job).video
        video.move(VideoStatus.DOWNLOADED, by="a script")
        later = pipeline.admit(video, by="a script")
        with pytest.raises(JobRefused, match="has gone on"):
            stored(job).review(by="operator")
        assert later is not None
        assert stored(later).status == "queued"

    @pytest.mark.parametrize("status", ["downloading", "transforming"])
    def test_a_video_that_came_in_half_way_goes_on_where_it_was(self, status: str) -> None:
        job = pipeline.resume(examples.video(status=status), by="operator")
        assert job is not None
        assert stored(job).kind == {"downloading": "download", "transforming": "transform"}[status]


@pytest.mark.parametrize("is_done", [True, False])
def test_it_is_told_who_cancelled_what_ran(is_done: bool) -> None:
    job = running("download")
    job.cancel(by="alice")
    job.cancel(by="bob")
    if is_done:
        job.complete({})
    else:
        job.fail("stopped")
    found = stored(job)
    assert "alice asked to cancel it" in found.error_message
    last = found.video.processing_history[-1]
    assert (last["to"], "alice" in last["why"]) == ("skipped", True)


def test_who_does_not_qualify_gives_its_slot_back() -> None:
    channel = examples.channel(filters={"min_duration_seconds": 10})
    video = examples.video(channel=channel, scheduled_for=timezone.now() + DAY)
    assert pipeline.admit(video, by="operator") is None
    video.refresh_from_db()
    assert (video.status, video.scheduled_for) == ("skipped", None)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one lock for all rows")
@pytest.mark.parametrize("kind", ["download", "publish"])
@pytest.mark.parametrize("table", ["videos", "video_processing_jobs"])
def test_a_claim_passes_over_what_somebody_holds(shared: Any, kind: str, table: str) -> None:
    held, free = queued(kind), queued(kind)
    key = held.video_id if table == "videos" else held.pk
    with closing(connection.copy()) as other, other.cursor() as cursor:
        other.set_autocommit(False)
        cursor.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [key])
        assert JOBS.claim(worker="w", limit=2) == [free]
        other.rollback()
    assert claim() == held
