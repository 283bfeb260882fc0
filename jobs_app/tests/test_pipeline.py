"""What each end of a job does to its video, and what comes after it, in one transaction."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError

from jobs_app import pipeline
from jobs_app.models import VideoProcessingJob
from jobs_app.states import STAGES, JobKind, JobRefused, LeaseLost
from jobs_app.tests.fleet import (
    JOBS,
    RESULTS,
    YOUTUBE_ID,
    assert_in_order,
    bring_near,
    claim,
    configure,
    due_again,
    everything,
    fall_silent,
    moves_of,
    now,
    queued,
    running,
    stored,
)
from videos_app.life import RESTING, MoveRefused, VideoStatus
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db
KINDS = JobKind.values


def ended(job: VideoProcessingJob) -> tuple[str, str]:
    """The status of the job and that of its video."""
    found = stored(job)
    if found.status != "queued":
        assert found.finished_at is not None
        assert found.started_at is None or found.started_at <= found.finished_at <= now()
    assert (found.lease_token, found.lease_expires_at) == (None, None)
    return found.status, found.video.status


class TestComplete:
    @pytest.mark.parametrize("kind", KINDS)
    def test_moves_the_video_on(self, kind: str) -> None:
        job, stage = running(kind), STAGES[kind]
        result = {"size": 5, **RESULTS.get(kind, {})}
        job.complete(result)
        assert ended(job) == ("succeeded", stage.after)
        found = stored(job)
        assert (found.progress, found.result, found.error_message) == (100, result, "")
        assert moves_of(job) == [(stage.before, stage.during), (stage.during, stage.after)]
        first, second = found.video.processing_history
        assert (first["by"], second["by"]) == ("worker w1", "worker w1")
        assert (first["why"], second["why"]) == ("attempt 1 of 5", "done")
        assert first["job"] == second["job"] == str(job.pk)

    def test_queues_the_next_job_with_the_same_priority(self) -> None:
        job = queued()
        JOBS.update(priority=7)
        claim().complete()
        following = JOBS.queued().get()
        assert (following.kind, following.priority, following.attempts) == ("transform", 7, 0)
        assert (following.video_id, following.channel_id) == (job.video_id, job.channel_id)
        assert following.run_at <= now()

    def test_queues_the_publication_for_the_next_free_slot_of_the_channel(self) -> None:
        job = running("transform")
        job.complete()
        following = JOBS.queued().get()
        assert following.kind == "publish"
        assert following.run_at == stored(job).video.scheduled_for
        assert following.run_at > now()
        assert JOBS.claim(worker="w1") == []

    def test_leaves_the_video_waiting_if_its_channel_has_no_slot(self) -> None:
        job = running("transform", channel=examples.channel(schedule={}))
        job.complete()
        assert ended(job) == ("succeeded", "transformed")
        assert not JOBS.live().exists()
        assert list(pipeline.waiting()) == [job.video]

    def test_of_a_publication_notes_where_it_is_out_and_when(self) -> None:
        job = running("publish")
        before = now()
        job.complete(RESULTS["publish"])
        video = stored(job).video
        assert video.youtube_video_id == YOUTUBE_ID
        assert video.published_at is not None
        assert before <= video.published_at <= now()
        assert not JOBS.live().exists()

    @pytest.mark.parametrize(
        ("result", "said"),
        [
            ({}, "youtube_video_id"),
            ({"youtube_video_id": None}, "youtube_video_id"),
            ({"youtube_video_id": "short"}, "11 letters"),
            ({"youtube_video_id": YOUTUBE_ID, "size": float("nan")}, "not a number"),
            ({"youtube_video_id": "taken-by-it"}, 'of "A cake"'),
        ],
        ids=["none", "null", "no_id", "not_json", "of_another"],
    )
    def test_of_a_publication_that_is_not_confirmed_is_refused_and_can_be_said_again(
        self, result: dict[str, Any], said: str
    ) -> None:
        job = running("publish")
        examples.video(channel=job.channel, title="A cake", youtube_video_id="taken-by-it")
        before = everything()
        with pytest.raises(ValidationError, match=said):
            job.complete(result)
        assert everything() == before
        job.complete(RESULTS["publish"])
        assert ended(job) == ("succeeded", "published")

    def test_without_the_next_job_is_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the worker, who still holds it, can say it again."""
        job = running()
        before = everything()

        def no_disk(*args: Any, **options: Any) -> None:
            raise OperationalError("no disk")

        with monkeypatch.context() as broken:
            broken.setattr(type(JOBS.all()), "enqueue", no_disk)
            with pytest.raises(OperationalError, match="no disk"):
                job.complete({"size": 5})
        assert everything() == before
        job.complete({"size": 5})
        assert ended(job) == ("succeeded", "downloaded")

    def test_with_a_next_job_that_is_there_already_takes_that(self) -> None:
        """Somebody has queued it by hand, too early."""
        job = running()
        early = examples.job(job.video, kind="transform", run_at=now() + timedelta(days=1))
        job.complete()
        assert ended(job) == ("succeeded", "downloaded")
        assert JOBS.queued().get() == early

    def test_of_what_was_cancelled_stops_the_video_there(self) -> None:
        job = running("transform")
        stored(job).cancel(by="an operator")
        job.complete()
        assert ended(job) == ("succeeded", "skipped")
        assert moves_of(job)[1:] == [("transforming", "transformed"), ("transformed", "skipped")]
        assert not JOBS.live().exists()
        assert stored(job).video.scheduled_for is None

    def test_of_a_publication_that_was_cancelled_is_out_all_the_same(self) -> None:
        job = running("publish")
        stored(job).cancel(by="an operator")
        job.complete(RESULTS["publish"])
        assert ended(job) == ("succeeded", "published")

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_a_video_that_went_its_own_way_is_refused(self, kind: str) -> None:
        job = running(kind)
        stored(job).video.move(VideoStatus.NEEDS_REVIEW, by="an operator")
        before = everything()
        with pytest.raises(MoveRefused, match=f"from {STAGES[kind].during}"):
            job.complete(RESULTS.get(kind))
        assert everything() == before
        job.fail("the video was taken away", final=True)
        assert ended(job) == ("failed", "needs_review")


