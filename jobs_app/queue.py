"""The jobs table as a queue: what goes in, who gets what, and what is taken back."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from channels_app.models import Channel
from jobs_app import conf, pipeline
from jobs_app.states import FINISHED, LIVE, JobKind, JobStatus, LeaseLost
from videos_app.life import MoveRefused
from ytops.db import sql
from ytops.db.locks import exclusive_until_commit
from ytops.db.models import BaseQuerySet

if TYPE_CHECKING:
    from jobs_app.models import VideoProcessingJob

PRUNED_AT_ONCE = 1000
# What the claim knows of a job that it found, in the order of the model.
KNOWN = ("id", "video_id", "channel_id", "kind", "priority", "attempts", "max_attempts")
# How many jobs the claim looks at, first and if none of those may start.
LOOKS = (8, 1_000_000)
SETTINGS: Any = Channel._meta.get_field("settings")


def tries() -> dict[str, int]:
    """How often a job is tried, and how long it waits in between: as configured at its enqueue."""
    return {
        "max_attempts": conf.MAX_ATTEMPTS.get(),
        "backoff_seconds": conf.BACKOFF_SECONDS.get(),
    }


class VideoProcessingJobQuerySet(BaseQuerySet["VideoProcessingJob"]):
    def queued(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=JobStatus.QUEUED)

    def running(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=JobStatus.RUNNING)

    def live(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status__in=LIVE)

    def finished(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status__in=FINISHED)

    def failed(self) -> "VideoProcessingJobQuerySet":
        return self.filter(status=JobStatus.FAILED)

    def stuck(self) -> "VideoProcessingJobQuerySet":
        """Running, but silent for longer than the lease."""
        return self.running().filter(lease_expires_at__lt=Now())

    def held(self, pk: UUID, token: UUID | None) -> "VideoProcessingJob":
        """The job as it is now, in the name of whoever claims to hold it. LeaseLost if it is gone.

        Whether the token counts, each of his words finds out.
        """
        job = self.select_related("video__channel").filter(pk=pk).first()
        if job is None:
            raise LeaseLost(f"There is no job {pk}.")
        job.lease_token = token
        return job

    def counted(self) -> "QuerySet[VideoProcessingJob, dict[str, Any]]":
        """By channel and kind: how many are due and since when, are for later, run, are stuck, and
        have failed.
        """
        queued, running = Q(status=JobStatus.QUEUED), Q(status=JobStatus.RUNNING)
        due = queued & Q(run_at__lte=Now())
        unfinished = self.filter(status__in=[*LIVE, JobStatus.FAILED]).order_by()
        return unfinished.values("channel_id", "kind").annotate(
            due=Count("pk", filter=due),
            later=Count("pk", filter=queued & Q(run_at__gt=Now())),
            oldest_due=Now() - Min("run_at", filter=due),
            running=Count("pk", filter=running),
            stuck=Count("pk", filter=running & Q(lease_expires_at__lt=Now())),
            failed=Count("pk", filter=Q(status=JobStatus.FAILED)),
        )

    def enqueue(
        self,
        video_id: UUID,
        channel_id: UUID,
        kind: str,
        *,
        priority: int = 0,
        run_at: datetime | None = None,
    ) -> "VideoProcessingJob":
        """A new job of a video and its channel, due at once or at `run_at`.

        If the video has a live job of this kind, that one stays and comes back.
        """
        ids = {"id": uuid7(), "video": video_id, "channel": channel_id}
        new = {"kind": kind, "priority": priority, "run_at": run_at, **tries()}
        if sql.run(sql.QUEUE_JOB, **ids, **new):
            return self._with(KNOWN[:4], [*ids.values(), kind])
        return self.live().get(video_id=video_id, kind=kind)

    def claim(
        self, *, worker: str, kinds: Collection[str] = (), limit: int = 1
    ) -> list["VideoProcessingJob"]:
        """Give up to `limit` due jobs to a worker, each with a lease and a token of its own.

        One claim at a time in the whole system, so that what it counts is so when it commits: no
        cap is ever passed. Empty if nothing is due, or nothing may run.
        """
        claimed: list[VideoProcessingJob] = []
        tried: set[Any] = set()
        kinds = list(kinds or JobKind.values)
        while len(claimed) < limit and not conf.PAUSED.get():
            # Before the transaction: within one they would be read for it alone, each time anew.
            most, lease = conf.MAX_CONCURRENT.get(), conf.LEASE_SECONDS.get()
            with transaction.atomic():
                exclusive_until_commit(connection, "claim")
                found = self._next(kinds, most, tried)
                jobs = (self._with(KNOWN, known) for known in found)
                job = next((job for job in jobs if self._start(job, worker, lease)), None)
            if job is not None:
                claimed.append(job)
            elif not found:
                break
            else:  # none of those could start: it looks again, past them
                tried |= {known[0] for known in found}
        return claimed

    def _next(self, kinds: list[str], most: int, tried: set[Any]) -> list[Sequence[Any]]:
        """What is KNOWN of the jobs that may start, the first one first, without those tried."""
        setting = conf.MAX_CONCURRENT_PER_CHANNEL
        for limit in LOOKS:
            rows = sql.run(sql.NEXT_JOBS, kinds=kinds, most=most, limit=limit)
            found: list[Sequence[Any]] = []
            for *known, running, name, settings in rows:
                own = SETTINGS.from_db_value(settings, None, connection)
                channel = Channel(id=known[2], name=name, settings=own) if own else None
                if running < setting.get(channel) and known[0] not in tried:
                    found.append(known)
            if found or len(rows) < limit:
                break
        return found

    def _start(self, job: "VideoProcessingJob", worker: str, lease: int) -> bool:
        """False if somebody has cancelled it, or it turns out that it cannot start, or not now."""
        if job.kind == JobKind.PUBLISH and pipeline.put_off(job):
            return False
        job.worker, job.lease_token = worker, uuid4()
        as_found = {"id": job.pk, "attempts": job.attempts}
        values = {"worker": worker, "token": job.lease_token, "lease": lease}
        started = sql.run(sql.START_JOB, **as_found, **values)
        if not started:
            return False
        job.status, job.attempts = JobStatus.RUNNING, started[0][0]
        try:
            pipeline.start(job)
        except MoveRefused as refusal:
            job.end(JobStatus.FAILED, error_message=str(refusal))
            return False
        return True

    def _with(self, names: Sequence[str], values: Iterable[Any]) -> "VideoProcessingJob":
        """A job of which these fields are known; the others are read when they are asked for."""
        fields: list[Any] = [self.model._meta.get_field(name) for name in names]
        known = [field.to_python(value) for field, value in zip(fields, values, strict=True)]
        return self.model.from_db(self.db, names, known)

    def rescue(self) -> list["VideoProcessingJob"]:
        """Take back the jobs whose workers are silent: each is queued again, or has failed."""
        return [job for job in self.stuck() if job.rescue()]

    def prune(self) -> int:
        """Delete the jobs that ended longer ago than they are kept; how many."""
        oldest = Now() - timedelta(days=conf.RETENTION_DAYS.get())
        # By their creation, which has an index: what ended so long ago is older than that.
        old = self.finished().filter(created_at__lt=oldest, finished_at__lt=oldest).order_by()
        deleted = 0
        while found := list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
            # Asked once more: one of them may have been queued again.
            deleted += old.filter(pk__in=found).delete()[0]
        return deleted
