from datetime import datetime
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import UniqueConstraint
from django.utils import timezone

from channels_app.models import Channel, ChannelQuerySet
from videos_app.models import Video, VideoQuerySet
from ytops.db.constraints import not_negative
from ytops.db.models import BaseModel, BaseQuerySet


def count(verbose_name: str) -> Any:
    """A count of YouTube: an unsigned 64 bit number in a text, or absent, which is not 0.

    https://developers.google.com/youtube/v3/docs/channels#statistics
    """
    return models.BigIntegerField(
        verbose_name,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Empty means: not known.",
    )


class ChannelStatisticsQuerySet(BaseQuerySet["ChannelStatistics"]):
    def get_by_natural_key(self, channel: str, timestamp: datetime) -> "ChannelStatistics":
        channels: ChannelQuerySet = Channel.objects.all()
        return self.get(channel=channels.get_by_natural_key(channel), timestamp=timestamp)


class ChannelStatistics(BaseModel):
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="statistics")
    timestamp = models.DateTimeField("time", default=timezone.now)
    subscriber_count = count("subscribers")
    view_count = count("views")
    video_count = count("videos")

    objects = ChannelStatisticsQuerySet.as_manager()

    class Meta:
        db_table = "channel_statistics"
        ordering = ["-timestamp"]
        verbose_name = verbose_name_plural = "channel statistics"
        indexes = [models.Index(fields=["-timestamp", "-id"], name="channel_statistics_by_time")]
        constraints = [
            UniqueConstraint(
                fields=["channel", "timestamp"], name="channel_statistics_once_a_time"
            ),
            not_negative("channel_statistics", "subscriber_count", "view_count", "video_count"),
        ]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%M}"

    def natural_key(self) -> tuple[Any, ...]:
        return (*self.channel.natural_key(), self.timestamp)

    natural_key.dependencies = ["channels_app.channel"]  # type: ignore[attr-defined]


class VideoStatisticsQuerySet(BaseQuerySet["VideoStatistics"]):
    def get_by_natural_key(
        self, channel: str, source_url: str, timestamp: datetime
    ) -> "VideoStatistics":
        videos: VideoQuerySet = Video.objects.all()
        return self.get(video=videos.get_by_natural_key(channel, source_url), timestamp=timestamp)


class VideoStatistics(BaseModel):
    video = models.ForeignKey(Video, models.CASCADE, related_name="statistics")
    timestamp = models.DateTimeField("time", default=timezone.now)
    view_count = count("views")
    like_count = count("likes")
    comment_count = count("comments")

    objects = VideoStatisticsQuerySet.as_manager()

    class Meta:
        db_table = "video_statistics"
        ordering = ["-timestamp"]
        verbose_name = verbose_name_plural = "video statistics"
        indexes = [models.Index(fields=["-timestamp", "-id"], name="video_statistics_by_time")]
        constraints = [
            UniqueConstraint(fields=["video", "timestamp"], name="video_statistics_once_a_time"),
            not_negative("video_statistics", "view_count", "like_count", "comment_count"),
        ]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%M}"

    def natural_key(self) -> tuple[Any, ...]:
        return (*self.video.natural_key(), self.timestamp)

    natural_key.dependencies = ["videos_app.video"]  # type: ignore[attr-defined]