class TestFail:
    @pytest.mark.parametrize("kind", ["download", "transform"])
    def test_puts_the_job_and_the_video_back(self, kind: str) -> None:
        job, before = running(kind), now()
        job.fail("no disk")
        assert ended(job) == ("queued", STAGES[kind].before)
        found = stored(job)
        assert (found.attempts, found.error_message, found.finished_at) == (1, "no disk", None)
        assert before <= found.run_at <= now() + timedelta(seconds=60)
        assert found.video.processing_history[-1]["why"] == "attempt 1 of 5: no disk"

    def test_the_last_time_is_for_good(self) -> None:
        configure("jobs.max_attempts", 3)
        job = queued()
        for attempt in range(1, 4):
            found = claim()
            assert (found.pk, stored(job).attempts) == (job.pk, attempt)
            found.fail("no disk")
            due_again(job) if attempt < 3 else None
        assert ended(job) == ("failed", "failed")
        assert stored(job).video.processing_history[-1]["why"] == "failed 3 of 3: no disk"
        assert_in_order(stored(job).video)
        assert JOBS.claim(worker="w1") == []

    @pytest.mark.parametrize("kind", KINDS)
    def test_finally_is_for_good_at_once(self, kind: str) -> None:
        job = running(kind)
        job.fail("gone from the source", final=True)
        assert ended(job) == ("failed", "failed")
        assert stored(job).video.processing_history[-1]["why"] == (
            "failed 1 of 5: gone from the source"
        )
        slot = stored(job).video.scheduled_for
        assert slot is None

    @pytest.mark.parametrize("kind", KINDS)
    def test_is_tried_again_when_the_worker_says(self, kind: str) -> None:
        job, before = running(kind), now()
        job.fail("quota", retry_in=timedelta(hours=1))
        assert ended(job) == ("queued", STAGES[kind].before)
        wait = stored(job).run_at - before
        assert timedelta(hours=1) <= wait <= timedelta(hours=1, seconds=30)
        due_again(job)
        again = claim()
        assert (again.pk, again.attempts) == (job.pk, 2)
        again.complete(RESULTS.get(kind))
        assert ended(job) == ("succeeded", STAGES[kind].after)

    def test_of_a_publication_means_that_nobody_knows_whether_it_is_out(self) -> None:
        job = running("publish")
        slot = stored(job).video.scheduled_for
        job.fail("the connection broke")
        assert ended(job) == ("failed", "needs_review")
        assert stored(job).error_message == "the connection broke"
        assert "its outcome is not known" in stored(job).video.processing_history[-1]["why"]
        assert stored(job).video.scheduled_for == slot
        assert JOBS.claim(worker="w1") == []

    def test_of_a_publication_for_the_last_time_gives_its_slot_back(self) -> None:
        job = queued("publish")
        JOBS.update(max_attempts=1)
        claim().fail("refused", retry_in=timedelta(0))
        assert ended(job) == ("failed", "failed")
        assert stored(job).video.scheduled_for is None

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_what_was_cancelled_ends_it(self, kind: str) -> None:
        job = running(kind)
        stored(job).cancel(by="an operator")
        job.fail("stopped", final=True)
        assert ended(job) == ("cancelled", "skipped")
        assert stored(job).video.scheduled_for is None
        assert_in_order(stored(job).video, STAGES[kind].before)

    def test_of_a_publication_that_was_cancelled_may_be_out(self) -> None:
        job = running("publish")
        stored(job).cancel(by="an operator")
        job.fail("stopped")
        assert ended(job) == ("failed", "needs_review")

    @pytest.mark.parametrize("text", ["killed\x00by", "caf\udce9.mp4", "\x00"])
    def test_with_an_error_that_no_database_takes_is_heard_all_the_same(self, text: str) -> None:
        """As it comes from a tool's output, or out of a file's name."""
        job = running()
        job.fail(text)
        assert ended(job) == ("queued", "scraped")
        assert "\ufffd" in stored(job).error_message


