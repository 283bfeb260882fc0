"""Keeps the lease of a job while its handler works."""

import logging
from random import uniform
from threading import Event, Thread
from time import monotonic

from django.db import DatabaseError, Error, OperationalError, connection

from jobs_app import conf
from jobs_app.handlers import Cancelled
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.states import LeaseLost

# In seconds.
PROGRESS_AFTER = 5.0  # how old what the queue knows may be before progress is worth a word
NEXT_TRY = 2.0  # after the database did not answer
# Between two looks for silent workers; random, so that those of one start do not look together.
ROUND = (50.0, 70.0)

logger = logging.getLogger("jobs_app.worker")


class Heartbeat(Thread):
    """A thread with a database connection of its own. It asks three times a lease, at least once a
    minute, and sooner when the handler has progress to tell; a database that is away for less than
    a lease does not end it. Each minute it also takes back what silent workers have.
    """

    def __init__(self, job: VideoProcessingJob) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.answer = Answer.CONTINUE
        self._job = VideoProcessingJob(pk=job.pk, lease_token=job.lease_token)
        self._percent: int | None = None
        self._beaten_at = monotonic()
        self._next_rescue = monotonic() + uniform(*ROUND)  # noqa: S311
        self._wake, self._ended, self._away = Event(), Event(), False

    def report(self, percent: int) -> None:
        """From the handler. Cancelled, LeaseLost."""
        if self.answer is Answer.LOST:
            raise LeaseLost(f"The lease of job {self._job.pk} is lost.")
        if self.answer is Answer.CANCEL:
            raise Cancelled("cancelled by an operator")
        self._percent = percent
        if monotonic() - self._beaten_at >= PROGRESS_AFTER:
            self._wake.set()

    def run(self) -> None:
        try:
            while self.answer is not Answer.LOST:
                regular = min(conf.LEASE_SECONDS.get() / 3, ROUND[0])
                self._wake.wait(NEXT_TRY if self._away else regular)
                self._wake.clear()
                if self._ended.is_set():
                    break
                self._beat()
                if not self._away and monotonic() >= self._next_rescue:
                    self._rescue()
        finally:
            connection.close()

    def _beat(self) -> None:
        before, self._beaten_at = self.answer, monotonic()
        try:
            self.answer = self._job.heartbeat(progress=self._percent)
        except Error as error:
            connection.close()
            if not self._away:
                logger.warning("%s: no heartbeat: %s", self._job.pk, " ".join(str(error).split()))
            self._away = True
            return
        if self._away:
            logger.info("%s: the heartbeat is back", self._job.pk)
        self._away = False
        if self.answer is not before:
            logger.warning("%s: the heartbeat says: %s", self._job.pk, self.answer)

    def _rescue(self) -> None:
        """Long work keeps the worker from its rounds, and maybe every other one too."""
        self._next_rescue = monotonic() + uniform(*ROUND)  # noqa: S311
        try:
            rescue()
        except Exception as error:  # the lease is kept all the same
            connection.close()
            logger.warning("no rescue: %s", " ".join(str(error).split()))

    def end(self) -> None:
        self._ended.set()
        self._wake.set()
        self.join()


def rescue() -> None:
    """Take back what silent workers have. One that the database refuses stops no other."""
    for job in VideoProcessingJob.objects.stuck():
        try:
            if job.rescue():
                logger.warning("%s: rescued from %s, it is %s", job.pk, job.worker, job.status)
        except OperationalError:
            raise  # the database is away, for all of them
        except DatabaseError as error:
            logger.error("%s: not rescued: %s", job.pk, str(error).partition("\n")[0])
