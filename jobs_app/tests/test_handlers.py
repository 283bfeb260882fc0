"""Handlers: how they are registered and run, and what comes of what they return or raise."""

import gzip
from asyncio import CancelledError
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from channels_app.models import Channel, TransformationPreset
from jobs_app import demo
from jobs_app.handlers import Final, RetryLater, Work, handles
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.command import said_by
from jobs_app.tests.working import InOneProcess, queued, states, stored, work_once
from videos_app.models import Video
from ytops.tests import examples


class TestHandlers(InOneProcess):
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

    def test_no_secret_stays_in_a_result(self, channel: Channel) -> None:
        handles("download")(lambda work: {"sent": (f"key={examples.PLAINTEXTS[0]}",)})
        job = queued(channel)
        work_once()
        assert stored(job).result == {"sent": ["key=********"]}

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
            (KeyboardInterrupt("mine"), "download", ("queued", "scraped")),
            (CancelledError("a task"), "publish", ("failed", "needs_review")),
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

    @pytest.mark.parametrize("kind_of_error", [Exception, Final])
    def test_one_that_cannot_say_what_it_is_is_told_by_its_name(
        self, channel: Channel, kind_of_error: type[Exception]
    ) -> None:
        class Mute(kind_of_error):  # type: ignore[misc,valid-type]
            def __str__(self) -> str:
                raise RuntimeError

        @handles("download")
        def handler(work: Work) -> None:
            raise Mute

        job = queued(channel)
        work_once()
        assert states(job)[0] == ("failed" if kind_of_error is Final else "queued")
        assert stored(job).error_message == "Mute"

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


class TestTheCommand(InOneProcess):
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


class TestRegistering(InOneProcess):
    def test_an_unknown_kind_names_the_nearest(self) -> None:
        with pytest.raises(ImproperlyConfigured, match='Did you mean "transform"'):
            handles("trasform")

    def test_a_second_one_for_a_kind_is_refused(self) -> None:
        handles("download")(demo.download)
        handles("download")(demo.download)
        with pytest.raises(ImproperlyConfigured, match=r"jobs_app\.demo\.download does that"):
            handles("download")(demo.publish)
