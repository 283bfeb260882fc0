"""A worker in this process: what it does with handlers, signals, lost leases and outages."""

import gzip
import logging
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from channels_app.models import Channel, TransformationPreset
from jobs_app import demo, handlers, heartbeat, worker
from jobs_app.handlers import Final, RetryLater, Work, handles
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.tests.command import said_by
from jobs_app.worker import Worker
from videos_app.models import Video
from ytops.tests import examples

BEFORE = {"download": "scraped", "transform": "downloaded", "publish": "transformed"}


@pytest.fixture(autouse=True)
def no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_registered", {})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for nothing, and each word of progress is due."""
    for name in ("POLL", "NEXT_TRY"):
        monkeypatch.setattr(worker, name, (0.0, 0.001))
    monkeypatch.setattr(heartbeat, "PROGRESS_AFTER", 0.0)
    monkeypatch.setattr(heartbeat, "NEXT_TRY", 0.001)


@pytest.fixture
def channel(shared: None) -> Channel:
    return examples.channel(schedule={})


def queued(channel: Channel, kind: str = "download", **values: Any) -> VideoProcessingJob:
    past = timezone.now() - timedelta(minutes=1)
    slot = {"scheduled_for": past - timedelta(seconds=Video.objects.count())}
    values |= {"status": BEFORE[kind]} | (slot if kind == "publish" else {})
    return examples.job(examples.video(channel=channel, **values), kind=kind, run_at=past)


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


