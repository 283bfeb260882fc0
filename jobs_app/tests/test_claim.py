"""Who gets which job: by priority and age, in turn among channels, and never above a cap."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from channels_app.models import Channel
from jobs_app import conf
from jobs_app.models import VideoProcessingJob
from jobs_app.states import STAGES, JobKind
from jobs_app.tests.fleet import (
    JOBS,
    RESULTS,
    claim,
    configure,
    due_again,
    everything,
    moves_of,
    now,
    put_by_hand,
    queued,
    running,
    stored,
)
from settings_app import snapshot, static_layers
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db
CAP, CAP_A_CHANNEL = conf.MAX_CONCURRENT.key, conf.MAX_CONCURRENT_PER_CHANNEL.key


@pytest.fixture(autouse=True)
def _no_caps(db: Any) -> None:
    configure(CAP, 1000)
    configure(CAP_A_CHANNEL, 1000)


def lane(channel: Channel, count: int, kind: str = "download", **values: Any) -> list[UUID]:
    """Due jobs of one channel, the oldest first."""
    before = now() - timedelta(hours=1)
    status = STAGES[kind].before
    videos = Video.objects.bulk_create(
        [
            Video(channel=channel, source_url=f"https://example.org/{uuid4()}", status=status)
            for _ in range(count)
        ]
    )
    jobs = [
        VideoProcessingJob(
            video=video,
            channel=channel,
            kind=kind,
            **{"run_at": before + timedelta(seconds=n), **values},
        )
        for n, video in enumerate(videos)
    ]
    return [job.pk for job in JOBS.bulk_create(jobs)]


def channels(count: int, **values: Any) -> list[Channel]:
    return [examples.channel(name=f"Channel {number}", **values) for number in range(count)]


def claimed(limit: int = 1000, **options: Any) -> list[UUID]:
    return [job.pk for job in JOBS.claim(worker="w", limit=limit, **options)]


class TestWhatIsClaimed:
    def test_has_a_lease_a_token_and_one_attempt_more(self) -> None:
        configure("jobs.lease_seconds", 77)
        job, before = queued(), now()
        found = claim("a worker")
        for seen in (found, stored(job)):
            assert (seen.status, seen.worker, seen.attempts) == ("running", "a worker", 1)
            assert isinstance(seen.lease_token, UUID)
            assert seen.started_at is not None
            assert seen.lease_expires_at is not None
            assert before <= seen.started_at <= now()
            lease = seen.lease_expires_at - seen.started_at
            assert abs(lease - timedelta(seconds=77)) < timedelta(seconds=1)
            assert (seen.video_id, seen.channel_id) == (job.video_id, job.channel_id)
        assert found.lease_token == stored(job).lease_token
        assert found.video.status == "downloading"

    def test_again_has_another_token_and_forgets_the_run_of_the_last(self) -> None:
        job = running()
        job.heartbeat(progress=50, run_id=7)
        first = job.lease_token
        job.fail("no disk")
        due_again(job)
        again = claim("w2")
        found = stored(job)
        assert (again.pk, found.attempts, found.worker) == (job.pk, 2, "w2")
        assert (found.progress, found.github_workflow_run_id) == (0, None)
        assert found.lease_token != first
        assert found.error_message == "no disk"  # of the last attempt, until this one ends

    @pytest.mark.parametrize("kind", JobKind.values)
    def test_moves_its_video(self, kind: str) -> None:
        job = running(kind)
        stage = STAGES[kind]
        assert moves_of(job) == [(stage.before, stage.during)]

    def test_is_nothing_if_there_is_nothing(self) -> None:
        assert claimed() == []


class TestOrder:
    def test_is_by_priority_and_then_by_age(self) -> None:
        channel, kinds = examples.channel(), list(JobKind.values)[:2]
        random = Random(4)
        keys: dict[UUID, tuple[int, Any]] = {}
        for _ in range(30):
            at, priority = now() - timedelta(minutes=random.randrange(99)), random.randint(-3, 3)
            kind = random.choice(kinds)
            status = STAGES[kind].before
            video = examples.video(channel=channel, status=status)
            job = examples.job(video, kind=kind, priority=priority, run_at=at)
            keys[job.pk] = (-priority, at)
        found = claimed()
        assert len(found) == 30
        assert [keys[pk] for pk in found] == sorted(keys.values())

    def test_what_is_not_due_blocks_nobody(self) -> None:
        channel = examples.channel()
        later = now() + timedelta(minutes=5)
        lane(channel, 3, priority=100, run_at=later)
        lane(channel, 2, kind="transform", run_at=later)
        due = lane(examples.channel(name="Baking"), 1, priority=-100)
        due += lane(channel, 1, kind="transform", priority=-1)
        assert set(claimed()) == set(due)

    def test_of_one_instant_is_by_key(self) -> None:
        jobs = lane(examples.channel(), 4, run_at=now() - timedelta(hours=1))
        assert claimed() == sorted(jobs)

    def test_a_retry_that_waits_lets_the_next_one_go(self) -> None:
        first, second = lane(examples.channel(), 2)
        claim().fail("no disk", retry_in=timedelta(hours=1))
        assert claimed() == [second]
        assert stored(JOBS.get(pk=first)).status == "queued"

    def test_kinds_are_the_ones_that_are_asked_for(self) -> None:
        channel = examples.channel()
        jobs = {kind: lane(channel, 2, kind=kind) for kind in ("download", "transform")}
        assert claimed(kinds=["publish"]) == []
        assert claimed(kinds=["transform"]) == jobs["transform"]
        assert claimed(kinds=["publish", "download"]) == jobs["download"]

    def test_a_limit_is_the_most(self) -> None:
        jobs = lane(examples.channel(), 5)
        assert claimed(limit=0) == []
        assert claimed(limit=2) + claimed(limit=2) + claimed(limit=2) == jobs


class TestTurns:
    """Among equal priorities the channel is next that was served longest ago."""

    def test_a_backlog_in_front_delays_another_channel_by_no_more_than_the_channels(self) -> None:
        full, *others = channels(4)
        lane(full, 1000, run_at=now() - timedelta(days=30))
        singles = {job for channel in others for job in lane(channel, 1)}
        assert singles <= set(claimed(limit=4))

    def test_channels_with_backlogs_are_served_in_turn(self) -> None:
        everybody = channels(3)
        owner = {job: channel for channel in everybody for job in lane(channel, 6)}
        found: list[Channel] = []
        for _ in range(18):
            (job,) = claimed(limit=1)
            wait_for_another_instant()
            found.append(owner[job])
        for turn in range(0, 18, 3):
            assert set(found[turn : turn + 3]) == set(everybody)

    def test_the_urgent_of_one_channel_comes_before_the_turn_of_another(self) -> None:
        one, other = channels(2)
        urgent = lane(one, 3, priority=1)
        normal = lane(other, 1)
        assert claimed() == urgent + normal


def wait_for_another_instant() -> None:
    """Of SQLite's clock, which counts milliseconds."""
    began = now()
    while now() == began:
        pass


