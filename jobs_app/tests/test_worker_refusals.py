"""What a worker does with refusals of the database, and in its rounds."""

import time
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models.functions import Now
from django.utils import timezone

import jobs_app.handlers
from channels_app.models import Channel
from jobs_app import admission, heartbeat, pipeline
from jobs_app.handlers import Final, Work, handles
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.command import said_by
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
from ytops.tests import examples


class TestRefusals(InOneProcess):
    def test_a_claim_that_the_database_refuses_is_tried_again(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        claim, left = Worker._claim, iter(range(3))

        def taken(self: Worker) -> VideoProcessingJob | None:
            if next(left, None) is not None:
                raise IntegrityError("a slot is taken\nDETAIL: the whole row")
            return claim(self)

        monkeypatch.setattr(Worker, "_claim", taken)
        monkeypatch.setattr(jobs_app.handlers, "load", lambda: None)
        handles("download")(lambda work: signals(1))
        job = queued(channel)
        said = said_by("work", "--once")
        assert (said.code, said.out) == (1, "")
        assert "No job could be claimed: IntegrityError: a slot is taken" in said.err
        assert "whole row" not in said.err
        Worker("w1", ["download"]).run()
        assert states(job) == ("succeeded", "downloaded")
        assert caplog.text.count("no job could be claimed: IntegrityError") == 2

    @pytest.mark.parametrize(
        ("refusals", "states_after"),
        [(2, ("succeeded", "downloaded")), (99, ("queued", "scraped"))],
    )
    def test_an_outcome_that_the_database_refuses_is_told_again(
        self,
        channel: Channel,
        monkeypatch: pytest.MonkeyPatch,
        refusals: int,
        states_after: tuple[str, str],
    ) -> None:
        complete, left = VideoProcessingJob.complete, iter(range(refusals))

        def taken(job: VideoProcessingJob, result: Any = None) -> None:
            if next(left, None) is not None:
                raise IntegrityError("a slot is taken\nDETAIL: the whole row")
            complete(job, result)

        monkeypatch.setattr(VideoProcessingJob, "complete", taken)
        handles("download")(lambda work: None)
        job = queued(channel)
        work_once()
        assert states(job) == states_after
        error = "IntegrityError: a slot is taken" if refusals == 99 else ""
        assert stored(job).error_message == error

    def test_one_that_is_refused_in_every_way_does_not_end_the_worker(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refused(*args: Any, **options: Any) -> None:
            raise IntegrityError("no")

        monkeypatch.setattr(VideoProcessingJob, "complete", refused)
        monkeypatch.setattr(VideoProcessingJob, "fail", refused)
        handles("download")(lambda work: None)
        job = queued(channel)
        work_once()
        assert states(job) == ("running", "downloading")
        assert f"{job.pk}: its outcome is refused: IntegrityError: no" in caplog.text


class TestARound(InOneProcess):
    def test_while_a_handler_works_what_others_left_is_taken_back(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heartbeat, "ROUND", (0.0, 0.0))
        left = examples.job(examples.video(channel=channel, status="downloading"), status="running")

        @handles("publish")
        def publish(work: Work) -> None:
            left.write(lease_expires_at=Now() - timedelta(seconds=1))
            deadline = time.monotonic() + 20
            while stored(left).status == "running" and time.monotonic() < deadline:
                time.sleep(0.01)
            raise Final("seen")

        job = queued(channel, "publish")
        work_once()
        assert states(left) == ("queued", "scraped")
        assert states(job) == ("failed", "failed")

    def test_a_rescue_that_fails_does_not_end_the_heartbeat(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(heartbeat, "ROUND", (0.0, 0.0))
        monkeypatch.setattr(heartbeat, "rescue", Mock(side_effect=OperationalError("locked")))

        @handles("download")
        def download(work: Work) -> None:
            deadline = time.monotonic() + 20
            while "no rescue: locked" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.01)
            stored(work.job).cancel(by="op")
            until_told(work)

        job = queued(channel)
        work_once()
        assert states(job) == ("cancelled", "skipped")

    def test_what_waits_for_a_slot_of_a_full_channel_is_not_gone_through(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Mock(wraps=pipeline.admit)
        monkeypatch.setattr(pipeline, "admit", asked)
        monkeypatch.setattr(admission, "PAGE", 2)
        monday = {"timezone": "UTC", "slots": {"mon": ["09:30"]}}
        has_slots = examples.channel(name="Baking", schedule=monday)
        for owner, status in ((channel, "transformed"), (channel, "downloaded")):
            for _ in range(3):
                examples.video(channel=owner, status=status)
        at = timezone.now() + timedelta(days=1)
        examples.video(channel=channel, status="transformed", scheduled_for=at)
        examples.video(channel=has_slots, status="transformed")
        rounds = [admission.admit_resting(by="w1").queued for _ in range(4)]
        assert rounds == [2, 2, 1, 0]
        assert asked.call_count == 5

    def test_it_takes_back_what_others_left_and_queues_what_rests(self, channel: Channel) -> None:
        left = examples.job(examples.video(channel=channel, status="downloading"), status="running")
        left.write(lease_expires_at=Now() - timedelta(seconds=1))
        rests = examples.video(channel=channel, status="downloaded")
        scraped = examples.video(channel=channel)
        work_once("publish")
        assert states(left) == ("queued", "scraped")
        assert rests.jobs.get().kind == "transform"
        assert not scraped.jobs.exists()

    def test_what_the_database_refuses_of_one_stops_no_other(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        left = [
            examples.job(examples.video(channel=channel, status="downloading"), status="running")
            for _ in range(2)
        ]
        for job in left:
            job.write(lease_expires_at=Now() - timedelta(seconds=1))
        rest = [examples.video(channel=channel, status="downloaded") for _ in range(2)]

        def refusing(call: Any, pk: Any) -> Any:
            def asked(one: Any, **options: Any) -> Any:
                if one.pk == pk:
                    raise IntegrityError("a slot is taken\nDETAIL: the whole row")
                return call(one, **options)

            return asked

        rescue, admit = VideoProcessingJob.rescue, pipeline.admit
        monkeypatch.setattr(VideoProcessingJob, "rescue", refusing(rescue, left[0].pk))
        monkeypatch.setattr(pipeline, "admit", refusing(admit, rest[0].pk))
        work_once("publish")
        assert [states(job)[0] for job in left] == ["running", "queued"]
        assert [video.jobs.count() for video in rest] == [0, 1]
        assert f"{left[0].pk}: not rescued: a slot is taken" in caplog.text
        assert f"video {rest[0].pk} was not queued: a slot is taken" in caplog.text
        assert "whole row" not in caplog.text
