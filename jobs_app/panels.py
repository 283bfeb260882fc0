from typing import Any

from django.http import HttpRequest

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from videos_app.models import Video
from ytops.admin.panels import counts_by_status, index_panel, object_panel

SHOWN = 10
VIEW = "jobs_app.view_videoprocessingjob"


@index_panel("Processing", "ytops/counts.html", VIEW)
def processing(request: HttpRequest) -> dict[str, Any]:
    return counts_by_status(VideoProcessingJob.objects.all())


@object_panel(Channel, "Processing", "ytops/counts.html", VIEW)
def channel_jobs(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    return counts_by_status(VideoProcessingJob.objects.all(), channel=channel)


@object_panel(Video, "Jobs", "jobs_app/jobs.html", VIEW)
def video_jobs(request: HttpRequest, video: Video) -> dict[str, Any]:
    return {"jobs": video.jobs.all()[:SHOWN]}
