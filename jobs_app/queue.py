"""The jobs table as a queue: what goes in, who gets what, and what is taken back."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Now

from channels_app.models import Channel
from jobs_app import conf, pipeline, sql
from jobs_app.states import FINISHED, LIVE, JobKind, JobStatus, LeaseLost
from settings_app import snapshot
from videos_app.life import MoveRefused
from videos_app.models import Video
from ytops.db.locks import exclusive_until_commit
from ytops.db.models import BaseQuerySet

if TYPE_CHECKING:
    from jobs_app.models import VideoProcessingJob

PRUNED_AT_ONCE = 1000


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
        self, video: Video, kind: str, *, priority: int = 0, run_at: datetime | None = None
    ) -> "VideoProcessingJob":
        """A new job, due at once or at `run_at`.

        IntegrityError if the video has a live job of this kind.
        """
        job = self.create(
            video=video,
            channel_id=video.channel_id,
            kind=kind,
            priority=priority,
            run_at=Now() if run_at is None else run_at,
            **tries(),
        )
        if run_at is None:
            job.take_over({"run_at": Now()})
        return job

    def claim(
        self, *, worker: str, kinds: Collection[str] = (), limit: int = 1
    ) -> list["VideoProcessingJob"]:
        """Give up to `limit` due jobs to a worker, each with a lease and a token of its own.

        One claim at a time in the whole system, so that what it counts is so when it commits: no
        cap is ever passed. Empty if nothing is due, or nothing may run.
        """
        claimed: list[VideoProcessingJob] = []
        kinds = list(kinds or JobKind.values)
        while len(claimed) < limit and (job := self._claim_one(worker, kinds)):
            claimed.append(job)
        return claimed

    def _claim_one(self, worker: str, kinds: list[str]) -> "VideoProcessingJob | None":
        with transaction.atomic():
            exclusive_until_commit(connection, "claim")
            snapshot.expire()  # a job starts from the configuration of now
            if conf.PAUSED.get():
                return None
            caps = (conf.MAX_CONCURRENT.get(), conf.MAX_CONCURRENT_PER_CHANNEL.get())
            while pk := sql.next_job(kinds, *caps, overrides()):
                if job := self._start(pk, worker):
                    return job
        return None

    def _start(self, pk: Any, worker: str) -> "VideoProcessingJob | None":
        """None if it is not queued any more, or turned out not to be due or not to be possible."""
        rows = self.select_related("video", "channel").select_for_update(of=("self", "video"))
        job: Any = rows.annotate(now=Now()).filter(pk=pk, status=JobStatus.QUEUED).first()
        if job is None or pipeline.put_off(job, job.now):
            return None
        lease = timedelta(seconds=conf.LEASE_SECONDS.get())
        job.write(
            status=JobStatus.RUNNING,
            worker=worker,
            attempts=job.attempts + 1,
            progress=0,
            lease_token=uuid4(),
            lease_expires_at=Now() + lease,
            github_workflow_run_id=None,
            started_at=Now(),
            finished_at=None,
        )
        try:
            pipeline.start(job)
        except MoveRefused as refusal:
            job.end(JobStatus.FAILED, error_message=str(refusal))
            return None
        started: VideoProcessingJob = job
        return started

    def rescue(self) -> list["VideoProcessingJob"]:
        """Take back the jobs whose workers are silent: each is queued again, or has failed."""
        return [job for job in self.stuck() if job.rescue()]

    def prune(self) -> int:
        """Delete the jobs that ended longer ago than they are kept; how many."""
        oldest = Now() - timedelta(days=conf.RETENTION_DAYS.get())
        old, deleted = self.finished().filter(finished_at__lt=oldest).order_by(), 0
        while found := list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
            # Asked once more: one of them may have been queued again.
            deleted += old.filter(pk__in=found).delete()[0]
        return deleted


def overrides() -> dict[Channel, int]:
    """Channel → how many of its jobs may run, for those that differ from the system."""
    setting = conf.MAX_CONCURRENT_PER_CHANNEL
    own = Channel.objects.active().filter(settings__has_key=setting.key).only("name", "settings")
    return {channel: setting.get(channel) for channel in own}
