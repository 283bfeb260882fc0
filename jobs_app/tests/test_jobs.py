from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def video() -> Video:
    return examples.video()


@pytest.fixture
def job(video: Video) -> VideoProcessingJob:
    return VideoProcessingJob.objects.create(video=video, kind="download")


def stored() -> VideoProcessingJob:
    return VideoProcessingJob.objects.get()


class TestANewJob:
    def test_is_queued_for_now(self, job: VideoProcessingJob) -> None:
        job.refresh_from_db()
        assert (job.status, job.priority, job.attempts, job.progress) == ("queued", 0, 0, 0)
        assert (job.max_attempts, job.backoff_seconds) == (5, 60)
        assert (job.worker, job.error_message, job.result) == ("", "", {})
        assert abs(timezone.now() - job.run_at) < timedelta(minutes=1)
        assert problems(job) == {}

    def test_has_no_lease_and_no_run(self, job: VideoProcessingJob) -> None:
        job.refresh_from_db()
        for field in (
            *("lease_token", "lease_expires_at", "cancel_requested_at", "github_workflow_run_id"),
            *("started_at", "finished_at"),
        ):
            assert getattr(job, field) is None

    def test_takes_the_channel_of_its_video(self, job: VideoProcessingJob, video: Video) -> None:
        assert stored().channel == video.channel

    def test_with_the_channel_of_another_video_is_refused(self, video: Video) -> None:
        other = examples.channel(name="Baking")
        job = VideoProcessingJob(video=video, channel=other, kind="download")
        assert said_of(job, "channel") == "The video belongs to another channel."

    def test_without_a_video_is_refused(self, video: Video) -> None:
        for values in ({}, {"video_id": uuid4()}):
            job = VideoProcessingJob(channel=video.channel, kind="download", **values)
            assert said_of(job, "video")
        with refused_by_the_database():
            VideoProcessingJob.objects.bulk_create(
                [VideoProcessingJob(channel=video.channel, kind="download")]
            )

    def test_is_called_by_its_kind_and_status(self) -> None:
        assert str(VideoProcessingJob(kind="publish", status="failed")) == "publish, failed"


class TestOneLiveJob:
    """Of a video and kind; the database itself says so, whoever inserts."""

    @pytest.mark.parametrize("first", ["queued", "running"])
    @pytest.mark.parametrize("second", ["queued", "running"])
    def test_a_second_is_refused(self, video: Video, first: str, second: str) -> None:
        examples.job(video, status=first)
        job = examples.job(examples.video(channel=video.channel), status=second)
        job.video = video
        assert "This video has a live job of this kind already." in str(problems(job))
        with refused_by_the_database():
            job.save()

    def test_reviving_a_finished_one_is_refused(self, job: VideoProcessingJob) -> None:
        job.save_fields(status="failed")
        VideoProcessingJob.objects.create(video=job.video, kind="download")
        with refused_by_the_database():
            VideoProcessingJob.objects.filter(pk=job.pk).update(status="queued")

    @pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
    def test_beside_finished_ones(self, video: Video, status: str) -> None:
        for _ in range(2):
            VideoProcessingJob.objects.create(video=video, kind="download", status=status)
        VideoProcessingJob.objects.create(video=video, kind="download").full_clean()

    def test_of_each_kind_and_of_each_video(self, video: Video) -> None:
        for owner in (video, examples.video(channel=video.channel)):
            for kind in VideoProcessingJob.Kind:
                VideoProcessingJob.objects.create(video=owner, kind=kind).full_clean()


class TestBounds:
    @pytest.mark.parametrize(
        ("field", "lowest", "highest"),
        [
            ("priority", -100, 100),
            ("progress", 0, 100),
            ("attempts", 0, 32_767),
            ("max_attempts", 1, 32_767),
            ("backoff_seconds", 0, 2_147_483_647),
        ],
    )
    def test_of_a_number(
        self, job: VideoProcessingJob, field: str, lowest: int, highest: int
    ) -> None:
        for within in (lowest, highest):
            job.save_fields(**{field: within})
            assert problems(stored()) == {}
        for beyond in (lowest - 1, highest + 1, 2**40):
            wrong = stored()
            setattr(wrong, field, beyond)
            assert "Ensure this value is" in said_of(wrong, field)
            assert_not_storable(stored(), **{field: beyond})

    @pytest.mark.parametrize("number", [1, 2**31, 9_876_543_210, 2**63 - 1])
    def test_a_github_run_id_has_64_bits(self, job: VideoProcessingJob, number: int) -> None:
        job.save_fields(github_workflow_run_id=number)
        assert stored().github_workflow_run_id == number
        assert problems(stored()) == {}
        assert VideoProcessingJob.objects.filter(github_workflow_run_id=number).exists()

    @pytest.mark.parametrize("number", [0, -1])
    def test_a_github_run_id_is_positive(self, job: VideoProcessingJob, number: int) -> None:
        job.github_workflow_run_id = number
        assert "A GitHub run id is greater than 0." in str(problems(job))
        assert_not_storable(stored(), github_workflow_run_id=number)

    def test_a_github_run_id_of_more_than_64_bits_is_refused(self, job: VideoProcessingJob) -> None:
        job.github_workflow_run_id = 2**63
        assert said_of(job, "github_workflow_run_id")
        assert not VideoProcessingJob.objects.filter(github_workflow_run_id=2**63).exists()

    def test_it_cannot_finish_before_it_starts(self, job: VideoProcessingJob) -> None:
        job.started_at, job.finished_at = START, START - timedelta(microseconds=1)
        assert "A job cannot finish before it starts." in str(problems(job))
        times = {"started_at": job.started_at, "finished_at": job.finished_at}
        assert_not_storable(stored(), **times)

    @pytest.mark.parametrize("finished", [START, START + timedelta(microseconds=1), None])
    def test_it_finishes_when_it_starts_or_later(
        self, job: VideoProcessingJob, finished: datetime | None
    ) -> None:
        job.save_fields(started_at=START, finished_at=finished)
        assert problems(stored()) == {}


