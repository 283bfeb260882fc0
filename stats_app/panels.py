from typing import Any

from django.db.models import F, Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from channels_app.models import Channel
from stats_app.chart import line_chart
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.admin.panels import index_panel, object_panel

CHARTED = 180
TABLED = 30
SHOWN = 12


def series(rows: QuerySet[Any], model: type[Model], names: list[str]) -> dict[str, Any] | None:
    """Charts and a table of the newest rows; None where there are none."""
    newest = list(rows.order_by("-timestamp").values_list("timestamp", *names)[:CHARTED])
    if not newest:
        return None
    titles = [str(model._meta.get_field(name).verbose_name) for name in names]  # type: ignore[union-attr]
    charts = []
    for column, title in enumerate(titles, 1):
        points = [(row[0], row[column]) for row in reversed(newest) if row[column] is not None]
        if len(points) > 1:
            (start, first), (end, last) = points[0], points[-1]
            label = f"{title}: {first:,} on {start:%d %b %Y}, {last:,} on {end:%d %b %Y}"
            charts.append((label, line_chart(label, points)))
    return {"charts": charts, "titles": titles, "rows": newest[:TABLED]}


@object_panel(Channel, "Statistics", "stats_app/series.html", "stats_app.view_channelstatistics")
def channel_statistics(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    names = ["subscriber_count", "view_count", "video_count"]
    return series(channel.statistics.all(), ChannelStatistics, names)


@object_panel(Video, "Statistics", "stats_app/series.html", "stats_app.view_videostatistics")
def video_statistics(request: HttpRequest, video: Video) -> dict[str, Any] | None:
    names = ["view_count", "like_count", "comment_count"]
    return series(video.statistics.all(), VideoStatistics, names)


@index_panel("Audience", "stats_app/audience.html", "stats_app.view_channelstatistics")
def audience(request: HttpRequest) -> dict[str, Any] | None:
    """The newest known counts of each active channel, through the index by channel and time."""
    newest = ChannelStatistics.objects.filter(channel=OuterRef("pk")).order_by("-timestamp")

    def last_known(name: str) -> Subquery:
        return Subquery(newest.filter(**{f"{name}__isnull": False}).values(name)[:1])

    channels = (
        Channel.objects.active()
        .annotate(
            subscribers=last_known("subscriber_count"),
            views=last_known("view_count"),
            counted_at=Subquery(newest.values("timestamp")[:1]),
        )
        .filter(counted_at__isnull=False)
        .order_by(F("views").desc(nulls_last=True))
        .only("name")
    )
    return {"channels": channels[:SHOWN]}
