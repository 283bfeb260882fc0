"""Moves a video together with its jobs. Each function runs in one transaction, its caller's if any.

Locks are taken in one order: a job, its video, its channel.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from channels_app.filters import refusal, validate_filters
from jobs_app.states import FINISHED, KIND_FROM, LIVE, STAGES, JobKind, JobRefused, JobStatus
from videos_app import slots
from videos_app.conf import POSTS_PER_DAY
from videos_app.life import RESTING, VideoStatus
from videos_app.models import YOUTUBE_VIDEO_ID, Video

if TYPE_CHECKING:
    from jobs_app.models import VideoProcessingJob


LATEST = timedelta(hours=1)  # after its slot a publication begins no more


# --- a job and its video ---


def put_off(job: "VideoProcessingJob") -> bool:
    """Whether this publication, which was about to start, cannot now.

    A person may have given its video another slot, or taken it away. One that missed its slot gets
    another, lest all that an outage held up go out at once; and the channel may have been stopped.
    """
    rows = type(job).objects.select_related("video", "channel").annotate(now=Now())
    rows = rows.select_for_update(of=("self", "video"), no_key=True, skip_locked=True)
    held: Any = rows.filter(pk=job.pk, status=JobStatus.QUEUED).first()
    if held is None:
        return True
    video, now, slot = held.video, held.now, held.video.scheduled_for
    if video.status != VideoStatus.TRANSFORMED:
        return False  # its move will say so
    if slot and slot <= now:
        is_late = not held.attempts and slot < now - LATEST
        if not is_late and POSTS_PER_DAY.get(held.channel):
            return False
        slot = None
    if at := slot or assign_anew(video):
        job.write(run_at=at)
    else:
        job.end(JobStatus.CANCELLED, error_message=slots.why_none(held.channel))
    return True


def assign_anew(video: Video) -> datetime | None:
    """The next free instant of its channel; without one the video loses what it missed."""
    at = slots.assign(video)
    if at is None and video.scheduled_for:
        video.write(scheduled_for=None)
    return at


def start(job: "VideoProcessingJob") -> None:
    stage, why = STAGES[job.kind], f"attempt {job.attempts} of {job.max_attempts}"
    Video.objects.move(job.video_id, stage.before, stage.during, by=job.who, why=why, job=job.pk)


def succeed(job: "VideoProcessingJob") -> None:
    """The video has got one stage further, and its next job is queued."""
    stage, values = STAGES[job.kind], {}
    if job.kind == JobKind.PUBLISH:
        values = {"youtube_video_id": job.result["youtube_video_id"], "published_at": Now()}
    moved: dict[str, Any] = {"by": job.who, "why": "done", "job": job.pk, **values}
    Video.objects.move(job.video_id, stage.during, stage.after, **moved)
    if stage.after == VideoStatus.PUBLISHED:
        return
    if job.cancel_requested_at:
        job.video.refresh_from_db()
        stop(job, job.who, job.error_message)
    else:
        queue_next(job.video_id, job.channel_id, stage.after, priority=job.priority)


def put_back(job: "VideoProcessingJob", why: str, by: str) -> None:
    """The video waits for the next attempt. MoveRefused if it went its own way meanwhile."""
    stage = STAGES[job.kind]
    job.video.status = stage.during
    job.video.move(stage.before, by=by, why=why, job=job.pk)


def fail(job: "VideoProcessingJob", why: str, by: str) -> None:
    slot = {"scheduled_for": None} if job.kind == JobKind.PUBLISH else {}
    job.video.move(VideoStatus.FAILED, by=by, why=why, job=job.pk, **slot)


def ask_a_person(job: "VideoProcessingJob", why: str, by: str) -> None:
    job.video.move(VideoStatus.NEEDS_REVIEW, by=by, why=why, job=job.pk)


def stop(job: "VideoProcessingJob", by: str, asked: str = "") -> None:
    """The video goes no further, and gives its slot back."""
    why = f"its {job.kind} was cancelled" + (f": {asked}" if asked else "")
    job.video.move(VideoStatus.SKIPPED, by=by, why=why, job=job.pk, scheduled_for=None)


# --- a video and its next job ---


def queue_next(
    video_id: UUID, channel_id: UUID, at: VideoStatus, *, priority: int = 0
) -> "VideoProcessingJob | None":
    """Queue the job of a video that rests `at`; None if it has to wait for a slot."""
    from jobs_app.models import VideoProcessingJob

    kind, run_at = KIND_FROM[at], None
    if kind == JobKind.PUBLISH:
        video = Video.objects.get(pk=video_id)
        run_at = video.scheduled_for or slots.assign(video)
        if run_at is None:
            return None
    jobs = VideoProcessingJob.objects
    return jobs.enqueue(video_id, channel_id, kind, priority=priority, run_at=run_at)


def waiting() -> QuerySet[Video]:
    """The videos of active channels that rest, and have no job that would take them on."""
    resting = Video.objects.filter(status__in=RESTING, channel__is_active=True)
    return resting.exclude(jobs__status__in=LIVE)


@transaction.atomic
def admit(video: Video, *, by: str) -> "VideoProcessingJob | None":
    """Give a video that waits its next job; a scraped one only if its channel's filters let it.

    If they do not, it is skipped with the reason. None if no job came of it, also because it has
    one already. JobRefused if the filters themselves are wrong.
    """
    locked = Video.objects.select_related("channel").select_for_update(of=("self",), no_key=True)
    video = locked.get(pk=video.pk)
    if video.status not in RESTING or video.jobs.live().exists():
        return None
    if video.status == VideoStatus.SCRAPED:
        try:
            validate_filters(video.channel.filters)
        except ValidationError as error:
            problems = " ".join(error.messages)
            raise JobRefused(f'The filters of "{video.channel}" are wrong: {problems}') from None
        if reason := refusal(video.channel.filters, video.title, video.metadata):
            video.move(VideoStatus.SKIPPED, by=by, why=reason, scheduled_for=None)
            return None
    return queue_next(video.pk, video.channel_id, VideoStatus(video.status))


def follow_slot(instance: Video, created: bool, update_fields: Any, **kwargs: Any) -> None:
    """Receiver of post_save: what was to be published at another time is tried at the new one.

    Its video is locked already, so a job that somebody holds is left alone: nobody waits in the
    wrong order, and the claim, which may be the one that holds it, looks at the slot itself.
    """
    if created or "scheduled_for" not in (update_fields or ()):
        return
    with transaction.atomic():
        queued = instance.jobs.queued().filter(kind=JobKind.PUBLISH).annotate(now=Now())
        job: Any = queued.select_for_update(of=("self",), skip_locked=True).first()
        if job is None:
            return
        at = max(instance.scheduled_for or job.now, job.now)
        if at > job.now or not job.attempts:  # else it waits for its next attempt
            job.write(run_at=at)


def last_ended(video: Video) -> "VideoProcessingJob | None":
    """The last job of the stage that the video is at, if it has ended without success; locked."""
    ended = video.jobs.filter(status__in=FINISHED, kind=KIND_FROM[video.rests_at])
    ended = ended.exclude(status=JobStatus.SUCCEEDED)
    ended = ended.order_by(F("finished_at").desc(nulls_last=True), "-id")
    found: VideoProcessingJob | None = ended.select_for_update().first()
    return found


@transaction.atomic
def resume(video: Video, *, by: str) -> "VideoProcessingJob | None":
    """Let a video that failed or was skipped go on where it stopped.

    None if it is to be published and has to wait for a slot, or may be out and needs a review.
    MoveRefused if it did not stop, JobRefused if a job of it is queued or runs, or a person has to
    look at it first.
    """
    job = last_ended(video)
    video.refresh_from_db()
    if video.status == VideoStatus.NEEDS_REVIEW:
        raise JobRefused(f'"{video}" needs a review: say on its page whether it is out.')
    if video.status == VideoStatus.PUBLISHING and not video.jobs.live().exists():
        video.move(VideoStatus.NEEDS_REVIEW, by=by, why="it was publishing without a job")
        return None
    return _go_on(video, job, by=by, why="tried again")


@transaction.atomic
def deny(video: Video, *, by: str) -> "VideoProcessingJob | None":
    """A person says that this video, whose publication was in doubt, is not out: it goes on.

    None if it has to wait for a slot; JobRefused if it is not in doubt.
    """
    job = last_ended(video)
    video.refresh_from_db()
    refuse_unless_in_review(video)
    may_be_out = video.rests_at == VideoStatus.TRANSFORMED
    why = "is not on YouTube" if may_be_out else "queued again after a review"
    return _go_on(video, job, by=by, why=why)


def refuse_unless_in_review(video: Video) -> None:
    if video.status != VideoStatus.NEEDS_REVIEW:
        raise JobRefused(f'"{video}" is {video.status}: it waits for no review.')


def _go_on(
    video: Video, job: "VideoProcessingJob | None", *, by: str, why: str
) -> "VideoProcessingJob | None":
    if live := video.jobs.live().first():
        raise JobRefused(f'"{video}" has not stopped: its {live.kind} is {live.status}.')
    at = video.rests_at
    if video.status != at:
        video.move(at, by=by, why=why, job=job.pk if job else None)
    if at == VideoStatus.TRANSFORMED and not assign_anew(video):
        return None
    if job is None:
        return queue_next(video.pk, video.channel_id, at)
    job.queue_again(video.scheduled_for if at == VideoStatus.TRANSFORMED else None)
    return job


@transaction.atomic
def confirm(video: Video, youtube_video_id: str, *, by: str) -> None:
    """A person says that this video, whose publication was in doubt, is out.

    ValidationError for what cannot be its id; JobRefused if it is not in doubt.
    """
    video.refresh_from_db()
    refuse_unless_in_review(video)
    check_youtube_video_id(video.pk, youtube_video_id)
    why = f"is on YouTube as {youtube_video_id}"
    values: dict[str, Any] = {"youtube_video_id": youtube_video_id, "published_at": Now()}
    video.move(VideoStatus.PUBLISHED, by=by, why=why, **values)


def check_youtube_video_id(video_id: UUID, text: Any) -> None:
    """ValidationError if this is no id, or the id of another video."""
    if not isinstance(text, str):
        raise ValidationError('The result of a publication needs "youtube_video_id", a text.')
    YOUTUBE_VIDEO_ID(text)
    if other := Video.objects.filter(youtube_video_id=text).exclude(pk=video_id).first():
        raise ValidationError(f'{text} is the YouTube video of "{other}" ({other.pk}) already.')
