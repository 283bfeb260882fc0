"""Real worker processes that are killed, late, wrong about the time or many at once."""

import os
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random, randrange
from typing import Any

import pytest
from django.db import connection, transaction

from channels_app.models import Channel
from jobs_app import conf, pipeline
from jobs_app.tests.conftest import Nest
from jobs_app.tests.fleet import (
    JOBS,
    assert_agree,
    assert_in_order,
    configure,
    fall_silent,
    moves_of,
    now,
    queued,
    stored,
)
from settings_app.snapshot import LONGEST_AGE
from videos_app.life import RESTING, VideoStatus
from videos_app.models import Video
from ytops.db.locks import exclusive_until_commit
from ytops.tests import examples

PROVE = os.environ.get("YTOPS_PROVE") == "1"
CAP, CAP_A_CHANNEL = conf.MAX_CONCURRENT.key, conf.MAX_CONCURRENT_PER_CHANNEL.key
pytestmark = [pytest.mark.usefixtures("shared")]


@pytest.fixture
def seed() -> int:
    """Printed, so that a failure can be had again; YTOPS_PROVE tries another each time."""
    number = randrange(10**6) if PROVE else 7
    print(f"seed {number}")
    return number


@pytest.fixture(autouse=True)
def _no_caps(shared: None) -> None:
    configure(CAP, 1000)
    configure(CAP_A_CHANNEL, 1000)
    configure("jobs.backoff_seconds", 0)
    configure("jobs.max_attempts", 100)


