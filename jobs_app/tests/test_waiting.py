"""Why a video is not moving now, in words."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from jobs_app.waiting import why_waiting
from settings_app.models import SystemConfiguration
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db

SLOT = datetime(2999, 11, 26, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = {"timezone": "Europe/Berlin", "slots": {"tue": ["18:00"]}}


@pytest.fixture
def channel() -> Channel:
    return examples.channel(schedule=BERLIN)


@pytest.fixture
def video(channel: Channel) -> Video:
    return examples.video(channel=channel)


def why(video: Video) -> str:
    return why_waiting(Video.objects.get(pk=video.pk))


def configure(key: str, value: object) -> None:
    SystemConfiguration.objects.update_or_create(key=key, defaults={"value": value})


def queued(video: Video, **values: Any) -> VideoProcessingJob:
    return examples.job(video, **{"run_at": timezone.now() - HOUR, **values})


def others(channel: Channel, count: int, **values: Any) -> None:
    sources = [f"https://example.org/{number}" for number in range(count)]
    videos = [Video(channel=channel, source_url=source) for source in sources]
    Video.objects.bulk_create(videos)
    job = {"channel": channel, "kind": "download", "run_at": timezone.now() - 2 * HOUR, **values}
    VideoProcessingJob.objects.bulk_create(VideoProcessingJob(video=v, **job) for v in videos)


class TestWithoutAJob:
    @pytest.mark.parametrize("status", ["scraped", "downloaded", "transformed"])
    def test_it_waits_to_be_admitted(self, channel: Channel, status: str) -> None:
        assert why(examples.video(channel=channel, status=status)) == "waits to be admitted"

    def test_of_an_inactive_channel(self, video: Video) -> None:
        video.channel.save_fields(is_active=False)
        assert why(video) == "channel Cooking is inactive"

    def test_of_a_channel_without_a_slot(self) -> None:
        video = examples.video(channel=examples.channel(schedule={}), status="transformed")
        assert why(video) == "waits for a slot: Cooking has no schedule."

    def test_of_a_channel_whose_filters_are_wrong(self) -> None:
        channel = examples.channel(filters={"min_views": -1})
        assert why(examples.video(channel=channel)) == (
            "cannot be admitted: the filters of Cooking are wrong: "
            '"min_views" must be a whole number, 0 or more.'
        )
        assert why(examples.video(channel=channel, status="downloaded")) == "waits to be admitted"

    def test_in_the_middle_of_a_stage(self, channel: Channel) -> None:
        video = examples.video(channel=channel, status="downloading")
        examples.job(video, status="failed")
        assert why(video) == "is downloading, but it has no job that would move it on"


class TestQueued:
    def test_for_its_slot(self, channel: Channel) -> None:
        video = examples.video(channel=channel, status="transformed", scheduled_for=SLOT)
        queued(video, kind="publish", run_at=SLOT)
        slot = "waits for its slot Tue 26 Nov 2999, 18:00 Europe/Berlin"
        assert why(video) == slot
        queued_long_ago = timezone.now() - HOUR  # the claim puts it off
        VideoProcessingJob.objects.update(run_at=queued_long_ago)
        assert why(video) == slot
        configure("jobs.paused", True)
        assert why(video) == f"the fleet is paused (jobs.paused); {slot}"

    def test_for_a_slot_that_was_taken_away(self) -> None:
        video = examples.video(channel=examples.channel(schedule={}), status="transformed")
        queued(video, kind="publish")
        assert why(video) == "waits for a slot: Cooking has no schedule."

    def test_for_another_slot_than_the_one_that_was_taken_away(self, channel: Channel) -> None:
        video = examples.video(channel=channel, status="transformed")
        job = queued(video, kind="publish")
        assert why(video) == "waits for a slot: it gets the next free one"
        assert VideoProcessingJob.objects.claim(worker="bench-01") == []
        job.refresh_from_db()
        assert job.run_at > timezone.now()

    def test_for_another_slot_than_the_one_that_it_missed(self, channel: Channel) -> None:
        missed = datetime(2026, 1, 6, 17, tzinfo=UTC)
        video = examples.video(channel=channel, status="transformed", scheduled_for=missed)
        job = queued(video, kind="publish", run_at=missed)
        assert why(video) == (
            "missed its slot Tue 6 Jan 2026, 18:00 Europe/Berlin: "
            "the claim gives it the next free one"
        )
        VideoProcessingJob.objects.update(attempts=1)
        assert why(video) == "waits for a worker: it is the next of its channel"
        VideoProcessingJob.objects.update(attempts=0)
        assert VideoProcessingJob.objects.claim(worker="bench-01") == []
        job.refresh_from_db()
        assert job.run_at > timezone.now()

    def test_for_its_slot_of_just_now(self, channel: Channel) -> None:
        just_now = timezone.now() - timedelta(minutes=59)
        video = examples.video(channel=channel, status="transformed", scheduled_for=just_now)
        queued(video, kind="publish", run_at=just_now)
        assert why(video) == "waits for a worker: it is the next of its channel"
        channel.save_fields(settings={"publish.posts_per_day": 0})
        assert why(video) == "waits for a slot: publish.posts_per_day of Cooking is 0."

    def test_for_its_next_attempt(self, video: Video) -> None:
        queued(video, run_at=SLOT, attempts=2, error_message="no disk")
        assert why(video) == (
            "waits for the next attempt (3 of 5) at 26 Nov 2999, 17:00 UTC: no disk"
        )

    def test_for_the_time_that_a_person_gave_it(self, video: Video) -> None:
        queued(video, run_at=SLOT)
        assert why(video) == "is not to be downloaded before 26 Nov 2999, 17:00 UTC"

    def test_of_an_inactive_channel_in_a_paused_fleet(self, video: Video) -> None:
        queued(video)
        configure("jobs.paused", True)
        video.channel.save_fields(is_active=False)
        assert why(video) == "the fleet is paused (jobs.paused); channel Cooking is inactive"

    def test_for_the_cap_of_its_channel(self, video: Video) -> None:
        queued(video)
        video.channel.save_fields(settings={"jobs.max_concurrent_per_channel": 1})
        assert "waits for a worker" in why(video)
        examples.job(examples.video(channel=video.channel), status="running")
        assert why(video) == "channel Cooking at its cap of 1 (jobs.max_concurrent_per_channel)"

    def test_for_the_cap_of_the_system(self, video: Video) -> None:
        queued(video)
        configure("jobs.max_concurrent", 1)
        assert "waits for a worker" in why(video)
        examples.job(examples.video(), status="running")
        assert why(video) == "the system is at its cap of 1 (jobs.max_concurrent)"

    def test_for_a_cap_that_silent_workers_hold(self, video: Video) -> None:
        queued(video)
        over = {"status": "running", "lease_expires_at": timezone.now() - HOUR}
        examples.job(examples.video(channel=video.channel), **over)
        examples.job(examples.video(channel=video.channel), status="running")
        for _ in range(2):
            examples.job(examples.video(), **over)
        said = "the system is at its cap of 4 (jobs.max_concurrent), 3 of them silent"
        assert why(video) == said
        configure("jobs.max_concurrent", 9)
        assert why(video) == (
            "channel Cooking at its cap of 2 (jobs.max_concurrent_per_channel), 1 of them silent"
        )

    def test_for_a_worker(self, video: Video) -> None:
        job = queued(video)
        others(examples.channel(), 1)
        for values in (
            {"priority": -1},
            {"run_at": job.run_at + timedelta(seconds=1)},
            {"priority": 5, "run_at": SLOT},
            {"status": "cancelled"},
        ):
            queued(examples.video(channel=video.channel), **values)
        assert why(video) == "waits for a worker: it is the next of its channel"
        queued(examples.video(channel=video.channel), priority=5, run_at=timezone.now())
        assert why(video) == "waits for a worker: 1 due job of its channel before it"
        queued(examples.video(channel=video.channel), run_at=job.run_at - HOUR)
        assert why(video) == "waits for a worker: 2 due jobs of its channel before it"

    def test_of_jobs_of_one_instant_as_they_are_claimed(self, channel: Channel) -> None:
        at = timezone.now() - HOUR
        jobs = [queued(examples.video(channel=channel), run_at=at) for _ in range(3)]
        said = {why(job.video): job for job in jobs}
        first = said["waits for a worker: it is the next of its channel"]
        assert VideoProcessingJob.objects.claim(worker="bench-01") == [first]

    def test_behind_many(self, video: Video) -> None:
        queued(video)
        others(video.channel, 101)
        assert why(video) == "waits for a worker: more than 100 due jobs of its channel before it"


class TestRunning:
    def test_with_a_worker(self, video: Video) -> None:
        soon = timezone.now() + timedelta(seconds=285)
        examples.job(video, status="running", progress=42, lease_expires_at=soon)
        said = re.sub(r"1\d s", "1_ s", why(video))
        assert said == "is being downloaded by bench-01: 42 %, heard of 1_ s ago"

    def test_with_a_worker_that_is_silent(self, video: Video) -> None:
        over = datetime(2026, 1, 2, 10, 5, tzinfo=UTC)
        examples.job(video, status="running", lease_expires_at=over)
        assert why(video) == (
            "its worker bench-01 is silent since 2 Jan 2026, 10:00 UTC: "
            "the next rescue takes the job back"
        )

    def test_asked_to_cancel(self, video: Video) -> None:
        at = datetime(2026, 1, 2, 10, tzinfo=UTC)
        examples.job(video, status="running", cancel_requested_at=at)
        assert why(video).startswith(
            "cancel was asked for at 2 Jan 2026, 10:00 UTC: bench-01 is told, heard of "
        )


class TestAtItsEnd:
    def test_it_failed(self, video: Video) -> None:
        queued(video)
        (job,) = VideoProcessingJob.objects.claim(worker="bench-01")
        job.fail("no disk", final=True)
        assert why(video) == "failed 1 of 5: no disk"

    def test_it_was_skipped(self, video: Video) -> None:
        video.move(Video.Status.SKIPPED, by="operator", why="too short")
        assert why(video) == "skipped: too short"

    def test_it_needs_a_person(self, video: Video) -> None:
        video.move(Video.Status.NEEDS_REVIEW, by="operator", why="odd")
        assert why(video) == "needs a person: odd"

    @pytest.mark.parametrize("history", [[], ["odd"], [{}], {}])
    def test_nobody_has_said_why(self, video: Video, history: Any) -> None:
        made = Video(status="failed", processing_history=history)
        assert why_waiting(made) == "failed: nobody has said why"

    def test_it_is_published(self) -> None:
        at = datetime(2026, 1, 2, 10, tzinfo=UTC)
        made = Video(status="published", published_at=at, youtube_video_id="D-lhorsDlUQ")
        assert why_waiting(made) == "published 2 Jan 2026, 10:00 UTC as D-lhorsDlUQ"


def statements(video: Video) -> int:
    fresh = Video.objects.get(pk=video.pk)
    with CaptureQueriesContext(connection) as captured:
        why_waiting(fresh)
    return sum("system_configuration" not in query["sql"] for query in captured.captured_queries)


def test_it_asks_a_bounded_number_of_times(video: Video) -> None:
    resting = examples.video(channel=video.channel, status="transformed")
    queued(video)
    assert (statements(video), statements(resting)) == (4, 3)
    others(video.channel, 110)
    for number in range(5):
        examples.job(examples.video(), status="running", progress=number)
    configure("jobs.max_concurrent", 1000)
    assert (statements(video), statements(resting)) == (4, 3)
