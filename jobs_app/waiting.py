"""Why a video is not moving now: exact, in words, by the database's time."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Now

from channels_app.filters import validate_filters
from channels_app.models import Channel
from jobs_app import conf, pipeline
from jobs_app.display import is_stuck, silence, span
from jobs_app.models import VideoProcessingJob
from jobs_app.states import JobKind, JobStatus
from videos_app import slots
from videos_app.conf import POSTS_PER_DAY
from videos_app.life import RESTING, VideoStatus
from videos_app.models import Video
from ytops.admin.display import moment

MOST_COUNTED = 100
MOST_RUNNING = 1000  # the highest that a cap can be
BEING = {
    JobKind.DOWNLOAD.value: "downloaded",
    JobKind.TRANSFORM.value: "transformed",
    JobKind.PUBLISH.value: "published",
}
ENDS = {
    VideoStatus.SKIPPED.value: "skipped",
    VideoStatus.FAILED.value: "failed",
    VideoStatus.NEEDS_REVIEW.value: "needs a person",
}


def why_waiting(video: Video) -> str:
    """In a bounded number of statements, and none that takes longer as the tables grow."""
    if video.status == VideoStatus.PUBLISHED:
        at = f" {moment(video.published_at)}" if video.published_at else ""
        return f"published{at} as {video.youtube_video_id or 'a video whose id is not known'}"
    if video.status in ENDS:
        return _ended(video)
    live = video.jobs.live().select_related("channel").annotate(now=Now())
    job: Any = live.order_by("-status").first()  # running before queued
    if job is None:
        return _without_a_job(video)
    if job.status == JobStatus.RUNNING:
        return _running(job, job.now)
    return "; ".join(_queued(job, video, job.now))


def _ended(video: Video) -> str:
    how = ENDS[video.status]
    entries = video.processing_history if isinstance(video.processing_history, list) else []
    last = entries[-1] if entries else None
    why = str(last.get("why") or "") if isinstance(last, dict) else ""
    return why if why.startswith(how) else f"{how}: {why or 'nobody has said why'}"


def _without_a_job(video: Video) -> str:
    channel: Any = Channel.objects.annotate(now=Now()).get(pk=video.channel_id)
    if video.status not in RESTING:
        return f"is {video.status}, but it has no job that would move it on"
    if not channel.is_active:
        return _inactive(channel)
    needs_a_slot = video.status == VideoStatus.TRANSFORMED and not video.scheduled_for
    if needs_a_slot and (why := slots.why_none(channel, channel.now)):
        return f"waits for a slot: {why}"
    if video.status == VideoStatus.SCRAPED:
        try:
            validate_filters(channel.filters)
        except ValidationError as error:
            return f"cannot be admitted: the filters of {channel} are wrong: {error.messages[0]}"
    return "waits to be admitted"


def _running(job: VideoProcessingJob, now: datetime) -> str:
    heard = silence(job, now)
    if is_stuck(job, now):
        return (
            f"its worker {job.worker} is silent since {moment(now - heard)}: "
            "the next rescue takes the job back"
        )
    last = f"heard of {span(heard)} ago"
    if asked := job.cancel_requested_at:
        return f"cancel was asked for at {moment(asked)}: {job.worker} is told, {last}"
    return f"is being {BEING[job.kind]} by {job.worker}: {job.progress} %, {last}"


def _queued(job: VideoProcessingJob, video: Video, now: datetime) -> list[str]:
    """All that keeps it from being claimed at `now`."""
    reasons = []
    if conf.PAUSED.get():
        reasons.append("the fleet is paused (jobs.paused)")
    if not job.channel.is_active:
        reasons.append(_inactive(job.channel))
    if until := _until(job, video, now):
        reasons.append(until)
    return reasons or [_at_a_cap(job, now) or _in_turn(job)]


def _inactive(channel: Channel) -> str:
    return f"channel {channel} is inactive"


def _until(job: VideoProcessingJob, video: Video, now: datetime) -> str:
    is_publication, slot = job.kind == JobKind.PUBLISH, video.scheduled_for
    if is_publication and slot and slot > now and slot >= job.run_at:
        return f"waits for its slot {slots.local_time(job.channel, slot)}"
    if job.run_at > now and job.attempts:
        tried = f"{job.attempts + 1} of {job.max_attempts}"
        return f"waits for the next attempt ({tried}) at {moment(job.run_at)}: {job.error_message}"
    if job.run_at > now:
        return f"is not to be {BEING[job.kind]} before {moment(job.run_at)}"
    return _other_slot(job, slot, now) if is_publication else ""


def _other_slot(job: VideoProcessingJob, slot: datetime | None, now: datetime) -> str:
    """That the claim gives a due publication another slot, or finds none: as pipeline.put_off()."""
    is_late = slot is not None and not job.attempts and slot < now - pipeline.LATEST
    if slot and not is_late and POSTS_PER_DAY.get(job.channel):
        return ""
    if why := slots.why_none(job.channel, now):
        return f"waits for a slot: {why}"
    if slot:
        missed = slots.local_time(job.channel, slot)
        return f"missed its slot {missed}: the claim gives it the next free one"
    return "waits for a slot: it gets the next free one"


def _at_a_cap(job: VideoProcessingJob, now: datetime) -> str:
    most = conf.MAX_CONCURRENT.get()
    most_of_channel = conf.MAX_CONCURRENT_PER_CHANNEL.get(job.channel)
    rows = VideoProcessingJob.objects.running().order_by()
    running = list(rows.values_list("channel_id", "lease_expires_at")[:MOST_RUNNING])
    own = [pair for pair in running if pair[0] == job.channel_id]
    if len(running) >= most:
        holding, cap = running, f"the system is at its cap of {most} (jobs.max_concurrent)"
    elif len(own) >= most_of_channel:
        holding, cap = (
            own,
            (
                f"channel {job.channel} at its cap of {most_of_channel} "
                "(jobs.max_concurrent_per_channel)"
            ),
        )
    else:
        return ""
    silent = sum(expires is not None and expires < now for _, expires in holding)
    return f"{cap}, {silent} of them silent" if silent else cap


def _in_turn(job: VideoProcessingJob) -> str:
    """How many jobs of its channel are claimed before it; the channels take turns."""
    queued = job.channel.jobs.queued().filter(kind__in=JobKind.values).order_by()
    earlier = Q(run_at__lt=job.run_at) | Q(run_at=job.run_at, pk__lt=job.pk)
    # Apart, and with the bound of `run_at` said twice, so that each is a range of the lanes' index.
    same = queued.filter(earlier, priority=job.priority, run_at__lte=job.run_at)
    higher = queued.filter(priority__gt=job.priority, run_at__lte=Now())
    before = sum(rows[: MOST_COUNTED + 1].count() for rows in (same, higher))
    if not before:
        return "waits for a worker: it is the next of its channel"
    count = f"more than {MOST_COUNTED}" if before > MOST_COUNTED else str(before)
    jobs = "job" if before == 1 else "jobs"
    return f"waits for a worker: {count} due {jobs} of its channel before it"
