"""The shell of docs/github-actions-worker.yml does what docs/WORKERS.md says of it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from jobs_app.models import VideoProcessingJob
from ytops.tests import examples
from ytops.tests.processes import environment, finish

pytestmark = pytest.mark.usefixtures("shared")
WORKFLOW = settings.BASE_DIR / "docs" / "github-actions-worker.yml"
PROVE = os.environ.get("YTOPS_PROVE") == "1"
RUN_ID = str(2**33)

Begin = Callable[[str], "subprocess.Popen[str]"]


def script() -> str:
    """The block under the last `run: |`."""
    text = WORKFLOW.read_text(encoding="utf-8").rpartition("run: |\n")[2]
    return textwrap.dedent(text)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start the script with this one, in shell, as the program that transforms.

    The program makes the file `started`, and goes on when there is a file `go`.
    """
    started: list[subprocess.Popen[str]] = []

    def begin(transform: str) -> "subprocess.Popen[str]":
        program = tmp_path / "transform.sh"
        wait = f"touch {tmp_path}/started; until [ -e {tmp_path}/go ]; do sleep 0.02; done"
        program.write_text(f"#!/bin/sh\n{wait}\n{transform}\n")
        program.chmod(0o700)
        process = subprocess.Popen(
            ["sh", "-c", script()],
            env=environment(
                PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                GITHUB_WORKSPACE=str(settings.BASE_DIR),
                RUNNER_TEMP=str(tmp_path),
                RUN_ID=RUN_ID,
                TRANSFORM=str(program),
                HEARTBEAT_SECONDS="0.1",
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def job(shared: None) -> VideoProcessingJob:
    owner = examples.channel(schedule={})
    video = examples.video(channel=owner, status="downloaded")
    past = timezone.now() - timedelta(minutes=1)
    return examples.job(video, kind="transform", run_at=past)


def stored(job: VideoProcessingJob) -> VideoProcessingJob:
    return VideoProcessingJob.objects.select_related("video").get(pk=job.pk)


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_work_that_is_done(begin: Begin, job: VideoProcessingJob, tmp_path: Path) -> None:
    left = examples.job(examples.video(status="downloading"), status="running")
    left.write(lease_expires_at=Now() - timedelta(seconds=1))
    result = """printf '{"text": "%0200000d"}' 0 | tr 0 x > "$2" """
    transform = f"""grep -q '"title": "A pie"' "$1" && {result}"""
    process = begin(transform)
    wait_until(lambda: stored(job).github_workflow_run_id, process)
    token = str(stored(job).lease_token)
    (tmp_path / "go").touch()
    ended = finish(process)
    now = stored(job)
    assert (now.status, now.video.status) == ("succeeded", "transformed"), ended
    assert now.result == {"text": "x" * 200_000}  # more than a command line takes
    assert now.worker == f"github-{RUN_ID}"
    assert stored(left).status == "queued"
    assert now.github_workflow_run_id == int(RUN_ID)
    assert ended.returncode == 0
    assert token not in ended.stdout + ended.stderr


@pytest.mark.skipif(not PROVE, reason="make prove runs it")
@pytest.mark.parametrize("stop", ["cancel", "lost"])
def test_work_that_is_to_stop(
    begin: Begin, job: VideoProcessingJob, tmp_path: Path, stop: str
) -> None:
    process = begin("")
    wait_until((tmp_path / "started").exists, process)
    if stop == "cancel":
        stored(job).cancel(by="op")
    else:
        stored(job).write(lease_token=uuid4())
    ended = finish(process)
    after = {"cancel": ("cancelled", "skipped"), "lost": ("running", "transforming")}
    now = stored(job)
    assert (now.status, now.video.status) == after[stop], ended
    assert ended.returncode == 0


if PROVE:

    def test_work_that_fails(begin: Begin, job: VideoProcessingJob, tmp_path: Path) -> None:
        (tmp_path / "go").touch()
        ended = finish(begin("exit 7"))
        now = stored(job)
        assert (now.status, now.video.status) == ("queued", "downloaded"), ended
        assert now.error_message == "the transformation ended with 7"
        assert ended.returncode == 1

    def test_nothing_to_do(begin: Begin, shared: None) -> None:
        ended = finish(begin("exit 7"))
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == "0 rescued.\nNothing to do.\n"
