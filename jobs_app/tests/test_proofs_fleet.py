"""A fleet of real workers that are killed at random, and a server that restarts under them."""

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange
from typing import Any

import pytest
from django.db import connection, connections

from channels_app.schedule import DAYS
from jobs_app import conf, pipeline
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.conftest import Nest
from jobs_app.tests.fleet import JOBS, assert_agree, assert_in_order, configure
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.settings import database
from ytops.tests import examples, postgres
from ytops.tests.processes import manage

PROVE = os.environ.get("YTOPS_PROVE") == "1"
HOURS = [f"{hour:02}:00" for hour in range(24)]
HOURLY = {"timezone": "UTC", "slots": dict.fromkeys(DAYS, HOURS)}


def admitted(count: int, channels: int) -> None:
    """Scraped videos with their first jobs, in channels that can publish them within a year."""
    configure(conf.MAX_CONCURRENT.key, 1000)
    configure(conf.MAX_ATTEMPTS.key, 100)
    configure(conf.BACKOFF_SECONDS.key, 0)
    owners = [examples.channel(name=f"C {n}", schedule=HOURLY) for n in range(channels)]
    for number in range(count):
        video = examples.video(channel=owners[number % channels])
        assert pipeline.admit(video, by="a test")


def assert_published_once_or_in_doubt(nest: Nest) -> None:
    uploads = Counter(line.split()[0] for line in nest.notes("uploads"))
    assert not [video for video, times in uploads.items() if times > 1]
    for video in Video.objects.prefetch_related("jobs"):
        assert video.status in (VideoStatus.PUBLISHED, VideoStatus.NEEDS_REVIEW)
        assert_in_order(video)
        assert_agree(video)
        if video.status == VideoStatus.PUBLISHED:
            assert uploads[str(video.pk)] == 1
            assert f"{video.pk} {video.youtube_video_id}" in nest.notes("uploads")
            assert video.published_at is not None
    assert not JOBS.live().exists()


def decide_what_is_in_doubt(nest: Nest) -> int:
    """As a person does, who looks on YouTube."""
    out = dict(line.split() for line in nest.notes("uploads"))
    doubtful = Video.objects.filter(status=VideoStatus.NEEDS_REVIEW)
    for video in doubtful:
        if youtube_id := out.get(str(video.pk)):
            pipeline.confirm(video, youtube_id, by="an operator")
        else:
            assert pipeline.deny(video, by="an operator")
    return len(doubtful)


def test_every_video_is_published_exactly_once_whoever_is_killed(nest: Nest) -> None:
    count, channels, seed = (1000, 20, randrange(10**6)) if PROVE else (40, 4, 7)
    print(f"seed {seed}")
    admitted(count, channels)
    found = nest.work(
        workers=4,
        seed=seed,
        lease=2 if PROVE else 0.5,
        death_rate=0.01,
        kill_every=0.3,
        fail_rate=0.05,
        near=True,
    )
    print(found)
    assert found["killed"] > 3
    assert_published_once_or_in_doubt(nest)
    while decide_what_is_in_doubt(nest):
        nest.work(workers=2, near=True)
    assert_published_once_or_in_doubt(nest)
    assert Video.objects.published().count() == count
    assert len(nest.notes("uploads")) == count
    attempts = VideoProcessingJob.objects.values_list("attempts", flat=True)
    assert max(attempts) > 1


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="it has no server that could restart")
@pytest.mark.skipif(not PROVE, reason="it takes a server of its own: make prove")
def test_a_server_that_restarts_loses_nothing(tmp_path: Path, shared: None) -> None:
    """Three times, at once and without a farewell, as a crash does."""
    with tempfile.TemporaryDirectory() as name, durable_server(Path(name)) as (url, restart):
        nest = Nest(tmp_path, DATABASE_URL=url)
        try:
            with connected_to(url):
                admitted(300, 10)
                nest.begin(workers=4, lease=5, fail_rate=0.05, near=True)
                for done in (100, 300, 500):
                    wait_for(done)
                    restart()
                nest.end()
                assert nest.notes("outages")
                assert_published_once_or_in_doubt(nest)
                assert Video.objects.published().count() > 200
        finally:
            nest.close()


def wait_for(done: int) -> None:
    """Until so many jobs have succeeded."""
    while JOBS.filter(status="succeeded").count() < done:
        pass


@contextmanager
def durable_server(folder: Path) -> Iterator[tuple[str, Any]]:
    folder.chmod(0o755)
    user = "pgserver" if os.geteuid() == 0 else None
    data = folder / "data"

    def restart() -> None:
        how = ("-m", "immediate", "-w", "-l", str(data / "log"))
        pg_ctl = ("pg_ctl", "-D", str(data), "restart", *how)
        subprocess.run(pg_ctl, check=True, cwd="/", stdout=subprocess.DEVNULL, user=user)
        connection.close()

    with postgres.server(data, durable=True) as url:
        migrated = manage("migrate", "--verbosity=0", DATABASE_URL=url)
        assert migrated.returncode == 0, migrated.stderr
        yield url, restart


@contextmanager
def connected_to(url: str) -> Iterator[None]:
    """The test itself, by a connection that no pool keeps."""
    ours = connections["default"]
    other = ours.copy()
    other.settings_dict |= database(url)
    other.settings_dict["OPTIONS"].pop("pool")
    connections["default"] = other
    try:
        yield
    finally:
        other.close()
        connections["default"] = ours
