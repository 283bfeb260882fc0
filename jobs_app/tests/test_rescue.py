"""What is taken back from workers that are silent."""

from datetime import timedelta

import pytest

from jobs_app.models import Answer
from jobs_app.states import STAGES
from jobs_app.tests.fleet import (
    JOBS,
    assert_agree,
    assert_in_order,
    claim,
    everything,
    fall_silent,
    now,
    put_by_hand,
    queued,
    running,
    stored,
)
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db
OPERATOR = "an operator"


@pytest.mark.parametrize("kind", ["download", "transform"])
def test_a_silent_worker_s_job_is_queued_again(kind: str) -> None:
    job = running(kind)
    assert JOBS.rescue() == []
    fall_silent(job)
    assert JOBS.rescue() == [job]
    found = stored(job)
    assert (found.status, found.attempts) == ("queued", 1)
    assert found.error_message == "the lease of w1 expired in attempt 1"
    entry = found.video.processing_history[-1]
    assert (entry["to"], entry["by"]) == (STAGES[kind].before, "rescue")
    assert_agree(found.video)
    assert JOBS.rescue() == []


def test_the_last_attempt_was_the_last() -> None:
    job = queued()
    JOBS.update(max_attempts=1)
    fall_silent(claim())
    JOBS.rescue()
    found = stored(job)
    assert (found.status, found.video.status) == ("failed", "failed")
    assert found.video.processing_history[-1]["why"] == (
        "failed 1 of 1: the lease of w1 expired in attempt 1"
    )


def test_what_was_to_be_cancelled_is() -> None:
    job = running("transform")
    stored(job).cancel(by=OPERATOR)
    fall_silent(job)
    JOBS.rescue()
    found = stored(job)
    assert (found.status, found.video.status) == ("cancelled", "skipped")
    assert_in_order(found.video, VideoStatus.DOWNLOADED)


@pytest.mark.parametrize("cancelled", [False, True])
def test_of_a_publication_nobody_knows_whether_it_is_out(cancelled: bool) -> None:
    job = running("publish")
    if cancelled:
        stored(job).cancel(by=OPERATOR)
    fall_silent(job)
    JOBS.rescue()
    assert (stored(job).status, stored(job).video.status) == ("failed", "needs_review")


def test_who_speaks_in_the_last_moment_keeps_it() -> None:
    job = running()
    fall_silent(job)
    (found,) = JOBS.stuck()
    assert job.heartbeat() == Answer.CONTINUE
    before = everything()
    assert found.rescue() is False
    assert everything() == before


def test_who_has_claimed_it_since_keeps_it() -> None:
    """Also when he is silent by now: his attempt is another one."""
    job = running()
    fall_silent(job)
    (found,) = JOBS.stuck()
    JOBS.rescue()
    JOBS.update(run_at=now())
    again = claim("w2")
    fall_silent(again)
    before = everything()
    assert found.rescue() is False
    assert everything() == before


@pytest.mark.parametrize("how", ["rescue", "complete", "fail"])
def test_a_clock_of_the_database_that_was_put_back_holds_nobody_up(how: str) -> None:
    """As after a failover: a job began later than it ends."""
    job = running()
    started = now() + timedelta(hours=1)
    JOBS.update(started_at=started)
    fall_silent(job)
    if how == "rescue":
        JOBS.update(max_attempts=1)
        assert JOBS.rescue() == [job]
    elif how == "complete":
        job.complete()
    else:
        job.fail("no disk", final=True)
    assert stored(job).finished_at == started


def test_a_video_that_went_its_own_way_holds_nobody_up() -> None:
    channel = examples.channel()
    for _ in range(3):
        queued(channel=channel)
    JOBS.update(run_at=now())
    first, poison = JOBS.claim(worker="w1", limit=3)
    put_by_hand(poison, VideoStatus.PUBLISHED)
    fall_silent(first, poison)
    assert set(JOBS.rescue()) == {first, poison}
    assert stored(first).status == "queued"
    assert stored(poison).status == "failed"
    assert stored(poison).error_message.startswith("the lease of w1 expired in attempt 1\n")
    assert "published" in stored(poison).error_message
    assert Video.objects.get(pk=poison.video_id).processing_history[-1]["to"] == "downloading"
