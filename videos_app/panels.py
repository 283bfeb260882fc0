from typing import Any

from django.http import HttpRequest

from channels_app.models import Channel
from videos_app.models import Video
from ytops.admin.panels import counts_by_status, index_panel, object_panel

SHOWN = 8


@index_panel("Videos", "ytops/counts.html", "videos_app.view_video")
def videos(request: HttpRequest) -> dict[str, Any]:
    return counts_by_status(Video.objects.all())


@index_panel("Waiting for a person", "videos_app/videos.html", "videos_app.view_video")
def waiting_for_a_person(request: HttpRequest) -> dict[str, Any]:
    waiting = Video.objects.needing_attention().select_related("channel")
    return {"videos": waiting[:SHOWN], "empty": "Nothing: no video failed or needs a review."}


@index_panel("Next to be published", "videos_app/videos.html", "videos_app.view_video")
def next_to_be_published(request: HttpRequest) -> dict[str, Any]:
    scheduled = Video.objects.scheduled().select_related("channel")
    return {"videos": scheduled[:SHOWN], "empty": "Nothing is scheduled."}


@object_panel(Channel, "Videos", "ytops/counts.html", "videos_app.view_video")
def channel_videos(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    return counts_by_status(Video.objects.all(), channel=channel)
