"""`manage.py work` as a process: how it ends, and what becomes of its job."""

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from jobs_app.models import VideoProcessingJob
from ytops.tests import examples
from ytops.tests.processes import finish, start

pytestmark = pytest.mark.usefixtures("shared")
WORK = ("manage.py", "work", "--once")


@pytest.fixture
def job(shared: None, tmp_path: Path) -> VideoProcessingJob:
    owner = examples.channel(settings={})
    video = examples.video(channel=owner, metadata={"folder": str(tmp_path)})
    made = examples.job(video)
    due(made)
    return made


@pytest.fixture
def busy(job: VideoProcessingJob, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A worker in the middle of the job; it ends its work when there is a file `go`."""
    process = worker("manage.py", "work")
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate()


def worker(*command: str) -> "subprocess.Popen[str]":
    return start(*command, JOB_HANDLERS="jobs_app.tests.handlers")


def due(job: VideoProcessingJob) -> None:
    job.write(run_at=Now() - timedelta(minutes=1))


def stored(job: VideoProcessingJob) -> VideoProcessingJob:
    return VideoProcessingJob.objects.select_related("video").get(pk=job.pk)


def test_a_signal_lets_it_finish_its_job(
    busy: "subprocess.Popen[str]", job: VideoProcessingJob, tmp_path: Path
) -> None:
    busy.send_signal(signal.SIGTERM)
    assert busy.stderr is not None
    assert any("stopping when the job is done" in line for line in busy.stderr)
    (tmp_path / "go").touch()
    assert finish(busy).returncode == 0
    now = stored(job)
    assert (now.status, now.video.status) == ("succeeded", "downloaded")


def test_a_second_signal_gives_the_job_back(
    busy: "subprocess.Popen[str]", job: VideoProcessingJob
) -> None:
    busy.send_signal(signal.SIGINT)
    assert busy.stderr is not None
    assert any("stopping when the job is done" in line for line in busy.stderr)
    busy.send_signal(signal.SIGINT)
    ended = finish(busy)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "CommandError: Stopped by a second signal."
    now = stored(job)
    assert (now.status, now.video.status, now.attempts) == ("queued", "scraped", 1)


def test_what_a_killed_one_had_the_next_one_takes_back_and_does(
    busy: "subprocess.Popen[str]", job: VideoProcessingJob, tmp_path: Path
) -> None:
    busy.kill()
    busy.communicate()
    assert stored(job).status == "running"
    # As if the lease had been silent for long.
    job.write(lease_expires_at=Now() - timedelta(seconds=1), backoff_seconds=0)
    (tmp_path / "go").touch()
    ended = finish(worker(*WORK))
    assert ended.returncode == 0, ended.stderr
    now = stored(job)
    assert (now.status, now.result) == ("succeeded", {"attempt": 2})
    history = [(entry["from"], entry["to"]) for entry in now.video.processing_history]
    assert history == [
        ("scraped", "downloading"),
        ("downloading", "scraped"),
        ("scraped", "downloading"),
        ("downloading", "downloaded"),
    ]
    assert "expired in attempt 1" in now.video.processing_history[1]["why"]
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/none.sqlite3"
    ended = finish(start(*WORK, JOB_HANDLERS="jobs_app.tests.handlers", DATABASE_URL=url))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ytops: the database of DATABASE_URL did not answer")
