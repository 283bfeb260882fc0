from typing import Any

from django.http import HttpRequest

from channels_app.models import Channel
from ytops.admin.lists import shown_count
from ytops.admin.panels import index_panel


@index_panel("Channels", "ytops/counts.html", "channels_app.view_channel")
def channels(request: HttpRequest) -> dict[str, Any]:
    active = Channel.objects.active()
    inactive = Channel.objects.filter(is_active=False)
    return {
        "url": "admin:channels_app_channel_changelist",
        "counts": [
            ("active", "good", shown_count(active), "is_active__exact=1"),
            ("inactive", "quiet", shown_count(inactive), "is_active__exact=0"),
            (
                "active without credentials",
                "warn",
                shown_count(active.filter(credentials__isnull=True)),
                "is_active__exact=1&credentials__isempty=1",
            ),
        ],
    }
