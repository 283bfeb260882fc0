"""What goes into the queue, and what people do with what is in it."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs_app import pipeline
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.states import STAGES, JobKind, JobRefused, LeaseLost
from jobs_app.tests.fleet import (
    JOBS,
    RESULTS,
    assert_in_order,
    bring_near,
    claim,
    configure,
    everything,
    fall_silent,
    moves_of,
    now,
    put_by_hand,
    queued,
    running,
    stored,
    with_token,
)
from settings_app.tests.threads import at_once
from videos_app.life import VideoStatus
from ytops.tests import examples

pytestmark = pytest.mark.django_db
KINDS = JobKind.values
OPERATOR = "an operator"


class TestANewJob:
    def test_is_due_by_the_time_of_the_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ahead = timezone.now() + timedelta(hours=1)
        monkeypatch.setattr("django.utils.timezone.now", lambda: ahead)
        job = queued()
        assert stored(job).run_at <= now()
        assert claim() == job

    def test_is_tried_as_often_as_configured_when_it_is_queued(self) -> None:
        configure("jobs.max_attempts", 7)
        configure("jobs.backoff_seconds", 9)
        job = queued()
        configure("jobs.max_attempts", 2)
        found = stored(job)
        assert (found.max_attempts, found.backoff_seconds) == (7, 9)


class TestHeartbeat:
    def test_keeps_the_lease_for_another_while(self) -> None:
        job = running()
        fall_silent(job)
        assert job.heartbeat(progress=40, run_id=9_876_543_210) == Answer.CONTINUE
        found = stored(job)
        assert (found.progress, found.github_workflow_run_id) == (40, 9_876_543_210)
        assert found.lease_expires_at is not None
        assert timedelta(seconds=299) < found.lease_expires_at - now() <= timedelta(seconds=300)
        assert JOBS.rescue() == []
        assert job.heartbeat() == Answer.CONTINUE
        assert stored(job).progress == 40

    def test_asks_to_cancel_as_long_as_it_is_wanted(self) -> None:
        job = running()
        stored(job).cancel(by=OPERATOR)
        assert [job.heartbeat(), job.heartbeat()] == [Answer.CANCEL] * 2

    @pytest.mark.parametrize("lost", ["token", "ended", "gone", "queued"])
    def test_of_who_lost_it_changes_nothing(self, lost: str) -> None:
        job = running()
        if lost == "token":
            job.lease_token = uuid4()
        elif lost == "ended":
            stored(job).complete()
        elif lost == "queued":
            stored(job).fail("no disk")
        else:
            stored(job).video.delete()
        before = everything()
        assert job.heartbeat(progress=99) == Answer.LOST
        assert everything() == before


class TestLost:
    """The token decides: a word that comes late changes nothing."""

    LATE: dict[str, Callable[[VideoProcessingJob], Any]] = {
        "complete": lambda job: job.complete(RESULTS.get(job.kind)),
        "fail": lambda job: job.fail("no disk"),
        "fail_finally": lambda job: job.fail("no disk", final=True),
    }

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("word", LATE)
    @pytest.mark.parametrize("since", ["rescued", "claimed_again", "succeeded", "another_token"])
    def test(self, kind: str, word: str, since: str) -> None:
        job = running(kind)
        late = with_token(job, job.lease_token)
        if since == "succeeded":
            job.complete(RESULTS.get(kind))
        elif since == "another_token":
            late.lease_token = uuid4()
        else:
            fall_silent(job)
            JOBS.rescue()
            JOBS.queued().update(run_at=now())
            if since == "claimed_again" and kind != "publish":
                assert claim("w2") == job
        before = everything()
        with pytest.raises(LeaseLost, match=f"Job {job.pk} is .*not held with this token"):
            self.LATE[word](late)
        assert everything() == before

    def test_says_that_the_job_is_gone(self) -> None:
        job = running()
        stored(job).video.delete()
        with pytest.raises(LeaseLost, match=f"There is no job {job.pk}"):
            job.complete()


class TestCancel:
    @pytest.mark.parametrize("kind", KINDS)
    def test_of_a_queued_job_skips_its_video_and_gives_its_slot_back(self, kind: str) -> None:
        job = queued(kind)
        job.cancel(by=OPERATOR)
        found = stored(job)
        assert (found.status, found.video.status) == ("cancelled", "skipped")
        assert found.finished_at is not None
        assert found.video.scheduled_for is None
        (entry,) = found.video.processing_history
        assert (entry["by"], entry["why"]) == (OPERATOR, f"its {kind} was cancelled")
        assert JOBS.claim(worker="w1") == []

    def test_of_a_running_job_only_asks(self) -> None:
        job = running()
        stored(job).cancel(by=OPERATOR)
        found = stored(job)
        assert (found.status, found.video.status) == ("running", "downloading")
        assert found.lease_token == job.lease_token
        assert found.cancel_requested_at is not None

    @pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
    def test_of_what_has_ended_is_refused(self, status: str) -> None:
        job = examples.job(examples.video(), status=status)
        before = everything()
        with pytest.raises(JobRefused, match=f"is {status}: it is not queued or running"):
            job.cancel(by=OPERATOR)
        assert everything() == before

    def test_of_a_job_whose_video_went_on_ends_the_job_alone(self) -> None:
        job = queued()
        put_by_hand(job, VideoStatus.PUBLISHED)
        job.cancel(by=OPERATOR)
        found = stored(job)
        assert (found.status, found.video.status) == ("cancelled", "published")
        assert "from published" in found.error_message


class TestRetry:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("ended", ["failed", "cancelled"])
    def test_resumes_the_stage_that_stopped(self, kind: str, ended: str) -> None:
        job = running(kind)
        if ended == "cancelled":
            stored(job).cancel(by=OPERATOR)
        job.fail("no disk", final=True)
        assert stored(job).status == ended
        configure("jobs.max_attempts", 9)
        assert stored(job).retry(by=OPERATOR) is True
        found = stored(job)
        assert (found.status, found.attempts, found.max_attempts) == ("queued", 0, 9)
        assert (found.finished_at, found.cancel_requested_at) == (None, None)
        assert found.video.status == STAGES[kind].before
        assert found.video.processing_history[-1]["by"] == OPERATOR
        if kind == "publish":
            assert found.run_at == found.video.scheduled_for
            bring_near([job])
        assert claim("w2") == job
        assert_in_order(stored(job).video, STAGES[kind].before)

    def test_of_a_publication_without_a_slot_waits_for_one(self) -> None:
        job = running("publish")
        job.fail("refused", final=True)
        job.channel.save_fields(schedule={})
        assert stored(job).retry(by=OPERATOR) is False
        found = stored(job)
        assert (found.status, found.video.status) == ("failed", "transformed")

    @pytest.mark.parametrize("status", ["queued", "running", "succeeded"])
    def test_of_what_has_not_stopped_is_refused(self, status: str) -> None:
        job = examples.job(examples.video(), status=status)
        before = everything()
        with pytest.raises(JobRefused, match=f"is {status}.*not failed or cancelled"):
            job.retry(by=OPERATOR)
        assert everything() == before

    def test_of_an_earlier_stage_is_refused_and_names_the_one(self) -> None:
        failed = running()
        failed.fail("no disk", final=True)
        stored(failed).retry(by=OPERATOR)
        claim().complete()
        later = claim()
        later.fail("no disk", final=True)
        JOBS.filter(pk=failed.pk).update(status="failed")
        before = everything()
        with pytest.raises(JobRefused, match=f"that is job {later.pk}"):
            stored(failed).retry(by=OPERATOR)
        assert everything() == before

    def test_twice_is_refused(self) -> None:
        job = running()
        job.fail("no disk", final=True)
        other = stored(job)
        stored(job).retry(by=OPERATOR)
        with pytest.raises(JobRefused, match="is queued"):
            other.retry(by=OPERATOR)

    def test_of_a_video_that_was_cancelled_although_its_job_succeeded(self) -> None:
        job = running()
        stored(job).cancel(by=OPERATOR)
        job.complete()
        following = pipeline.resume(stored(job).video, by=OPERATOR)
        assert following is not None
        assert (following.kind, stored(following).video.status) == ("transform", "downloaded")


class TestReview:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("status", ["queued", "running", "failed"])
    def test_takes_the_job_and_leaves_its_video_to_a_person(self, kind: str, status: str) -> None:
        job = queued(kind) if status == "queued" else running(kind)
        if status == "failed":
            job.fail("no disk", final=True)
        stored(job).review(by=OPERATOR)
        found = stored(job)
        assert (found.status, found.video.status) == ("failed", "needs_review")
        assert found.lease_token is None
        assert found.video.processing_history[-1]["by"] == OPERATOR
        assert job.heartbeat() == Answer.LOST
        resumed = pipeline.deny(found.video, by=OPERATOR)
        assert resumed == job

    @pytest.mark.parametrize("status", ["succeeded", "cancelled"])
    def test_of_what_is_done_is_refused(self, status: str) -> None:
        job = examples.job(examples.video(), status=status)
        with pytest.raises(JobRefused, match="needs no review"):
            job.review(by=OPERATOR)


class TestPrune:
    def test_deletes_what_ended_longer_ago_than_it_is_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jobs_app.queue.PRUNED_AT_ONCE", 2)
        configure("jobs.retention_days", 10)
        video = examples.video()
        old, young = now() - timedelta(days=11), now() - timedelta(days=9)
        for status in ("succeeded", "failed", "cancelled"):
            for at in (old, young):
                examples.job(video, status=status, created_at=at, finished_at=at)
        kept = {examples.job(video, status="queued", kind="publish", run_at=old).pk}
        kept |= {examples.job(video, status="running", started_at=old).pk}
        kept |= {job.pk for job in JOBS.filter(finished_at=young)}
        assert JOBS.prune() == 3
        assert set(JOBS.values_list("pk", flat=True)) == kept
        assert JOBS.prune() == 0


@pytest.mark.usefixtures("shared")
class TestByMany:
    """Real transactions: the second waits for the first, and sees what it did."""

    @pytest.mark.parametrize("how", ["fails", "is_rescued"])
    @pytest.mark.parametrize("act", ["cancel", "review"])
    def test_on_a_job_that_fails_in_the_very_moment(self, act: str, how: str) -> None:
        """It is queued again meanwhile, and its video is not where it was."""
        job = running()
        if how == "is_rescued":
            fall_silent(job)

        def give_up() -> Any:
            return job.rescue() if how == "is_rescued" else job.fail("no disk")

        waiting_for(give_up, lambda: getattr(stored(job), act)(by=OPERATOR))
        found = stored(job)
        if act == "cancel":
            assert (found.status, found.video.status) == ("cancelled", "skipped")
        else:
            assert (found.status, found.video.status) == ("failed", "needs_review")
        assert found.error_message.startswith({"cancel": "", "review": OPERATOR}[act])
        assert_in_order(found.video)
        assert len(moves_of(job)) == 3


def waiting_for(first: Callable[[], Any], second: Callable[[], Any]) -> None:
    """Do the first in a transaction that ends only when the second one waits for it."""
    begun, waits = Event(), Event()

    def one() -> None:
        with transaction.atomic():
            first()
            begun.set()
            assert waits.wait(30)

    def two() -> None:
        assert begun.wait(30)
        second()

    def watch() -> None:
        assert begun.wait(30)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                found = 0
                while not found:
                    cursor.execute(
                        "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND datname = CURRENT_DATABASE()"
                    )
                    found = cursor.fetchone()[0]
        waits.set()

    tasks = iter([one, two, watch])
    at_once(3, lambda: next(tasks)())
