"""A worker process: it claims jobs and runs their handlers, and takes back what others left."""

import json
import logging
import os
import select
import signal
import socket
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from random import uniform
from time import monotonic
from typing import Any

from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
)

from channels_app.models import Channel
from jobs_app.admission import admit_resting
from jobs_app.briefing import fetched
from jobs_app.handlers import Cancelled, Final, RetryLater, Work, registered
from jobs_app.heartbeat import ROUND, Heartbeat, rescue
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.reports import LONGEST, as_reported, masked, without_secrets
from jobs_app.states import JobKind, LeaseLost
from settings_app import snapshot
from ytops.db import strict_json

# In seconds. Random, so that workers that were started together do not ask together.
POLL = (2.0, 4.0)
NEXT_TRY = (1.0, 3.0)  # after the database did not answer
AWAY = (OperationalError, InterfaceError)
MOST_TRIES = 3  # to say what the database refuses
SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOPPING = b"ytops: stopping when the job is done; a second signal gives it back\n"

logger = logging.getLogger(__name__)
Word = partial[None]  # what is to be said of a job


class Stopped(BaseException):
    """Raised in a handler by the second signal."""


class Worker:
    def __init__(self, name: str, kinds: Sequence[str]) -> None:
        self.name = name
        self.kinds = kinds
        self.stopping = False
        self.hurried = False  # by a second signal
        self._in_handler = False
        self._next_round = 0.0
        self._away = False

    def run(self, *, once: bool = False) -> None:
        """Work until a signal comes; with `once`, on one job at most.

        DatabaseError if the database does not answer at the start; later it is waited for.
        """
        with self._heeding_signals():
            self._look_round()
            while not self.stopping:
                try:
                    if monotonic() >= self._next_round:
                        self._look_round()
                    job = self._claim()
                except AWAY as error:
                    if once:
                        raise
                    self._wait_for_the_database(error)
                    continue
                except DatabaseError as error:  # such as a slot that another took in that moment
                    if once:
                        raise
                    logger.error("no job could be claimed: %s", described(error))
                    self._pause(*NEXT_TRY)
                    continue
                if job is not None:
                    self._work_on(job)
                if once:
                    return
                if job is None:
                    self._pause(*POLL)

    def _claim(self) -> VideoProcessingJob | None:
        close_old_connections()
        snapshot.expire()  # a job starts from the configuration of now
        claimed = VideoProcessingJob.objects.claim(worker=self.name, kinds=self.kinds)
        self._is_back()
        return next(iter(fetched(claimed)), None)

    def _look_round(self) -> None:
        """Take back what silent workers have, and queue what rests without a job."""
        rescue()
        done = admit_resting(by=f"worker {self.name}")
        if done.queued:
            logger.info("queued the next jobs of %s videos that rested without one", done.queued)
        for pk, error in done.errors.items():
            logger.error("video %s was not queued: %s", pk, error)
        self._next_round = monotonic() + uniform(*ROUND)  # noqa: S311

    # --- one job ---

    def _work_on(self, job: VideoProcessingJob) -> None:
        title, attempt = strict_json.line(job.video.title), f"{job.attempts} of {job.max_attempts}"
        logger.info("%s: %s of %s, attempt %s", job.pk, job.kind, title, attempt)
        heartbeat = Heartbeat(job)
        heartbeat.start()
        try:
            word = self._handle(job, Work(job, heartbeat.report))
        finally:
            heartbeat.end()
        if heartbeat.answer is Answer.LOST:
            self._too_late(job, word)
        else:
            self._say(job, word)

    def _handle(self, job: VideoProcessingJob, work: Work) -> Word:
        """Run the handler; what is then to be said of the job."""
        try:
            try:
                self._in_handler = True
                if self.hurried:
                    raise Stopped
                result = registered()[job.kind](work)
            finally:
                self._in_handler = False
            return partial(complete, result=result)
        except Stopped:
            # What a publication had done by then, nobody knows.
            again = None if job.kind == JobKind.PUBLISH else timedelta(0)
            return partial(fail, error="its worker was stopped", retry_in=again)
        except RetryLater as error:
            wait = timedelta(seconds=error.seconds)
            return partial(fail, error=text_of(error), retry_in=wait)
        except Final as error:
            return partial(fail, error=text_of(error), final=True)
        except (Cancelled, LeaseLost) as error:
            return partial(fail, error=text_of(error))
        except BaseException as error:  # none of it may end the worker and leave the job running
            trace = "".join(traceback.format_exception(error))
            logger.error("%s: its handler failed\n%s", job.pk, for_the_log(trace, work.channel))
            return partial(fail, error=described(error))

    def _say(self, job: VideoProcessingJob, word: Word) -> None:
        """Until it is heard, or the lease is lost; a result that is refused fails the attempt."""
        refused = 0
        while True:
            try:
                close_old_connections()
                # Read anew each time: a transaction that was rolled back leaves its traces.
                held = VideoProcessingJob.objects.held(job.pk, job.lease_token)
                word(held)
            except LeaseLost as lost:
                logger.warning("%s: too late: %s", job.pk, lost)
                self._too_late(job, word)
            except AWAY as error:
                if not self.hurried:
                    self._wait_for_the_database(error)
                    continue
                logger.error("%s: stopped before its outcome could be told", job.pk)
            except Exception as error:
                refused += 1
                if refused <= MOST_TRIES:
                    # What the database refuses, another may have taken in the same moment.
                    if not isinstance(error, DatabaseError) or refused == MOST_TRIES:
                        word = partial(fail, error=described(error) + result_of(word))
                    continue
                logger.error("%s: its outcome is refused: %s", job.pk, described(error))
            else:
                self._is_back()
                error_message = " ".join(held.error_message.split())
                logger.info("%s: %s%s", job.pk, held.status, error_message and f", {error_message}")
            return

    def _too_late(self, job: VideoProcessingJob, word: Word) -> None:
        """Whoever has to find out whether a publication is out finds its id in the log."""
        if result := result_of(word):
            shown = for_the_log(result, job.video.channel)[:LONGEST]
            logger.warning("%s: too late%s", job.pk, shown)

    # --- signals and outages ---

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end a pause at once: they write to a socket that it waits for."""
        self._woken, written = socket.socketpair()
        with self._woken, written:
            self._woken.setblocking(False)
            written.setblocking(False)
            former = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
            former_socket = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(former_socket)
                for number, handler in former.items():
                    signal.signal(number, handler)

    def _on_signal(self, *_: Any) -> None:
        if not self.stopping:
            self.stopping = True
            with suppress(OSError):
                os.write(2, STOPPING)  # logging may be in the middle of a line
            return
        self.hurried = True
        if self._in_handler:
            self._in_handler = False
            raise Stopped

    def _pause(self, shortest: float, longest: float) -> None:
        if select.select([self._woken], [], [], uniform(shortest, longest))[0]:  # noqa: S311
            self._woken.recv(4096)

    def _wait_for_the_database(self, error: Exception) -> None:
        connection.close()
        if not self._away:
            logger.error("The database does not answer: %s", " ".join(str(error).split()))
        self._away = True
        self._pause(*NEXT_TRY)

    def _is_back(self) -> None:
        if self._away:
            logger.warning("The database answers again.")
        self._away = False


def complete(job: VideoProcessingJob, *, result: dict[str, Any] | None) -> None:
    """ValidationError, TypeError, ValueError for what is not a JSON object."""
    result = {} if result is None else result
    strict_json.validate_object(result)
    strict_json.validate_storable(result)
    json.dumps(result)
    job.complete(masked(result, job.video.channel))


def fail(job: VideoProcessingJob, *, error: str, **options: Any) -> None:
    job.fail(as_reported(error, job.video.channel), **options)


def described(error: BaseException) -> str:
    """Its type and its text; of the database's, the first line: the next ones show whole rows."""
    text = text_of(error)
    if isinstance(error, DatabaseError):
        text = text.partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {text}" if text not in ("", name) else name


def text_of(error: BaseException) -> str:
    """Its type's name if it cannot say what it is."""
    try:
        return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    except Exception:
        return type(error).__name__


def result_of(word: Word) -> str:
    """As the end of a line; empty without a result."""
    if not (result := word.keywords.get("result")):
        return ""
    try:
        return f"; its result was {json.dumps(result, default=str)}"
    except Exception:  # no JSON at all, or without end
        return ""


def for_the_log(text: str, channel: Channel) -> str:
    """Without secrets; nothing of it while the database does not tell which those are."""
    try:
        return without_secrets(text, channel)
    except AWAY:
        return "(not shown: the database, which has the secrets to mask, does not answer)"