class TestHandlers:
    def test_what_it_returns_is_the_result_and_the_video_moves_on(self, channel: Channel) -> None:
        Channel.objects.update(settings={"publish.posts_per_day": 9})
        seen: dict[str, Any] = {}

        @handles("download")
        def download(work: Work) -> dict[str, Any]:
            seen.update(title=work.video.title, status=work.video.status, channel=work.channel)
            seen.update(settings=work.settings["publish.posts_per_day"], parameters=work.parameters)
            return {"file": "a.mp4"}

        job = queued(channel)
        work_once()
        assert states(job) == ("succeeded", "downloaded")
        assert stored(job).result == {"file": "a.mp4"}
        assert VideoProcessingJob.objects.queued().get().kind == "transform"
        assert seen == {
            "title": "A pie",
            "status": "downloading",
            "channel": channel,
            "settings": 9,
            "parameters": {},
        }

    def test_it_is_told_the_parameters_of_the_preset_in_force(self, db: None) -> None:
        preset = TransformationPreset.objects.create(name="Short", parameters={"crop": "9:16"})
        owner = examples.channel(default_preset=preset)
        work = Work(examples.job(examples.video(channel=owner)), report=lambda percent: None)
        assert work.parameters == {"crop": "9:16"}

    def test_only_kinds_with_a_handler_are_claimed(self, channel: Channel) -> None:
        handles("transform")(lambda work: None)
        download, transform = queued(channel), queued(channel, "transform")
        work_once()
        assert states(download) == ("queued", "scraped")
        assert states(transform) == ("succeeded", "transformed")

    def test_an_exception_fails_the_attempt(
        self, channel: Channel, caplog: pytest.LogCaptureFixture
    ) -> None:
        @handles("download")
        def download(work: Work) -> None:
            raise OSError(f"no disk for {examples.PLAINTEXTS[0]}")

        job = queued(channel)
        work_once()
        now = stored(job)
        assert states(job) == ("queued", "scraped")
        assert now.error_message == "OSError: no disk for ********"
        assert "attempt 1 of 5: OSError: no disk" in now.video.processing_history[-1]["why"]
        assert "Traceback" in caplog.text
        assert not any(text in caplog.text for text in examples.PLAINTEXTS)

    @pytest.mark.parametrize(
        ("error", "kind", "states_after"),
        [
            (RetryLater(0, "not ready"), "download", ("queued", "scraped")),
            (RetryLater(0, "not ready"), "publish", ("queued", "transformed")),
            (Final("it is gone"), "download", ("failed", "failed")),
            (Final("it is gone"), "publish", ("failed", "failed")),
            (ValueError("what?"), "publish", ("failed", "needs_review")),
            (SystemExit(1), "download", ("queued", "scraped")),
        ],
    )
    def test_what_it_raises_says_how_it_goes_on(
        self, channel: Channel, error: BaseException, kind: str, states_after: tuple[str, str]
    ) -> None:
        @handles(kind)
        def handler(work: Work) -> None:
            raise error

        job = queued(channel, kind)
        work_once()
        assert states(job) == states_after
        assert str(error) in stored(job).error_message

    def test_retry_later_is_not_before_that(self, channel: Channel) -> None:
        @handles("download")
        def download(work: Work) -> None:
            raise RetryLater(3600, "the quota is used up")

        job = queued(channel)
        work_once()
        assert stored(job).run_at > timezone.now() + timedelta(minutes=59)

    @pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
    def test_retry_later_takes_only_a_time(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="expected seconds"):
            RetryLater(seconds, "why")

    @pytest.mark.parametrize("result", ["text", {"a": object()}, {"a": float("nan")}, {"a": "\0"}])
    def test_a_result_that_is_no_json_object_fails_the_attempt(
        self, channel: Channel, result: Any
    ) -> None:
        handles("download")(lambda work: result)
        job = queued(channel)
        work_once()
        assert states(job) == ("queued", "scraped")
        assert "Error" in stored(job).error_message

    def test_a_publication_without_its_id_is_in_doubt(self, channel: Channel) -> None:
        handles("publish")(lambda work: {})
        job = queued(channel, "publish")
        work_once()
        assert states(job) == ("failed", "needs_review")
        assert "youtube_video_id" in stored(job).error_message

    def test_the_demo_s_handlers_do_real_work(
        self, channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(demo, "FOLDER", tmp_path)
        kinds = ("download", "transform", "publish")
        for kind in kinds:
            handles(kind)(getattr(demo, kind))
        job = queued(channel)
        for kind in kinds:
            work_once()
            if kind == "transform":  # the channel has no schedule: a person gives it a time
                Video.objects.update(scheduled_for=timezone.now() - timedelta(minutes=1))
        video = stored(job).video
        assert (video.status, len(video.youtube_video_id or "")) == ("published", 11)
        assert VideoProcessingJob.objects.get(kind="publish").progress == 100
        source = (tmp_path / str(video.pk) / "source").read_bytes()
        published = tmp_path / "outbox" / f"{video.youtube_video_id}.gz"
        assert gzip.decompress(published.read_bytes()) == source
        assert len(source) == demo.CHUNK * demo.CHUNKS


class TestTheLease:
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
        assert stored(job).error_message == "cancelled by an operator"

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


class TestOutages:
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


class TestSignals:
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


def test_it_takes_back_what_others_left_and_queues_what_rests(channel: Channel) -> None:
    left = examples.job(examples.video(channel=channel, status="downloading"), status="running")
    left.write(lease_expires_at=Now() - timedelta(seconds=1))
    rests = examples.video(channel=channel, status="downloaded")
    scraped = examples.video(channel=channel)
    work_once("publish")
    assert states(left) == ("queued", "scraped")
    assert rests.jobs.get().kind == "transform"
    assert not scraped.jobs.exists()


class TestTheCommand:
    @pytest.fixture
    def named(self, settings: Any) -> Callable[[str], None]:
        return lambda names: setattr(settings, "JOB_HANDLERS", names.split())

    def test_without_handlers_it_refuses(self, db: None, named: Callable[[str], None]) -> None:
        named("")
        said = said_by("work", "--once")
        assert (said.code, said.out) == (1, "")
        assert "JOB_HANDLERS names the modules that have them" in said.err

    def test_a_kind_without_a_handler_is_named(
        self, db: None, named: Callable[[str], None]
    ) -> None:
        named("")
        handles("transform")(lambda work: None)
        said = said_by("work", "--kind", "publish")
        assert said.err.endswith("There is no handler for publish. Registered: transform.")
        assert said.code == 1

    @pytest.mark.parametrize("name", ["jobs_app.nope", "jobs_app..x", "jobs_app.tests.broken"])
    def test_a_module_that_cannot_be_imported_is_one_line(
        self, db: None, named: Callable[[str], None], name: str
    ) -> None:
        named(name)
        said = said_by("work")
        assert (said.code, said.out) == (1, "")
        (line,) = said.err.splitlines()
        assert line.startswith(f"ytops: JOB_HANDLERS names '{name}', which cannot be imported: ")

    def test_usage(self) -> None:
        assert said_by("work", "--kind", "upload").code == 2

    def test_once_without_a_job_is_done(self, shared: None, named: Callable[[str], None]) -> None:
        handles("transform")(lambda work: None)
        named("")
        assert said_by("work", "--once") == (0, "", "")


class TestRegistering:
    def test_an_unknown_kind_names_the_nearest(self) -> None:
        with pytest.raises(ImproperlyConfigured, match='Did you mean "transform"'):
            handles("trasform")

    def test_a_second_one_for_a_kind_is_refused(self) -> None:
        handles("download")(demo.download)
        handles("download")(demo.download)
        with pytest.raises(ImproperlyConfigured, match=r"jobs_app\.demo\.download does that"):
            handles("download")(demo.publish)