class TestColumns:
    @pytest.mark.parametrize("field", ["kind", "status"])
    @pytest.mark.parametrize("value", ["", "Download", "upload", "done"])
    def test_an_unknown_choice_is_refused(
        self, job: VideoProcessingJob, field: str, value: str
    ) -> None:
        wrong = stored()
        setattr(wrong, field, value)
        assert said_of(wrong, field)
        assert_not_storable(stored(), **{field: value})

    def test_a_worker_out_of_bounds_is_refused(self, job: VideoProcessingJob) -> None:
        for worker in ("a" * 201, "a\x00"):
            wrong = stored()
            wrong.worker = worker
            assert said_of(wrong, "worker")
            assert_not_storable(stored(), worker=worker)

    def test_an_error_is_as_long_as_it_likes_but_without_nul(self, job: VideoProcessingJob) -> None:
        job.save_fields(error_message="Traceback…\n" * 100_000)
        assert len(stored().error_message) == 1_100_000
        job.error_message = "killed\x00"
        assert "U+0000" in said_of(job, "error_message")
        assert_not_storable(stored(), error_message="killed\x00")

    @pytest.mark.parametrize("value", [[], None, "a", 1])
    def test_a_result_is_an_object(self, job: VideoProcessingJob, value: Any) -> None:
        wrong = stored()
        wrong.result = value
        assert said_of(wrong, "result")
        assert_not_storable(stored(), result=value)

    def test_a_lease_is_kept(self, job: VideoProcessingJob) -> None:
        token = uuid4()
        values = {"status": "running", "started_at": START, "lease_token": token}
        job.save_fields(lease_expires_at=START, **values)
        assert VideoProcessingJob.objects.get(lease_token=token).lease_expires_at == START

    @pytest.mark.parametrize("missing", ["lease_token", "lease_expires_at", "started_at"])
    def test_what_runs_has_a_lease(self, video: Video, missing: str) -> None:
        job = examples.job(video, status="running")
        setattr(job, missing, None)
        assert "A job has a lease while it runs, and only then." in str(problems(job))
        assert_not_storable(job, **{missing: None})

    @pytest.mark.parametrize("status", ["queued", "succeeded", "failed", "cancelled"])
    @pytest.mark.parametrize("field", ["lease_token", "lease_expires_at"])
    def test_what_does_not_run_has_none(self, video: Video, status: str, field: str) -> None:
        job = examples.job(video, status="running")
        lease = {"lease_token": None, "lease_expires_at": None}
        held = {**lease, field: getattr(job, field)}
        assert_not_storable(stored(), status=status, **held)
        job.save_fields(status=status, **lease)
        assert problems(stored()) == {}


class TestRelations:
    @pytest.mark.parametrize("owner", ["video", "channel"])
    def test_it_goes_with_its_video_and_channel(self, job: VideoProcessingJob, owner: str) -> None:
        getattr(job, owner).delete()
        assert not VideoProcessingJob.objects.exists()

    def test_deleting_it_keeps_both(self, job: VideoProcessingJob) -> None:
        job.delete()
        assert Video.objects.get().channel == Channel.objects.get()


class TestSets:
    @pytest.fixture(autouse=True)
    def _one_of_each_status(self, video: Video) -> None:
        for status in VideoProcessingJob.Status:
            examples.job(examples.video(channel=video.channel), status=status)

    @pytest.mark.parametrize(
        ("name", "statuses"),
        [
            ("queued", {"queued"}),
            ("running", {"running"}),
            ("live", {"queued", "running"}),
            ("failed", {"failed"}),
        ],
    )
    def test_are_by_status(self, name: str, statuses: set[str]) -> None:
        found = getattr(VideoProcessingJob.objects, name)()
        assert {job.status for job in found} == statuses

    def test_the_newest_comes_first(self) -> None:
        ages = [job.created_at for job in VideoProcessingJob.objects.all()]
        assert ages == sorted(ages, reverse=True)
