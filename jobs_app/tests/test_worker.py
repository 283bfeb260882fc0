"""A worker in this process: what it does with signals, lost leases and outages."""

import logging
import signal
import time
from threading import Timer
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from channels_app.models import Channel
from jobs_app import worker
from jobs_app.handlers import Final, Work, handles
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.states import LeaseLost
from jobs_app.tests.working import (
    InOneProcess,
    queued,
    signals,
    states,
    stored,
    until_told,
    work_once,
)
from jobs_app.worker import Worker
from videos_app.models import Video
from ytops.tests import examples


class TestTheLease(InOneProcess):
    def test_progress_is_told(self, channel: Channel) -> None:
        @handles("download")
        def download(work: Work) -> None:
            deadline = time.monotonic() + 20
            while not stored(work.job).progress and time.monotonic() < deadline:
                work.progress(41.7)
            raise Final("seen")

        job = queued(channel)
        work_once()
        assert stored(job).progress == 41

    def test_cancel_ends_the_work(self, channel: Channel) -> None:
        @handles("download")
        def download(work: Work) -> None:
            stored(work.job).cancel(by="op")
            until_told(work)

        job = queued(channel)
        work_once()
        assert states(job) == ("cancelled", "skipped")
        assert stored(job).error_message == "op asked to cancel it; cancelled by an operator"

    def test_a_cancelled_publication_is_in_doubt(self, channel: Channel) -> None:
        @handles("publish")
        def publish(work: Work) -> None:
            stored(work.job).cancel(by="op")
            until_told(work)

        job = queued(channel, "publish")
        work_once()
        assert states(job) == ("failed", "needs_review")

    def test_of_a_job_that_is_another_s_nothing_more_is_said(self, channel: Channel) -> None:
        token = uuid4()

        @handles("download")
        def download(work: Work) -> None:
            VideoProcessingJob.objects.filter(pk=work.job.pk).update(lease_token=token)
            until_told(work)

        job = queued(channel)
        work_once()
        now = stored(job)
        assert (now.status, now.lease_token, now.progress) == ("running", token, 0)

    @pytest.mark.parametrize("outcome", ["result", "error"])
    def test_who_comes_too_late_changes_nothing_and_goes_on(
        self, channel: Channel, outcome: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = uuid4()

        @handles("download")
        def download(work: Work) -> None:
            VideoProcessingJob.objects.filter(pk=work.job.pk).update(lease_token=token)
            if outcome == "error":
                raise OSError("late as well")

        job = queued(channel)
        work_once()
        now = stored(job)
        assert (now.status, now.lease_token, now.error_message) == ("running", token, "")
        assert f"{job.pk}: too late" in caplog.text

    @pytest.mark.parametrize("told", [True, False])
    def test_the_result_of_a_late_worker_is_logged(
        self, channel: Channel, told: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        @handles("publish")
        def publish(work: Work) -> dict[str, Any]:
            VideoProcessingJob.objects.filter(pk=work.job.pk).update(lease_token=uuid4())
            if told:
                with pytest.raises(LeaseLost):
                    until_told(work)
            return {"youtube_video_id": "D-lhorsDlUQ", "with": examples.PLAINTEXTS[0]}

        job = queued(channel, "publish")
        work_once()
        assert states(job) == ("running", "publishing")
        result = '{"youtube_video_id": "D-lhorsDlUQ", "with": "********"}'
        assert f"{job.pk}: too late; its result was {result}" in caplog.text

    def test_what_the_video_s_own_way_refuses_is_kept(self, channel: Channel) -> None:
        @handles("publish")
        def publish(work: Work) -> dict[str, Any]:
            Video.objects.get(pk=work.video.pk).move(Video.Status.NEEDS_REVIEW, by="op")
            return {"youtube_video_id": "D-lhorsDlUQ"}

        job = queued(channel, "publish")
        work_once()
        assert states(job) == ("failed", "needs_review")
        assert '{"youtube_video_id": "D-lhorsDlUQ"}' in stored(job).error_message

    def test_a_video_that_went_its_own_way_ends_the_job(self, channel: Channel) -> None:
        @handles("download")
        def download(work: Work) -> None:
            Video.objects.get(pk=work.video.pk).move(Video.Status.SKIPPED, by="op")

        job = queued(channel)
        work_once()
        assert states(job) == ("failed", "skipped")

    def test_no_token_is_logged(self, channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        tokens = []

        @handles("download")
        def download(work: Work) -> None:
            tokens.append(str(work.job.lease_token))
            raise OSError("no disk")

        queued(channel)
        work_once()
        assert "no disk" in caplog.text
        assert tokens[0] not in caplog.text


class TestOutages(InOneProcess):
    def test_the_heartbeat_tries_again(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        beat, answers = VideoProcessingJob.heartbeat, iter([False, False])

        def away_at_first(job: VideoProcessingJob, **options: Any) -> Answer:
            if not next(answers, True):
                raise OperationalError("the server closed the connection")
            return beat(job, **options)

        monkeypatch.setattr(VideoProcessingJob, "heartbeat", away_at_first)

        @handles("download")
        def download(work: Work) -> None:
            deadline = time.monotonic() + 20
            while not stored(work.job).progress and time.monotonic() < deadline:
                work.progress(30)

        job = queued(channel)
        work_once()
        assert states(job) == ("succeeded", "downloaded")
        assert caplog.text.count("no heartbeat: the server closed") == 1
        assert caplog.text.count("the heartbeat is back") == 1

    def test_an_outcome_is_told_until_it_is_heard_and_the_work_done_once(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        complete, runs, answers = VideoProcessingJob.complete, [], iter([False, False])

        def away_at_first(job: VideoProcessingJob, result: Any = None) -> None:
            if not next(answers, True):
                raise OperationalError("the server closed the connection")
            complete(job, result)

        monkeypatch.setattr(VideoProcessingJob, "complete", away_at_first)
        handles("download")(lambda work: runs.append(work))
        job = queued(channel)
        work_once()
        assert states(job) == ("succeeded", "downloaded")
        assert len(runs) == 1

    def test_a_claim_is_tried_again(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        claim, answers = Worker._claim, iter([False, False])

        def away_at_first(self: Worker) -> VideoProcessingJob | None:
            if not next(answers, True):
                raise OperationalError("the server closed the connection")
            return claim(self)

        monkeypatch.setattr(Worker, "_claim", away_at_first)
        handles("download")(lambda work: signals(1))
        job = queued(channel)
        Worker("w1", ["download"]).run()
        assert states(job) == ("succeeded", "downloaded")
        assert caplog.text.count("The database does not answer") == 1
        assert caplog.text.count("The database answers again") == 1

    def test_at_the_start_and_with_once_it_is_an_error(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*args: Any) -> None:
            raise OperationalError("connection refused")

        monkeypatch.setattr(Worker, "_claim", away)
        with pytest.raises(OperationalError):
            Worker("w1", ["download"]).run(once=True)
        monkeypatch.setattr(Worker, "_look_round", away)
        with pytest.raises(OperationalError):
            Worker("w1", ["download"]).run()


class TestSignals(InOneProcess):
    def test_one_lets_the_handler_finish_and_claims_no_more(self, channel: Channel) -> None:
        handles("download")(lambda work: signals(1))
        jobs = [queued(channel), queued(channel)]
        made = Worker("w1", ["download"])
        made.run()
        assert sorted(stored(job).status for job in jobs) == ["queued", "succeeded"]
        assert not made.hurried

    @pytest.mark.parametrize(
        ("kind", "states_after"),
        [("download", ("queued", "scraped")), ("publish", ("failed", "needs_review"))],
    )
    def test_a_second_one_gives_the_job_back(
        self, channel: Channel, kind: str, states_after: tuple[str, str]
    ) -> None:
        after: list[str] = []

        @handles(kind)
        def handler(work: Work) -> None:
            signals(2)
            after.append("not reached")

        job = queued(channel, kind)
        made = Worker("w1", [kind])
        made.run()
        assert states(job) == states_after
        assert stored(job).error_message == "its worker was stopped"
        assert made.hurried
        assert not after

    def test_one_ends_a_pause_at_once(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "POLL", (600.0, 600.0))
        timer = Timer(0.3, signals, [1])
        timer.start()
        began = time.monotonic()
        Worker("w1", ["download"]).run()
        timer.join()
        assert time.monotonic() - began < 300

    def test_two_end_the_wait_for_a_database_that_is_away(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(*args: Any) -> None:
            signals(2)
            raise OperationalError("connection refused")

        monkeypatch.setattr(VideoProcessingJob, "complete", away)
        handles("download")(lambda work: None)
        job = queued(channel)
        Worker("w1", ["download"]).run()
        assert states(job) == ("running", "downloading")
        assert "stopped before its outcome could be told" in caplog.text

    def test_the_handlers_of_signals_are_put_back(self, channel: Channel) -> None:
        before = [signal.getsignal(number) for number in worker.SIGNALS]
        work_once("download")
        assert [signal.getsignal(number) for number in worker.SIGNALS] == before