class TestCaps:
    @pytest.mark.parametrize("cap", [0, 1, 2])
    def test_of_the_system(self, cap: int) -> None:
        for channel in channels(3):
            lane(channel, 2)
        configure(CAP, cap)
        assert len(claimed()) == cap
        for job in JOBS.running():
            job.complete()
        assert len(claimed()) == cap
        assert JOBS.running().count() == cap

    @pytest.mark.parametrize("cap", [0, 1, 2])
    def test_of_every_channel(self, cap: int) -> None:
        configure(CAP_A_CHANNEL, cap)
        for channel in channels(3):
            lane(channel, 2)
            lane(channel, 2, kind="transform")
        claimed()
        for channel in Channel.objects.all():
            assert channel.jobs.running().count() == cap

    def test_of_a_channel_that_has_its_own(self) -> None:
        configure(CAP_A_CHANNEL, 2)
        caps = [0, 1, 5, None]
        for cap, channel in zip(caps, channels(4), strict=True):
            lane(channel, 6)
            channel.save_fields(settings={} if cap is None else {CAP_A_CHANNEL: cap})
        claimed()
        running_now = [channel.jobs.running().count() for channel in Channel.objects.order_by("pk")]
        assert running_now == [0, 1, 5, 2]

    def test_a_full_channel_in_front_blocks_nobody(self) -> None:
        full, other = channels(2)
        lane(full, 50, priority=100)
        full.save_fields(settings={CAP_A_CHANNEL: 1})
        first = claimed(limit=1)
        jobs = lane(other, 1, priority=-100)
        assert claimed() == jobs
        JOBS.get(pk=first[0]).complete()
        assert len(claimed()) == 1

    def test_that_changed_holds_for_the_next_claim(self) -> None:
        lane(examples.channel(), 9)
        for cap, found in ((1, 1), (3, 2), (2, 0), (0, 0), (4, 1)):
            configure(CAP, cap)
            assert len(claimed()) == found

    @pytest.mark.parametrize("value", [-1, "two", 2.5])
    def test_that_is_wrong_in_a_channel_counts_as_none(self, value: Any) -> None:
        configure(CAP_A_CHANNEL, 1)
        channel = examples.channel()
        Channel.objects.update(settings={CAP_A_CHANNEL: value})
        lane(channel, 3)
        assert len(claimed()) == 1

    def test_that_is_pinned_in_the_environment_is_above_the_channel_s(
        self, pinned_to_one: None
    ) -> None:
        lane(examples.channel(settings={CAP_A_CHANNEL: 5}), 3)
        assert len(claimed()) == 1

    @pytest.fixture
    def pinned_to_one(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        setting = conf.MAX_CONCURRENT_PER_CHANNEL
        monkeypatch.setenv(setting.environment_name, "1")
        object.__setattr__(setting, "pinned", True)
        static_layers._read.cache_clear()
        snapshot.forget()
        yield
        object.__setattr__(setting, "pinned", False)
        static_layers._read.cache_clear()
        snapshot.forget()

    def test_count_what_is_silent_until_it_is_rescued(self) -> None:
        configure(CAP, 1)
        lane(examples.channel(), 2)
        claimed()
        JOBS.running().update(lease_expires_at=now() - timedelta(hours=1))
        assert claimed() == []
        JOBS.rescue()
        assert len(claimed()) == 1


class TestPauses:
    def test_a_paused_fleet_claims_nothing_and_goes_on(self) -> None:
        lane(examples.channel(), 1)
        configure("jobs.paused", True)
        assert claimed() == []
        configure("jobs.paused", False)
        assert len(claimed()) == 1

    def test_what_runs_when_it_is_paused_comes_to_its_end(self) -> None:
        job = running()
        configure("jobs.paused", True)
        job.complete(RESULTS.get(job.kind))
        assert stored(job).video.status == "downloaded"
        assert claimed() == []

    def test_an_inactive_channel_claims_nothing_and_blocks_nobody(self) -> None:
        asleep, awake = channels(2)
        lane(asleep, 3, priority=100)
        due = lane(awake, 1)
        asleep.save_fields(is_active=False)
        assert claimed() == due
        asleep.save_fields(is_active=True)
        assert len(claimed()) == 3


class TestAPoisonJob:
    """Its video is not where it should be; a claim neither gives it out nor gets stuck on it."""

    @pytest.mark.parametrize("at", [s for s in VideoStatus if s != STAGES["download"].before])
    def test_ends_and_says_why(self, at: VideoStatus) -> None:
        channel = examples.channel()
        poison, due = lane(channel, 2)
        put_by_hand(JOBS.get(pk=poison), at)
        assert claimed() == [due]
        job = stored(JOBS.get(pk=poison))
        assert (job.status, job.video.status) == ("failed", at)
        assert job.lease_token is None
        assert f"it is {at.value}" in job.error_message
        assert job.video.processing_history == []

    def test_many_of_them_in_front_are_all_passed_over(self) -> None:
        jobs = lane(examples.channel(), 20)
        for poison in jobs[:-1]:
            put_by_hand(JOBS.get(pk=poison), VideoStatus.SKIPPED)
        assert claimed(limit=1) == jobs[-1:]
        assert JOBS.failed().count() == 19
        before = everything()
        assert claimed() == []
        assert everything() == before


class TestBackoff:
    def test_is_a_random_part_of_a_time_that_doubles_up_to_a_day(self) -> None:
        job = VideoProcessingJob(backoff_seconds=60)
        for attempt in range(1, 40):
            job.attempts = attempt
            most = min(60 * 2 ** (attempt - 1), 24 * 3600)
            waits = sorted(job.wait().total_seconds() / most for _ in range(200))
            assert 0 <= waits[0] < 0.1  # full jitter: from nothing on (missed once in 10**9)
            assert 0.9 < waits[-1] <= 1
            assert all(after - before < 0.2 for before, after in pairwise(waits))

    def test_of_nothing_is_none(self) -> None:
        job = VideoProcessingJob(backoff_seconds=0, attempts=32_767)
        assert job.wait() == timedelta(0)

    def test_of_the_longest_and_most_attempts_is_a_day_at_most(self) -> None:
        job = VideoProcessingJob(backoff_seconds=2_147_483_647, attempts=32_767)
        assert all(job.wait() <= timedelta(days=1) for _ in range(100))
