from typing import Any

from django.http import HttpRequest

from channels_app.forms import stray_in_words, strays
from channels_app.models import Channel
from settings_app.display import layer_in_words
from settings_app.layers import explain_all, per_channel
from settings_app.models import ConfigurationChange
from settings_app.panels import SHOWN
from ytops.admin.lists import shown_count
from ytops.admin.panels import index_panel, object_panel

VIEW = "channels_app.view_channel"


@index_panel("Channels", "ytops/counts.html", VIEW)
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


@object_panel(Channel, "Settings", "channels_app/settings.html", VIEW)
def settings(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    """For those who may only look; the others have the form."""
    if request.user.has_perm("channels_app.change_channel"):
        return None
    return {
        "rows": [
            {
                "setting": explanation.setting,
                "value": layer_in_words(explanation.winner),
                "source": explanation.source,
                "error": explanation.layer("channel").error,
            }
            for explanation in explain_all(per_channel().values(), channel)
        ],
        "strays": [stray_in_words(key, value) for key, value in strays(channel).items()],
    }


@object_panel(Channel, "History of settings", "settings_app/history.html", VIEW)
def history(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    changes = ConfigurationChange.objects.filter(channel_id=channel.pk)[:SHOWN]
    return {"column": "Setting", "changes": [(change.key, change) for change in changes]}
