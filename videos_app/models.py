from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import UniqueConstraint

from channels_app.models import Channel, ChannelQuerySet, Music, TransformationPreset
from ytops.db.constraints import json_shapes, one_of, text_lengths
from ytops.db.fields import JSONObjectField, StrictJSONField
from ytops.db.models import BaseModel, BaseQuerySet

YOUTUBE_VIDEO_ID = RegexValidator(
    r"\A[A-Za-z0-9_-]{11}\Z",
    "A YouTube video id is 11 letters, digits, “-” or “_”, such as D-lhorsDlUQ.",
)


class VideoStatus(models.TextChoices):
    SCRAPED = "scraped", "scraped"
    DOWNLOADING = "downloading", "downloading"
    DOWNLOADED = "downloaded", "downloaded"
    TRANSFORMING = "transforming", "transforming"
    TRANSFORMED = "transformed", "transformed"
    PUBLISHING = "publishing", "publishing"
    PUBLISHED = "published", "published"
    SKIPPED = "skipped", "skipped"
    FAILED = "failed", "failed"
    NEEDS_REVIEW = "needs_review", "needs review"


class VideoQuerySet(BaseQuerySet["Video"]):
    def published(self) -> "VideoQuerySet":
        return self.filter(status=Video.Status.PUBLISHED)

    def in_progress(self) -> "VideoQuerySet":
        """Between scraped and published: what the fleet has still to work on."""
        return self.filter(status__in=Video.IN_PROGRESS)

    def needing_attention(self) -> "VideoQuerySet":
        """What goes on only when a person has looked at it."""
        return self.filter(status__in=[Video.Status.FAILED, Video.Status.NEEDS_REVIEW])

    def scheduled(self) -> "VideoQuerySet":
        return self.in_progress().filter(scheduled_for__isnull=False).order_by("scheduled_for")

    def get_by_natural_key(self, channel: str, source_url: str) -> "Video":
        channels: ChannelQuerySet = Channel.objects.all()
        return self.get(channel=channels.get_by_natural_key(channel), source_url=source_url)


class Video(BaseModel):
    Status = VideoStatus
    IN_PROGRESS = [
        Status.SCRAPED,
        Status.DOWNLOADING,
        Status.DOWNLOADED,
        Status.TRANSFORMING,
        Status.TRANSFORMED,
        Status.PUBLISHING,
    ]

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="videos")
    # 600 characters of any script fit into an index entry of PostgreSQL, at most 2,704 bytes.
    source_url = models.URLField("source URL", max_length=600)
    title = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.SCRAPED)
    metadata = JSONObjectField()
    processing_history = StrictJSONField(default=list, blank=True, editable=False)
    preset = models.ForeignKey(
        TransformationPreset, models.SET_NULL, null=True, blank=True, related_name="videos"
    )
    music = models.ForeignKey(Music, models.SET_NULL, null=True, blank=True, related_name="videos")
    scheduled_for = models.DateTimeField(null=True, blank=True)
    youtube_video_id = models.CharField(
        "YouTube video id",
        max_length=11,
        null=True,
        blank=True,
        unique=True,
        validators=[YOUTUBE_VIDEO_ID],
    )
    published_at = models.DateTimeField("published", null=True, blank=True)

    objects = VideoQuerySet.as_manager()

    class Meta:
        db_table = "videos"
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="videos_by_age"),
            models.Index(fields=["status", "-created_at"], name="videos_by_status"),
            models.Index(fields=["channel", "-created_at"], name="videos_by_channel"),
            models.Index(fields=["channel", "status"], name="videos_by_channel_status"),
        ]
        constraints = [
            UniqueConstraint(fields=["channel", "source_url"], name="videos_source_once_a_channel"),
            UniqueConstraint(
                fields=["channel", "scheduled_for"],
                name="videos_one_a_slot",
                violation_error_message="Another video of this channel is scheduled for that time.",
            ),
            one_of("videos", "status", VideoStatus.values),
            text_lengths("videos", source_url=(1, 600), title=(0, 500), youtube_video_id=(11, 11)),
            json_shapes("videos", metadata="{", processing_history="["),
        ]

    def __str__(self) -> str:
        return self.title or self.source_url

    def natural_key(self) -> tuple[Any, ...]:
        return (*self.channel.natural_key(), self.source_url)

    natural_key.dependencies = ["channels_app.channel"]  # type: ignore[attr-defined]