def admitted(count: int, channels: int = 1, at: Sequence[VideoStatus] = RESTING[:1]) -> None:
    """Videos that rest there in turn, with their next jobs, and slots that are over."""
    past = now() - timedelta(minutes=50)
    made = [examples.channel(name=f"Channel {number}") for number in range(channels)]
    for number in range(count):
        video = examples.video(
            channel=made[number % channels],
            status=at[number // channels % len(at)],
            scheduled_for=past + timedelta(seconds=number),
        )
        pipeline.admit(video, by="a test")


# Workers who do not look for the same job, and so do not wait for one another at its row.
EIGHT = [{"workers": 3, "kinds": [kind]} for kind in ("download", "transform")]
EIGHT += [{"workers": 2, "kinds": ["publish"]}]


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestKilled:
    """By SIGKILL, at a point of the job's way; a claim or an end that was not committed is none."""

    @pytest.mark.parametrize("kind", ["download", "publish"])
    def test_before_the_claim_is_committed(self, nest: Nest, kind: str) -> None:
        job = queued(kind)
        assert nest.work(die_at="claiming")["killed"] == 1
        assert (stored(job).status, stored(job).attempts) == ("queued", 0)
        assert moves_of(job) == []
        assert_agree(stored(job).video)
        nest.work(kinds=[kind])
        assert stored(job).status == "succeeded"

    @pytest.mark.parametrize("point", ["claimed", "worked", "completing"])
    def test_before_the_end_is_committed(self, nest: Nest, point: str) -> None:
        job = queued()
        nest.work(die_at=point)
        assert (stored(job).status, stored(job).video.status) == ("running", "downloading")
        fall_silent(job)
        nest.work(kinds=["download"])
        found = stored(job)
        assert (found.status, found.attempts, found.video.status) == ("succeeded", 2, "downloaded")
        assert JOBS.queued().get().kind == "transform"
        assert [entry["by"] for entry in found.video.processing_history] == [
            *("worker worker-0", "rescue", "worker worker-0", "worker worker-0")
        ]
        assert_in_order(found.video)

    @pytest.mark.parametrize("point", ["claimed", "publishing", "worked", "completing"])
    def test_in_a_publication_leaves_it_to_a_person(self, nest: Nest, point: str) -> None:
        job = queued("publish")
        nest.work(die_at=point)
        fall_silent(job)
        nest.work()
        assert (stored(job).status, stored(job).video.status) == ("failed", "needs_review")
        assert len(nest.notes("uploads")) == (point in ("worked", "completing"))

    def test_after_the_end_is_committed_is_no_matter(self, nest: Nest) -> None:
        job = queued("publish")
        nest.work(die_at="completed")
        assert (stored(job).status, stored(job).video.status) == ("succeeded", "published")


class TestLate:
    def test_it_completes_what_another_has_done_meanwhile(self, nest: Nest) -> None:
        job = queued()
        nest.begin(kinds=["download"], hold_at="worked")
        until(lambda: list(nest.folder.glob("held-*")))
        fall_silent(job)
        assert JOBS.rescue() == [job]
        (again,) = JOBS.claim(worker="another")
        again.complete({"by": "another"})
        before = list(Video.objects.values()), list(JOBS.values())
        (nest.folder / "go").touch()
        nest.end()
        assert nest.notes("lost") == [str(job.pk)]
        assert (list(Video.objects.values()), list(JOBS.values())) == before

    def test_two_rescuers_take_each_job_once(self, nest: Nest) -> None:
        count = 200 if PROVE else 12
        admitted(count)
        jobs = JOBS.claim(worker="silent", limit=count)
        fall_silent(*jobs)
        nest.work(task="rescue", workers=2)
        assert sorted(nest.notes("rescued")) == sorted(str(job.pk) for job in jobs)
        for video in Video.objects.all():
            assert len(video.processing_history) == 2
            assert_in_order(video)
            assert_agree(video)


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_clocks_an_hour_off_change_nothing(nest: Nest, ahead: int) -> None:
    """One worker's is ahead and the other's behind; nobody loses a lease or waits an hour."""
    begun, count = now(), 60 if PROVE else 6
    admitted(count)
    nest.work(workers=2, clock=ahead, fail_rate=0.2)
    assert nest.notes("lost") == []
    assert len(set(nest.notes("uploads"))) == count
    for video in Video.objects.all():
        assert video.status == "published"
        assert_in_order(video)
        times = [datetime.fromisoformat(entry["at"]) for entry in video.processing_history]
        assert begun - timedelta(seconds=1) < times[0] <= times[-1] <= now()
    for job in JOBS.all():
        assert job.started_at is not None
        assert job.finished_at is not None
        assert begun <= job.started_at <= job.finished_at <= now()


class TestCaps:
    @pytest.mark.parametrize("whose", ["system", "channel"])
    def test_of_one_with_eight_workers(self, nest: Nest, whose: str) -> None:
        configure(CAP if whose == "system" else CAP_A_CHANNEL, 1)
        count = 120 if PROVE else 8
        admitted(count, channels=2, at=RESTING)
        nest.work(*EIGHT, alone=whose, takes=0.005, dawdles=0.005)
        nest.work(workers=8, alone=whose)
        assert Video.objects.published().count() == count
        assert highest_load(JOBS.all()) == (1 if whose == "system" else 2)
        for channel in Channel.objects.all():
            assert highest_load(channel.jobs.all()) == 1

    def test_that_change_meanwhile(self, nest: Nest, seed: int) -> None:
        """What a process knows of the configuration has an age; a claim that began when the change
        was older than that passes the new cap no more.
        """
        random, cap, age = Random(seed), 2, LONGEST_AGE if PROVE else 0.1
        configure(CAP, cap)
        admitted(3000 if PROVE else 120, channels=4, at=RESTING)
        allowed = [(now(), cap)]  # since when, how many
        nest.begin(*EIGHT, takes=0.05, dawdles=0.005, config_age=age)
        for new in random.sample([0, 1, 3, 5], 2 if PROVE else 1) * (6 if PROVE else 1):
            allowed.append((now(), max(cap, new)))
            configure(CAP, new)
            time.sleep(age + 0.2)  # the rest is for a claim that began with the old one
            allowed.append((after_all_claims(), new))
            until(partial(is_reached, new))
            cap = new
        allowed.append((now(), cap))
        assert JOBS.queued().delete()[0]
        nest.end()
        since = [begun for begun, _ in allowed]
        for at, load in starts_and_loads(JOBS.exclude(started_at=None)):
            assert load <= allowed[bisect(since, at) - 1][1], (at, allowed)


def is_reached(cap: int) -> bool:
    return JOBS.running().count() == cap


def after_all_claims() -> datetime:
    """The time, when every claim has ended that began before."""
    with transaction.atomic():
        exclusive_until_commit(connection, "claim")
        return now()


def starts_and_loads(jobs: Any) -> list[tuple[datetime, int]]:
    """When each job was started, and how many were running then, itself included."""
    spans = [(job.started_at, job.finished_at) for job in jobs]
    return [
        (start, sum(begun <= start and (end is None or end > start) for begun, end in spans))
        for start, _ in spans
    ]


def highest_load(jobs: Any) -> int:
    return max(load for _, load in starts_and_loads(jobs))


def test_cancel_against_complete(nest: Nest, seed: int) -> None:
    """Each ends in one of the legal states, and its video and its job agree."""
    count = 300 if PROVE else 8
    admitted(count)
    nest.work(
        {"workers": 2, "fail_rate": 0.3},
        {"task": "cancel", "workers": 2 if PROVE else 1},
        seed=seed,
    )
    uploads = {line.split()[0] for line in nest.notes("uploads")}
    assert len(uploads) == len(nest.notes("uploads"))
    for video in Video.objects.all():
        assert video.status in (VideoStatus.SKIPPED, VideoStatus.PUBLISHED)
        assert (str(video.pk) in uploads) == (video.status == VideoStatus.PUBLISHED)
        assert_in_order(video)
        assert_agree(video)
        assert not video.jobs.filter(status="succeeded", finished_at=None).exists()


def test_a_poison_job_holds_nobody_up(nest: Nest) -> None:
    count = 100 if PROVE else 6
    admitted(count)
    poisoned = [video.pk for video in Video.objects.order_by("created_at")[: count // 2]]
    Video._base_manager.filter(pk__in=poisoned).update(status="failed")
    nest.work(workers=4)
    assert Video.objects.published().count() == count - len(poisoned)
    for job in JOBS.filter(video__in=poisoned):
        assert job.status == "failed"
        assert "it is failed" in job.error_message
    assert not JOBS.live().exists()


def test_eight_writers_beside_a_reader_that_takes_its_time(nest: Nest, tmp_path: Path) -> None:
    """On SQLite: without one "database is locked"; an error of a worker is raised."""
    seconds, count = (10, 400) if PROVE else (0.5, 8)
    admitted(count)
    with transaction.atomic() if connection.vendor == "postgresql" else reading():
        seen = JOBS.count()
        begun = time.monotonic()
        nest.begin(workers=8)
        time.sleep(seconds)
        if connection.vendor == "sqlite":
            assert JOBS.count() == seen  # its view is as it was when it began
        assert time.monotonic() - begun >= seconds
    nest.end()
    assert Video.objects.published().count() == count


class reading:
    """A transaction of SQLite that only reads; those of Django begin with the lock to write."""

    def __enter__(self) -> None:
        connection.ensure_connection()
        connection.connection.execute("BEGIN DEFERRED")

    def __exit__(self, *error: Any) -> None:
        connection.connection.execute("ROLLBACK")
