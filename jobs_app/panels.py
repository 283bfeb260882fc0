from typing import Any

from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.http import HttpRequest

from channels_app.models import Channel
from jobs_app import conf, display, pipeline
from jobs_app.actions import youtube_id
from jobs_app.models import VideoProcessingJob
from jobs_app.story import story
from jobs_app.waiting import why_waiting
from settings_app.display import origin
from settings_app.layers import explain_all
from settings_app.models import ConfigurationChange, SystemConfiguration
from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.admin.display import timeline
from ytops.admin.lists import shown_count
from ytops.admin.panels import counts_by_status, index_panel, object_panel

SHOWN = 10
TOLD = 50  # jobs of a video
VIEW = "jobs_app.view_videoprocessingjob"
VIEW_VIDEO = "videos_app.view_video"


@index_panel("The fleet is paused", "jobs_app/paused.html", VIEW, top=True)
def paused(request: HttpRequest) -> dict[str, Any] | None:
    if not conf.PAUSED.get():
        return None
    (explanation,) = explain_all([conf.PAUSED])
    is_row = explanation.source == "database"
    row = SystemConfiguration.objects.filter(key=conf.PAUSED.key).first()
    change = ConfigurationChange.objects.filter(key=conf.PAUSED.key).first() if is_row else None
    return {
        "key": conf.PAUSED.key,
        "origin": origin(explanation.winner).replace("from", "in", 1),
        "row": row,
        "change": change,
    }


@index_panel("Processing", "ytops/counts.html", VIEW)
def processing(request: HttpRequest) -> dict[str, Any]:
    context = counts_by_status(VideoProcessingJob.objects.all())
    stuck = ("stuck", "bad", shown_count(VideoProcessingJob.objects.stuck()), "running=stuck")
    return context | {"counts": [*context["counts"], stuck]}


@object_panel(Channel, "Processing", "ytops/counts.html", VIEW)
def channel_jobs(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    return counts_by_status(VideoProcessingJob.objects.all(), channel=channel)


@object_panel(Video, "Now", "jobs_app/now.html", VIEW_VIDEO, top=True)
def now(request: HttpRequest, video: Video) -> dict[str, Any]:
    return {"video": video, "why": why_waiting(video)}


@object_panel(
    Video, "Is it on YouTube?", "jobs_app/review.html", "videos_app.change_video", top=True
)
def review(request: HttpRequest, video: Video) -> dict[str, Any] | None:
    """What was typed and refused is in the address, so that a reload repeats nothing."""
    if video.status != Video.Status.NEEDS_REVIEW or not may_be_out(video):
        return None
    typed, errors = request.GET.get("youtube"), []
    if typed is not None:
        try:
            pipeline.check_youtube_video_id(video.pk, youtube_id(typed))
        except ValidationError as error:
            errors = error.messages
    return {"video": video, "typed": typed or "", "errors": errors}


def may_be_out(video: Video) -> bool:
    """Also if its history does not tell: it may have come in as it is, from another system."""
    history = video.processing_history if isinstance(video.processing_history, list) else []
    moves = [entry for entry in history if isinstance(entry, dict)]
    passed = [move.get(end) for move in moves for end in ("from", "to")]
    return not moves or VideoStatus.PUBLISHING in passed


@object_panel(
    Video, "Waits for a person", "jobs_app/unpublished.html", "videos_app.change_video", top=True
)
def unpublished(request: HttpRequest, video: Video) -> dict[str, Any] | None:
    """A review of what has never begun to be published: it cannot be out."""
    waits = video.status == Video.Status.NEEDS_REVIEW and not may_be_out(video)
    return {"video": video} if waits else None


@object_panel(Video, "Its story", "jobs_app/story.html", VIEW_VIDEO)
def video_story(request: HttpRequest, video: Video) -> dict[str, Any]:
    jobs = list(video.jobs.all()[:TOLD]) if request.user.has_perm(VIEW) else []
    return {"story": timeline(story(video.processing_history, jobs))}


@object_panel(Video, "Jobs", "jobs_app/jobs.html", VIEW)
def video_jobs(request: HttpRequest, video: Video) -> dict[str, Any]:
    jobs: Any = video.jobs.annotate(now=Now())
    rows = [
        {
            "job": job,
            "state": display.state(job, job.now),
            "attempts": display.attempts(job),
            "now": display.what_next(job, job.now),
            "worker": display.worker(job) if job.worker else "",
        }
        for job in jobs[:SHOWN]
    ]
    return {"rows": rows}
