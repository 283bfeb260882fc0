"""A nest of real worker processes: `python -m jobs_app.tests.worker_process`.

Each line on its input is an assignment, a JSON object of what `Assignment` has; the nest forks the
workers, takes the place of those that are killed, and answers with one line when all have ended.
Django is imported once, and no connection is opened before the fork.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import django

PAUSE = 0.02
LONGEST = 300.0  # seconds that a worker goes on for at most
PARENT = os.getppid()


@dataclass
class Assignment:
    folder: str  # of what the workers note: uploads, errors
    task: str = "work"  # or cancel, rescue: until nothing is live, or once
    workers: int = 1
    seed: int = 0
    lease: float = 60.0  # seconds
    kinds: tuple[str, ...] = ()
    config_age: float = 1.0  # seconds that what they know of the configuration holds
    clock: float = 0.0  # how far their clocks are ahead, in seconds; every second one's behind
    die_at: str = ""  # a point at which a worker kills itself, and nobody takes its place
    death_rate: float = 0.0  # how probable it is that it does so at any point
    kill_every: float = 0.0  # seconds, on average, between two workers that the nest kills
    fail_rate: float = 0.0  # how probable it is that an attempt fails
    takes: float = 0.0  # seconds that a job takes at most
    dawdles: float = 0.0  # seconds, at most, between a claim or an end and its commit
    hold_at: str = ""  # a point at which a worker waits for the file `go`
    alone: str = ""  # "system" or "channel": in which no two jobs may be worked on at once
    near: bool = False  # whether slots to come are pulled near


class Worker:
    def __init__(self, assignment: Assignment, number: int) -> None:
        self.its = assignment
        self.name = f"worker-{number}"
        self.folder = Path(assignment.folder)
        self.random = Random(f"{assignment.seed} {number}")
        self.ends = time.monotonic() + LONGEST

    def note(self, file: str, line: str) -> None:
        """In one write to the end of the file, so that nothing of others is lost."""
        target = os.open(self.folder / file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(target, f"{line}\n".encode())
        os.close(target)

    def point(self, name: str) -> None:
        """Of a job's way; here it may be killed, as kill -9 does, or held."""
        if name == self.its.die_at or self.random.random() < self.its.death_rate:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == self.its.hold_at:
            (self.folder / f"held-{self.name}").touch()
            while not (self.folder / "go").exists():
                time.sleep(PAUSE)

    def prepare(self) -> None:
        """Another lease and clock, and points inside of the transactions of the queue."""
        from django.utils import timezone

        from jobs_app import conf, pipeline
        from settings_app import snapshot

        snapshot.LONGEST_AGE = self.its.config_age
        lease: Any = SimpleNamespace(get=lambda: self.its.lease)
        conf.LEASE_SECONDS = lease
        behind = -1 if int(self.name.removeprefix("worker-")) % 2 else 1
        ahead = self.its.clock * behind
        now, seconds = timezone.now, time.time
        timezone.now = lambda: now() + timedelta(seconds=ahead)
        time.time = lambda: seconds() + ahead
        for function, name in (("start", "claiming"), ("succeed", "completing")):
            setattr(pipeline, function, self.then_point(getattr(pipeline, function), name))

    def then_point(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            result = function(*args)
            time.sleep(self.random.uniform(0, self.its.dawdles))
            self.point(name)
            return result

        return run

    def work(self) -> None:
        from jobs_app.models import VideoProcessingJob
        from jobs_app.states import LeaseLost
        from jobs_app.tests.fleet import bring_near, now

        jobs = VideoProcessingJob.objects
        while time.monotonic() < self.ends:
            if (self.folder / "errors").exists():
                return  # what another could not do may never come to an end
            if self.random.random() < 0.05:
                self.said(jobs.rescue)
            claimed = self.said(jobs.claim, worker=self.name, kinds=self.its.kinds)
            if not claimed:
                if not self.said(jobs.live().filter(kind__in=self.kinds()).exists):
                    return
                self.said(jobs.rescue)
                if self.its.near:
                    far = jobs.queued().filter(kind="publish", run_at__gt=self.said(now))
                    self.said(bring_near, self.said(list, far), self.random)
                time.sleep(PAUSE)
                continue
            try:
                with self.alone_with(claimed[0]):
                    self.handle(claimed[0])
            except LeaseLost:
                self.note("lost", str(claimed[0].pk))
        raise TimeoutError("its work did not come to an end")

    def kinds(self) -> Any:
        return self.its.kinds or ("download", "transform", "publish")

    def said(self, function: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """What it returns; said again as long as the server restarts."""
        from django.db import InterfaceError, OperationalError, connection

        while True:
            try:
                return function(*args, **values)
            except (OperationalError, InterfaceError) as error:
                if connection.vendor == "sqlite" or time.monotonic() > self.ends:
                    raise
                self.note("outages", " ".join(str(error).split()))
                connection.close()
                time.sleep(PAUSE)

    def handle(self, job: Any) -> None:
        self.point("claimed")
        answer = self.said(job.heartbeat, progress=self.random.randrange(100))
        if answer == "lost":
            self.note("lost", str(job.pk))
            return
        if answer == "cancel":
            self.said(job.fail, "stopped", final=True)
            return
        time.sleep(self.random.uniform(0, self.its.takes))
        if self.random.random() < self.its.fail_rate:
            self.said(job.fail, "made up", retry_in=timedelta(0))
            return
        result = {}
        if job.kind == "publish":
            self.point("publishing")
            youtube_id = sha256(job.video_id.bytes).hexdigest()[:11]
            self.note("uploads", f"{job.video_id} {youtube_id}")
            result = {"youtube_video_id": youtube_id}
        self.point("worked")
        self.said(job.complete, result)
        self.point("completed")

    @contextmanager
    def alone_with(self, job: Any) -> Iterator[None]:
        if not self.its.alone:
            yield
            return
        name = "system" if self.its.alone == "system" else str(job.channel_id)
        mark = self.folder / f"alone-{name}"
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            self.note("errors", f"{self.name} is not alone with {job.pk}")
            raise
        complete = job.complete

        def last_word(result: Any) -> None:
            mark.unlink()  # before it: another may begin as soon as it is said
            complete(result)

        job.complete = last_word
        yield

    def cancel(self) -> None:
        """Whatever is live, in no order."""
        from jobs_app.models import VideoProcessingJob
        from jobs_app.states import JobRefused

        while found := list(VideoProcessingJob.objects.live()):
            try:
                self.random.choice(found).cancel(by=self.name)
            except JobRefused:
                self.note("refused", self.name)
            time.sleep(self.random.random() * 2 * PAUSE)

    def rescue(self) -> None:
        from jobs_app.models import VideoProcessingJob

        for job in VideoProcessingJob.objects.rescue():
            self.note("rescued", str(job.pk))


def hatch(assignment: Assignment, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    worker = Worker(assignment, number)
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        worker.prepare()
        getattr(worker, assignment.task)()
        code = 0
    except BaseException:
        worker.note("errors", traceback.format_exc())
    os._exit(code)


def supervise(assignments: list[Assignment]) -> dict[str, int]:
    """Run them beside each other to their ends."""
    random = Random(assignments[0].seed)
    number = 0
    living: dict[int, Assignment] = {}
    for assignment in assignments:
        for _ in range(assignment.workers):
            living[hatch(assignment, number)] = assignment
            number += 1
    killed = 0
    kill_every = assignments[0].kill_every
    next_kill = time.monotonic() + random.expovariate(1 / kill_every) if kill_every else None
    while living:
        if os.getppid() != PARENT:  # it is gone, and nobody waits for the answer
            os.killpg(0, signal.SIGKILL)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            assignment = living.pop(pid)
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                killed += 1
                if not assignment.die_at:
                    living[hatch(assignment, number)] = assignment
                    number += 1
            continue
        if next_kill and time.monotonic() > next_kill:
            os.kill(random.choice(sorted(living)), signal.SIGKILL)
            next_kill = time.monotonic() + random.expovariate(1 / kill_every)
        time.sleep(0.002)
    return {"killed": killed, "hatched": number}


if __name__ == "__main__":
    django.setup()
    for line in sys.stdin:
        answer = supervise([Assignment(**values) for values in json.loads(line)])
        print(json.dumps(answer), flush=True)