class TestPutOff:
    """A publication whose slot is another one by the time that it is due."""

    def test_to_a_later_slot_waits_for_it(self) -> None:
        job, later = queued("publish"), now() + timedelta(days=1)
        Video.objects.update(scheduled_for=later)
        assert JOBS.claim(worker="w1") == []
        assert ended(job) == ("queued", "transformed")
        assert stored(job).run_at == later
        assert stored(job).attempts == 0

    def test_without_its_slot_gets_the_next_free_one(self) -> None:
        job = queued("publish")
        Video.objects.update(scheduled_for=None)
        assert JOBS.claim(worker="w1") == []
        assert stored(job).run_at == stored(job).video.scheduled_for
        assert stored(job).run_at > now()

    def test_without_any_is_cancelled_and_its_video_waits(self) -> None:
        job = queued("publish")
        Video.objects.update(scheduled_for=None)
        job.channel.save_fields(schedule={})
        assert JOBS.claim(worker="w1") == []
        assert ended(job) == ("cancelled", "transformed")
        assert "has no schedule" in stored(job).error_message
        assert list(pipeline.waiting()) == [job.video]

    def test_does_not_keep_others_from_being_claimed(self) -> None:
        off = [queued("publish", channel=examples.channel(name=f"C{n}")) for n in range(3)]
        Video.objects.update(scheduled_for=None)
        due = queued("publish", channel=off[0].channel)
        JOBS.filter(pk=due.pk).update(priority=-1)
        assert [job.pk for job in JOBS.claim(worker="w1", limit=9)] == [due.pk]


