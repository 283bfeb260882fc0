from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from channels_app import instants
from channels_app.models import Channel
from channels_app.schedule import Slot
from videos_app import slots
from videos_app.models import Video
from ytops.admin.panels import counts_by_status, index_panel, object_panel

SHOWN = 8
INSTANTS = 10
PASSED_OVER = 2


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


@instants.register
def next_instants(channel: Channel) -> SafeString:
    preview = slots.upcoming(channel, timezone.now(), INSTANTS)

    def local(slot: Slot, form: str) -> str:
        return f"{slot.at.astimezone(preview.zone):{form}}"

    rows = [
        {
            "local": local(free, "%a %d %b %Y, %H:%M %Z"),
            "utc": f"{free.at:%d %b %Y, %H:%M %Z}",
            "passed_over": [
                (local(slot, "%a %d %b, %H:%M"), slot.refusal) for slot in passed_over[:PASSED_OVER]
            ],
            "more": len(passed_over[PASSED_OVER:]),
        }
        for free, passed_over in preview.by_free_slot()
    ]
    context = {
        "preview": preview,
        "rows": rows,
        "passed_over": any(row["passed_over"] for row in rows),
    }
    return render_to_string("videos_app/instants.html", context)
