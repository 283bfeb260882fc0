"""A publication that is queued, when its video gets another slot."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs_app.models import VideoProcessingJob
from videos_app.models import Video
from ytops.tests import examples

SLOT = timezone.now().replace(microsecond=0) + timedelta(days=3)
SOON = timedelta(minutes=1)


@pytest.fixture
def video(db: None) -> Video:
    return examples.video(status="transformed", scheduled_for=SLOT)


def queued(video: Video, run_at: datetime = SLOT, **values: int) -> VideoProcessingJob:
    return examples.job(video, kind="publish", run_at=run_at, **values)


def run_at(job: VideoProcessingJob) -> datetime:
    job.refresh_from_db()
    return job.run_at


@pytest.mark.parametrize("days", [1, 5])
def test_it_is_tried_at_the_new_one(video: Video, days: int) -> None:
    job, slot = queued(video), SLOT + timedelta(days=days - 3)
    video.save_fields(scheduled_for=slot)
    assert run_at(job) == slot


@pytest.mark.parametrize("slot", [None, SLOT - timedelta(days=9)])
def test_without_one_to_come_it_is_due_at_once(video: Video, slot: datetime | None) -> None:
    job = queued(video)
    video.save_fields(scheduled_for=slot)
    assert abs(run_at(job) - timezone.now()) < SOON


def test_its_next_attempt_is_not_hurried_by_a_slot_that_is_over(video: Video) -> None:
    job = queued(video, run_at=SLOT, attempts=1)
    video.save_fields(scheduled_for=SLOT - timedelta(days=9))
    assert run_at(job) == SLOT


def test_what_writes_no_slot_moves_no_job(video: Video) -> None:
    job = queued(video, run_at=SLOT + timedelta(days=1))
    video.save_fields(title="Renamed")
    assert run_at(job) == SLOT + timedelta(days=1)


def test_other_jobs_stay(video: Video) -> None:
    jobs = [examples.job(video, kind="download", run_at=SLOT), queued(video, SLOT)]
    jobs[1].save_fields(status="cancelled")
    video.save_fields(scheduled_for=SLOT - timedelta(days=1))
    assert [run_at(job) for job in jobs] == [SLOT, SLOT]


@contextmanager
def held_elsewhere(job: VideoProcessingJob) -> Iterator[None]:
    held, done = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                VideoProcessingJob.objects.select_for_update().get(pk=job.pk)
                held.set()
                done.wait()
        finally:
            held.set()
            connection.close()

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock for all rows")
@pytest.mark.django_db(transaction=True)
def test_a_job_that_somebody_holds_is_not_waited_for(video: Video) -> None:
    job, slot = queued(video), SLOT - timedelta(days=1)
    with held_elsewhere(job), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '3s'")
        video.save_fields(scheduled_for=slot)
    video.refresh_from_db()
    assert (run_at(job), video.scheduled_for) == (SLOT, slot)
