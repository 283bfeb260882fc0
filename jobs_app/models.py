from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from random import uniform
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import CheckConstraint, F, Q, UniqueConstraint
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from channels_app.models import Channel
from jobs_app import conf, pipeline
from jobs_app.queue import VideoProcessingJobQuerySet, tries
from jobs_app.states import LIVE, JobKind, JobRefused, JobStatus, LeaseLost
from videos_app.life import MoveRefused
from videos_app.models import Video
from ytops.db import sql
from ytops.db.constraints import between, in_range, json_shapes, one_of, text_lengths
from ytops.db.fields import JSONObjectField
from ytops.db.models import BaseModel
from ytops.db.strict_json import UNSTORABLE, validate_object, validate_storable

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
MOST_ATTEMPTS = 32_767
LONGEST_BACKOFF = 2_147_483_647
LONGEST_WAIT = timedelta(days=1)  # between two attempts
NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
# Not before it started: the clock of the database may have been put back since, as by a failover.
END = Coalesce(Greatest(Now(), F("started_at")), Now())
ENDED: dict[str, Any] = {"finished_at": END, **NO_LEASE}


class Answer(StrEnum):
    """To a heartbeat."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    LOST = "lost"


class VideoProcessingJob(BaseModel):
    Kind = JobKind
    Status = JobStatus

    # Both have an index of their own below.
    video = models.ForeignKey(Video, models.CASCADE, related_name="jobs", db_index=False)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="jobs", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind)
    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    priority = models.SmallIntegerField(
        default=0,
        validators=between(LOWEST_PRIORITY, HIGHEST_PRIORITY),
        help_text=f"From {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}; the highest runs first.",
    )
    run_at = models.DateTimeField(default=timezone.now, help_text="Not before this time.")
    attempts = models.PositiveSmallIntegerField(default=0, validators=between(0, MOST_ATTEMPTS))
    max_attempts = models.PositiveSmallIntegerField(default=5, validators=between(1, MOST_ATTEMPTS))
    backoff_seconds = models.PositiveIntegerField(
        default=60, validators=between(0, LONGEST_BACKOFF)
    )
    progress = models.PositiveSmallIntegerField(
        default=0, validators=between(0, 100), help_text="Per cent."
    )
    worker = models.CharField(max_length=200, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # GitHub's run ids are beyond 32 bits today.
    github_workflow_run_id = models.BigIntegerField("GitHub run", null=True, blank=True)
    error_message = models.TextField(blank=True)
    result = JSONObjectField()
    started_at = models.DateTimeField("started", null=True, blank=True)
    finished_at = models.DateTimeField("finished", null=True, blank=True)

    objects = VideoProcessingJobQuerySet.as_manager()

    class Meta:
        db_table = "video_processing_jobs"
        ordering = ["-created_at"]
        verbose_name = "processing job"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="jobs_by_age"),
            models.Index(fields=["status", "-created_at"], name="jobs_by_status"),
            models.Index(fields=["channel", "-created_at"], name="jobs_by_channel"),
            models.Index(fields=["channel", "status"], name="jobs_by_channel_status"),
            models.Index(fields=["video", "-created_at"], name="jobs_by_video"),
            # The claim: the lanes, and who was served last.
            models.Index(
                fields=["kind", "channel", "priority", "run_at", "id"],
                name="jobs_lanes",
                condition=Q(status="queued"),
            ),
            models.Index(fields=["channel", "started_at"], name="jobs_by_service"),
        ]
        constraints = [
            UniqueConstraint(
                fields=["video", "kind"],
                condition=Q(status__in=["queued", "running"]),
                name="jobs_one_live_a_video_and_kind",
                violation_error_message="This video has a live job of this kind already.",
            ),
            one_of("jobs", "kind", JobKind.values),
            one_of("jobs", "status", JobStatus.values),
            text_lengths("jobs", worker=(0, 200), error_message=(0, None)),
            json_shapes("jobs", result="{"),
            in_range("jobs", "priority", LOWEST_PRIORITY, HIGHEST_PRIORITY),
            in_range("jobs", "attempts", 0, MOST_ATTEMPTS),
            in_range("jobs", "max_attempts", 1, MOST_ATTEMPTS),
            in_range("jobs", "backoff_seconds", 0, LONGEST_BACKOFF),
            in_range("jobs", "progress", 0, 100),
            CheckConstraint(
                condition=Q(github_workflow_run_id__gt=0),
                name="jobs_github_run_is_positive",
                violation_error_message="A GitHub run id is greater than 0.",
            ),
            CheckConstraint(
                condition=Q(
                    status="running",
                    lease_token__isnull=False,
                    lease_expires_at__isnull=False,
                    started_at__isnull=False,
                )
                | (
                    ~Q(status="running")
                    & Q(lease_token__isnull=True, lease_expires_at__isnull=True)
                ),
                name="jobs_lease_while_running",
                violation_error_message="A job has a lease while it runs, and only then.",
            ),
            CheckConstraint(
                condition=Q(finished_at__gte=F("started_at")),
                name="jobs_finish_after_start",
                violation_error_message="A job cannot finish before it starts.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.get_status_display()}"

    def clean(self) -> None:
        video = Video.objects.filter(pk=self.video_id).first()
        if video and self.channel_id and video.channel_id != self.channel_id:
            raise ValidationError({"channel": "The video belongs to another channel."})

    def save(self, **options: Any) -> None:
        if self._state.adding and not self.channel_id and self.video_id:
            self.channel_id = self.video.channel_id
        super().save(**options)

    @property
    def who(self) -> str:
        return f"worker {self.worker}"

    # --- what its worker says; each is refused once the lease is another's ---

    def heartbeat(self, *, progress: int | None = None, run_id: int | None = None) -> Answer:
        """Keep the lease for another while, and learn whether to go on."""
        values: dict[str, Any] = {"progress": progress, "github_workflow_run_id": run_id}
        values = {name: value for name, value in values.items() if value is not None}
        values["lease_expires_at"] = Now() + timedelta(seconds=conf.LEASE_SECONDS.get())
        mine = VideoProcessingJob.objects.running().filter(pk=self.pk, lease_token=self.lease_token)
        if not mine.update(**values):
            return Answer.LOST
        return Answer.CANCEL if mine.exclude(cancel_requested_at=None).exists() else Answer.CONTINUE

    def complete(self, result: dict[str, Any] | None = None) -> None:
        """The work is done: move the video on. LeaseLost, MoveRefused.

        ValidationError unless the result of a publication has its `youtube_video_id`: what is not
        confirmed is not out.
        """
        result = result or {}
        validate_object(result)
        validate_storable(result)
        mine = {"id": self.pk, "token": self.lease_token}
        with self._all_or_nothing():
            if not (ended := sql.run(sql.SUCCEED_JOB, result=result, **mine)):
                raise self.lost()
            if self.kind == JobKind.PUBLISH:
                pipeline.check_youtube_video_id(self.video_id, result.get("youtube_video_id"))
            done = {"progress": 100, "result": result, **ENDED}
            self.take_over({"status": JobStatus.SUCCEEDED, **done})
            self.cancel_requested_at, self.error_message = ended[0]
            pipeline.succeed(self)

    def fail(self, error: str, *, retry_in: timedelta | None = None, final: bool = False) -> None:
        """This attempt came to nothing: another follows, unless it was the last or `final`.

        LeaseLost. A publication that fails without `retry_in` and `final` may be out: a person
        has to look, and nothing is tried again. With either the worker says that it is not.
        """
        error = UNSTORABLE.sub("\ufffd", error)  # of a tool's output, or a file's name
        known = self.kind != JobKind.PUBLISH or final or retry_in is not None
        with self._all_or_nothing():
            self._lock_mine()
            self._give_up(error, by=self.who, known=known, retry_in=retry_in, final=final)

    # --- what others do with it ---

    @transaction.atomic
    def rescue(self) -> bool:
        """Take it from a worker that is silent; whether it was not somebody else's by then."""
        silent = Q(status=JobStatus.RUNNING, lease_expires_at__lt=Now())
        if not self.lock(silent & Q(lease_token=self.lease_token)):
            return False
        error = f"the lease of {self.worker} expired in attempt {self.attempts}"
        self._give_up(error, by="rescue", known=self.kind != JobKind.PUBLISH)
        return True

    @transaction.atomic
    def cancel(self, *, by: str) -> None:
        """Take it out of the queue; if it runs, have its worker told. JobRefused if it ended."""
        if not self.lock(Q(status__in=LIVE)):
            raise JobRefused(self._is_not("queued or running, so it cannot be cancelled"))
        if self.status == JobStatus.RUNNING:
            if not self.cancel_requested_at:
                asked = f"{by} asked to cancel it"
                self.write(cancel_requested_at=Now(), error_message=asked)
            return
        self.end(JobStatus.CANCELLED, cancel_requested_at=Now())
        try:
            pipeline.stop(self, by=by)
        except MoveRefused as refusal:
            self.write(error_message=str(refusal))

    @transaction.atomic
    def retry(self, *, by: str) -> bool:
        """Queue it again, with all its attempts; whether it is queued, or waits for a slot.

        JobRefused, MoveRefused if it has not failed and was not cancelled, or its video went on.
        """
        video = Video.objects.filter(jobs=self.pk).first()
        # One lock: two who retry two jobs of a video would wait for each other.
        last = video and pipeline.last_ended(video)
        if video is None or last != self:
            if not self.lock(Q(status__in=[JobStatus.FAILED, JobStatus.CANCELLED])):
                raise JobRefused(self._is_not("failed or cancelled, so it cannot be tried again"))
            raise JobRefused(
                f'Job {self.pk} is not what "{self.video}" stopped at'
                + (f": that is job {last.pk}." if last else ".")
            )
        is_queued = pipeline.resume(video, by=by) is not None
        self.refresh_from_db()
        return is_queued

    @transaction.atomic
    def review(self, *, by: str) -> None:
        """Take it from its worker or out of the queue, and let a person look at its video."""
        if not self.lock(Q(status__in=[*LIVE, JobStatus.FAILED])):
            raise JobRefused(self._is_not("queued, running or failed, so it needs no review"))
        why = f"{by} wants a review of its {self.kind}"
        if self.status != JobStatus.FAILED:
            self.end(JobStatus.FAILED, error_message=why)
        elif self.video.jobs.live().exists() or pipeline.last_ended(self.video) != self:
            raise JobRefused(f'"{self.video}" has gone on since job {self.pk} failed.')
        pipeline.ask_a_person(self, why, by)

    # --- in the transaction of one of the above ---

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """A transaction; if it fails this instance is as it was too, so that its worker, who holds
        the token, can say it again.
        """
        before = self.__dict__.copy()
        try:
            with transaction.atomic():
                yield
        except BaseException:
            self.__dict__ = before
            raise

    def lock(self, condition: Q) -> bool:
        """Lock the row if it meets the condition, and have it as it is now, with its video."""
        # The video too: what a job that is waited for does to it would not be seen otherwise.
        rows = VideoProcessingJob.objects.select_related("video")
        rows = rows.select_for_update(of=("self", "video"), no_key=True)
        found = rows.filter(condition, pk=self.pk).first()
        if found is not None:
            self.__dict__.update(found.__dict__)
        return found is not None

    def _lock_mine(self) -> None:
        if not self.lock(Q(status=JobStatus.RUNNING, lease_token=self.lease_token)):
            raise self.lost()

    def lost(self) -> LeaseLost:
        return LeaseLost(self._is_not("held with this token"))

    def _is_not(self, expected: str) -> str:
        rows = VideoProcessingJob.objects.filter(pk=self.pk)
        found = rows.values_list("status", "worker").first()
        if found is None:
            return f"There is no job {self.pk}."
        status, worker = found
        held = f" by {worker}" if status == JobStatus.RUNNING else ""
        return f"Job {self.pk} is {status}{held}: it is not {expected}."

    def _give_up(
        self,
        error: str,
        *,
        by: str,
        known: bool,
        retry_in: timedelta | None = None,
        final: bool = False,
    ) -> None:
        """`known`: whether it is known that the attempt had no effect."""
        last = final or self.attempts >= self.max_attempts
        tried = f"{self.attempts} of {self.max_attempts}: {error}"
        try:
            if not known:
                self.end(JobStatus.FAILED, error_message=error)
                pipeline.ask_a_person(self, f"its outcome is not known: {error}", by)
            elif self.cancel_requested_at:
                asked = self.error_message
                self.end(JobStatus.CANCELLED, error_message=f"{asked}; {error}")
                pipeline.put_back(self, error, by)
                pipeline.stop(self, by, asked)
            elif last:
                self.end(JobStatus.FAILED, error_message=error)
                pipeline.fail(self, f"failed {tried}", by)
            else:
                wait = self.wait() if retry_in is None else retry_in
                again: dict[str, Any] = {"run_at": Now() + wait, "error_message": error}
                self.write(status=JobStatus.QUEUED, **again, **NO_LEASE)
                pipeline.put_back(self, f"attempt {tried}", by)
        except MoveRefused as refusal:
            # The video went its own way. The job ends all the same, or it would never.
            self.end(JobStatus.FAILED, error_message=f"{error}\n{refusal}")

    def wait(self) -> timedelta:
        """Before the next attempt: a random part of a time that doubles with each one, at most a
        day. Random in full, so that what failed together does not come back together.
        """
        most = self.backoff_seconds * 2 ** min(self.attempts - 1, 32)
        return timedelta(seconds=uniform(0, min(most, LONGEST_WAIT.total_seconds())))  # noqa: S311

    def end(self, status: JobStatus, **values: Any) -> None:
        self.write(status=status, **ENDED, **values)

    def queue_again(self, run_at: datetime | None) -> None:
        """As if it were new, but for what it says of its last attempt."""
        self.write(
            status=JobStatus.QUEUED,
            run_at=run_at or Now(),
            attempts=0,
            progress=0,
            finished_at=None,
            cancel_requested_at=None,
            **NO_LEASE,
            **tries(),
        )