class TestAdmit:
    def test_gives_a_scraped_video_its_first_job(self) -> None:
        video = examples.video()
        job = pipeline.admit(video, by="an operator")
        assert job is not None
        assert (job.kind, job.video_id) == ("download", video.pk)
        assert stored(job).video.processing_history == []
        assert pipeline.admit(video, by="an operator") is None
        assert JOBS.count() == 1

    def test_skips_what_does_not_qualify_and_says_why(self) -> None:
        channel = examples.channel(filters={"min_views": 1000})
        video = examples.video(channel=channel, metadata={"views_at_source": 5})
        assert pipeline.admit(video, by="an operator") is None
        video.refresh_from_db()
        assert video.status == "skipped"
        (entry,) = video.processing_history
        assert entry["by"] == "an operator"
        assert entry["why"] == "its view count of 5 is under the channel's min_views 1000"
        job = pipeline.resume(video, by="an operator")  # a person wants it all the same
        assert job is not None
        assert job.kind == "download"

    def test_leaves_all_as_it_is_if_the_filters_are_wrong(self) -> None:
        channel = examples.channel()
        type(channel).objects.update(filters={"min_view": 1})
        video = examples.video(channel=channel)
        with pytest.raises(JobRefused, match="min_views"):
            pipeline.admit(video, by="an operator")
        video.refresh_from_db()
        assert video.status == "scraped"

    @pytest.mark.parametrize("status", [s for s in VideoStatus if s not in RESTING])
    def test_passes_over_what_does_not_wait(self, status: VideoStatus) -> None:
        assert pipeline.admit(examples.video(status=status), by="an operator") is None
        assert not JOBS.exists()

    def test_goes_on_with_what_got_a_schedule(self) -> None:
        job = running("transform", channel=examples.channel(schedule={}))
        job.complete()
        channel = job.channel
        channel.save_fields(schedule={"timezone": "UTC", "slots": {"mon": ["10:00"]}})
        publication = pipeline.admit(job.video, by="an operator")
        assert publication is not None
        assert publication.run_at == stored(publication).video.scheduled_for


class TestAPersonDecides:
    """About a publication whose outcome is not known."""

    @pytest.fixture
    def job(self) -> VideoProcessingJob:
        job = running("publish")
        fall_silent(job)
        assert JOBS.rescue() == [job]
        assert ended(job) == ("failed", "needs_review")
        return stored(job)

    def test_that_it_is_out(self, job: VideoProcessingJob) -> None:
        pipeline.confirm(job.video, YOUTUBE_ID, by="an operator")
        video = stored(job).video
        assert (video.status, video.youtube_video_id) == ("published", YOUTUBE_ID)
        assert video.published_at is not None
        assert video.processing_history[-1]["why"] == f"is on YouTube as {YOUTUBE_ID}"
        with pytest.raises(MoveRefused):
            stored(job).retry(by="an operator")
        with pytest.raises(MoveRefused):
            pipeline.resume(stored(job).video, by="an operator")

    @pytest.mark.parametrize("text", ["", "short", "taken-by-it", "D-lhorsDlU\n"])
    def test_that_it_is_out_as_what_cannot_be(self, job: VideoProcessingJob, text: str) -> None:
        examples.video(channel=job.channel, youtube_video_id="taken-by-it")
        before = everything()
        with pytest.raises(ValidationError):
            pipeline.confirm(job.video, text, by="an operator")
        assert everything() == before

    def test_that_it_is_not_out(self, job: VideoProcessingJob) -> None:
        old_slot = job.video.scheduled_for
        assert pipeline.deny(job.video, by="an operator") == job
        found = stored(job)
        assert (found.status, found.attempts, found.video.status) == ("queued", 0, "transformed")
        assert found.run_at == found.video.scheduled_for != old_slot
        bring_near([job])
        claim().complete(RESULTS["publish"])
        assert ended(job) == ("succeeded", "published")

    def test_once(self, job: VideoProcessingJob) -> None:
        pipeline.deny(job.video, by="one")
        before = everything()
        with pytest.raises(JobRefused):
            pipeline.deny(stored(job).video, by="two")
        with pytest.raises(JobRefused):
            pipeline.confirm(stored(job).video, YOUTUBE_ID, by="two")
        assert everything() == before

    def test_and_the_late_worker_is_not_heard(self, job: VideoProcessingJob) -> None:
        before = everything()
        with pytest.raises(LeaseLost):
            job.complete(RESULTS["publish"])
        assert everything() == before
