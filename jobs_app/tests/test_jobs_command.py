"""`manage.py jobs`: what it prints, its exit codes, and what it refuses."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.command import answer, jobs, refusal
from jobs_app.tests.working import queue, stored
from ytops.tests import examples

pytestmark = pytest.mark.django_db


def publishing(channel: Channel) -> VideoProcessingJob:
    past = timezone.now() - timedelta(minutes=1)
    video = examples.video(channel=channel, status="transformed", scheduled_for=past)
    queue(video, "publish")
    return VideoProcessingJob.objects.claim(worker="w1", kinds=["publish"])[0]


def is_as_it_was(job: VideoProcessingJob) -> bool:
    now = stored(job)
    return (now.status, now.lease_token, now.video.status) == (
        "running",
        job.lease_token,
        "downloading",
    )


class TestHeartbeat:
    def test_continue(self, claimed: VideoProcessingJob) -> None:
        before = stored(claimed).lease_expires_at
        words = ("heartbeat", claimed.pk, "--token", claimed.lease_token)
        assert jobs(*words, "--progress", "40", "--run-id", str(2**33)) == (0, "continue", "")
        now = stored(claimed)
        assert (now.progress, now.github_workflow_run_id) == (40, 2**33)
        assert before
        assert now.lease_expires_at
        assert now.lease_expires_at > before
        assert answer(*words) == {"answer": "continue"}

    def test_cancel(self, claimed: VideoProcessingJob) -> None:
        claimed.cancel(by="op")
        said = jobs("heartbeat", claimed.pk, "--token", claimed.lease_token)
        assert said == (3, "cancel", "")

    @pytest.mark.parametrize("whose", ["another token", "no such job"])
    def test_lost(self, claimed: VideoProcessingJob, whose: str) -> None:
        pk, token = (claimed.pk, uuid4()) if whose == "another token" else (uuid4(), uuid4())
        assert jobs("heartbeat", pk, "--token", token, "--progress", "9") == (4, "lost", "")
        assert stored(claimed).progress == 0

    def test_the_token_may_come_on_standard_input(self, claimed: VideoProcessingJob) -> None:
        words = ("heartbeat", claimed.pk, "--token", "-")
        assert jobs(*words, stdin=f"{claimed.lease_token}\n").out == "continue"
        for wrong in ("", "not-a-token\n"):
            said = refusal(*words, stdin=wrong, code=2)
            assert "Standard input has no token" in said
            assert "not-a-token" not in said


class TestCompleteAndFail:
    def test_complete_moves_the_video_on(self, claimed: VideoProcessingJob) -> None:
        words = ("complete", claimed.pk, "--token", claimed.lease_token)
        told = answer(*words, "--result", '{"file": "a.mp4"}')
        assert (told["status"], told["video"]["status"]) == ("succeeded", "downloaded")
        assert stored(claimed).result == {"file": "a.mp4"}
        assert VideoProcessingJob.objects.queued().get().kind == "transform"

    def test_a_publication_needs_its_id(self, channel: Channel) -> None:
        job = publishing(channel)
        words = ("complete", job.pk, "--token", job.lease_token)
        assert "youtube_video_id" in refusal(*words)
        assert "11 letters" in refusal(*words, "--result", '{"youtube_video_id": "short"}')
        assert stored(job).status == "running"
        done = jobs(*words, "--result", '{"youtube_video_id": "D-lhorsDlUQ"}')
        assert done.out.endswith("is succeeded. Its video is published.")

    @pytest.mark.parametrize("also_token", [True, False])
    def test_the_result_may_come_on_standard_input(
        self, claimed: VideoProcessingJob, also_token: bool
    ) -> None:
        token = claimed.lease_token
        words = ("complete", claimed.pk, "--token", "-" if also_token else token, "--result", "-")
        head = f"{token}\n" if also_token else ""
        for wrong, expected in (("", "line 1"), ("[]", "Expected an object"), ("-", "line 1")):
            said = refusal(*words, stdin=head + wrong, code=2)
            assert "Standard input" in said
            assert expected in said
        assert is_as_it_was(claimed)
        assert jobs(*words, stdin=head + '{\n"file": "a.mp4"}\n').code == 0
        assert stored(claimed).result == {"file": "a.mp4"}

    def test_what_the_database_refuses_is_one_line(
        self, claimed: VideoProcessingJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def taken(*args: Any, **options: Any) -> None:
            raise IntegrityError(f"a slot is taken\nDETAIL: {claimed.lease_token}")

        monkeypatch.setattr("jobs_app.pipeline.succeed", taken)
        said = refusal("complete", claimed.pk, "--token", claimed.lease_token)
        assert said.endswith("The database refused it, and nothing is changed: a slot is taken")
        assert is_as_it_was(claimed)

    def test_a_video_without_a_slot_says_why(self, channel: Channel) -> None:
        video = examples.video(channel=channel, status="downloaded")
        queue(video, "transform")
        (job,) = VideoProcessingJob.objects.claim(worker="w1")
        told = answer("complete", job.pk, "--token", job.lease_token)
        assert told["waits_because"] == "Cooking has no schedule."

    def test_fail_queues_the_next_attempt(self, claimed: VideoProcessingJob) -> None:
        words = ("fail", claimed.pk, "--token", claimed.lease_token, "--error", "no disk")
        said = jobs(*words, "--retry-in", "3600")
        assert "is queued for 2" in said.out
        job = stored(claimed)
        assert (job.status, job.error_message) == ("queued", "no disk")
        assert job.run_at > timezone.now() + timedelta(minutes=59)

    def test_fail_for_good(self, claimed: VideoProcessingJob) -> None:
        words = ("fail", claimed.pk, "--token", claimed.lease_token, "--error", "it is gone")
        told = answer(*words, "--final")
        assert (told["status"], told["video"]["status"]) == ("failed", "failed")

    def test_a_publication_that_fails_needs_a_review(self, channel: Channel) -> None:
        job = publishing(channel)
        told = answer("fail", job.pk, "--token", job.lease_token, "--error", "timeout")
        assert (told["status"], told["video"]["status"]) == ("failed", "needs_review")

    @pytest.mark.parametrize("action", [["complete"], ["fail", "--error", "late"]])
    def test_a_lost_lease_changes_nothing(
        self, claimed: VideoProcessingJob, action: list[str]
    ) -> None:
        name, *more = action
        token = uuid4()
        said = refusal(name, claimed.pk, "--token", token, *more, code=4)
        assert f"Job {claimed.pk} is running by w1" in said
        assert str(token) not in said
        assert str(claimed.lease_token) not in said
        assert is_as_it_was(claimed)
        gone = uuid4()
        assert f"There is no job {gone}." in refusal(name, gone, "--token", token, *more, code=4)

    @pytest.mark.parametrize("action", [["complete"], ["fail", "--error", "again"]])
    def test_said_twice_it_is_done_once(
        self, claimed: VideoProcessingJob, action: list[str]
    ) -> None:
        name, *more = action
        assert jobs(name, claimed.pk, "--token", claimed.lease_token, *more).code == 0
        history = stored(claimed).video.processing_history
        refusal(name, claimed.pk, "--token", claimed.lease_token, *more, code=4)
        assert stored(claimed).video.processing_history == history

    @pytest.mark.parametrize(
        ("args", "expected"),
        [
            (["complete", "--result", "{"], "not valid JSON at line 1"),
            (["complete", "--result", "[]"], "Expected an object"),
            (["complete", "--result", "null"], "Expected an object"),
            (["complete", "--result", '{"a": NaN}'], "NaN is not JSON"),
            (["complete", "--result", '{"a": "\\u0000"}'], "cannot be stored"),
            (["complete", "--result", '{"a": 1, "a": 2}'], "stands twice"),
            (["fail"], "required: --error"),
            (["fail", "--error", "x", "--final", "--retry-in", "1"], "not allowed with"),
            (["fail", "--error", "x", "--retry-in", "-1"], "from 0 to"),
            (["fail", "--error", "x", "--retry-in", "1.5"], "from 0 to"),
            (["fail", "--error", "x", "--retry-in", "9" * 5000], "from 0 to"),
            (["heartbeat", "--progress", "101"], "from 0 to 100"),
            (["heartbeat", "--progress", "half"], "from 0 to 100"),
            (["heartbeat", "--run-id", "0"], "from 1 to"),
            (["heartbeat", "--run-id", str(2**63)], "from 1 to"),
        ],
    )
    def test_usage(self, claimed: VideoProcessingJob, args: list[str], expected: str) -> None:
        name, *more = args
        said = refusal(name, claimed.pk, "--token", claimed.lease_token, *more, code=2)
        assert expected in said
        assert is_as_it_was(claimed)

    @pytest.mark.parametrize("name", ["heartbeat", "complete", "fail", "cancel", "retry"])
    def test_malformed_ids_and_tokens(self, name: str) -> None:
        needs_token = name in ("heartbeat", "complete", "fail")
        more = ["--token", str(uuid4())] if needs_token else []
        more += ["--error", "x"] if name == "fail" else []
        assert "expected the id of a job" in refusal(name, "17", *more, code=2)
        if needs_token:
            said = refusal(name, uuid4(), "--token", "half-a-token", code=2)
            assert "expected the token" in said
            assert "half-a-token" not in said


class TestCancelAndRetry:
    def test_cancel_of_what_is_queued(self, queued: VideoProcessingJob) -> None:
        said = jobs("cancel", queued.pk)
        assert said.out == f"Job {queued.pk} (download) is cancelled. Its video is skipped."

    def test_cancel_of_what_runs_asks_its_worker(self, claimed: VideoProcessingJob) -> None:
        told = answer("cancel", claimed.pk)
        assert (told["status"], told["cancel_requested"]) == ("running", True)
        assert is_as_it_was(claimed)

    def test_retry_has_all_its_attempts_again(self, claimed: VideoProcessingJob) -> None:
        claimed.fail("no disk", final=True)
        told = answer("retry", claimed.pk)
        assert (told["status"], told["video"]["status"]) == ("queued", "scraped")
        assert stored(claimed).attempts == 0

    def test_what_cannot_be_done_is_said(self, claimed: VideoProcessingJob) -> None:
        assert "cannot be tried again" in refusal("retry", claimed.pk)
        claimed.complete()
        assert "cannot be cancelled" in refusal("cancel", claimed.pk)
        gone = uuid4()
        for name in ("cancel", "retry"):
            assert f"There is no job {gone}." in refusal(name, gone)


class TestRescueAndPrune:
    def test_rescue_says_which(self, claimed: VideoProcessingJob) -> None:
        assert jobs("rescue").out == "0 rescued."
        claimed.write(lease_expires_at=Now() - timedelta(seconds=1))
        said = jobs("rescue")
        assert said.out == f"{claimed.pk}  download of w1 is queued.\n1 rescued."
        assert answer("rescue") == []

    def test_prune_says_how_many(self, claimed: VideoProcessingJob) -> None:
        claimed.complete()
        assert answer("prune") == {"deleted": 0}
        ended = Now() - timedelta(days=91)
        claimed.write(created_at=ended, started_at=None, finished_at=ended)
        assert jobs("prune").out == "1 deleted."


def test_without_an_action_the_usage_is_shown() -> None:
    assert "required: ACTION" in refusal(code=2)


@pytest.mark.parametrize("words", [["claim"], ["status"], ["rescue"]])
def test_a_database_that_does_not_answer_is_one_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*args: Any, **options: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(VideoProcessingJob.objects.all().__class__, "_fetch_all", locked)
    monkeypatch.setattr("jobs_app.queue.VideoProcessingJobQuerySet.claim", locked)
    monkeypatch.setattr("jobs_app.management.commands.jobs.load", locked)
    said = jobs(*words)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("did not answer as it should: database is locked")
    assert len(said.err.splitlines()) == 1
