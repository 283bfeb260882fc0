import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.working import queue
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.processes import environment


@pytest.fixture
def channel() -> Channel:
    return examples.channel(schedule={})


@pytest.fixture
def video(channel: Channel) -> Video:
    return examples.video(channel=channel)


@pytest.fixture
def queued(video: Video) -> VideoProcessingJob:
    return queue(video, "download")


@pytest.fixture
def claimed(queued: VideoProcessingJob) -> VideoProcessingJob:
    """By the worker w1."""
    return VideoProcessingJob.objects.claim(worker="w1")[0]


@pytest.fixture
def shared(committing: None) -> Iterator[None]:
    """What the test writes is committed, for other connections to see, and taken away after it."""
    yield
    connection.close()
    with transaction.atomic():
        Channel.objects.all().delete()


class Nest:
    """Real workers, by `worker_process.py`, and what they noted of their work."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobs_app.tests.worker_process"],
            cwd=settings.BASE_DIR,
            env=environment(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def begin(self, *assignments: dict[str, Any], **assignment: Any) -> None:
        assert self.process.stdin is not None
        every = assignments or ({},)
        told = [{"folder": str(self.folder), **assignment, **each} for each in every]
        print(json.dumps(told), file=self.process.stdin, flush=True)

    def end(self) -> dict[str, int]:
        """How many were killed and hatched; an error of any of them is raised."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert self.notes("errors") == []
        found: dict[str, int] = json.loads(answer)
        return found

    def work(self, *assignments: dict[str, Any], **assignment: Any) -> dict[str, int]:
        self.begin(*assignments, **assignment)
        return self.end()

    def notes(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(scope="module")
def _nest(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nest]:
    nest = Nest(tmp_path_factory.mktemp("nest"))
    yield nest
    nest.close()


@pytest.fixture
def nest(_nest: Nest, tmp_path: Path, shared: None) -> Nest:
    """One process imports Django for all tests of a module; each has a folder of its own."""
    _nest.folder = tmp_path
    return _nest
