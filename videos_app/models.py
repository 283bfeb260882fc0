from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Self
from uuid import UUID

from django.core.exceptions import FieldError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q, UniqueConstraint

from channels_app.models import Channel, ChannelQuerySet, Music, TransformationPreset
from videos_app.life import BEFORE, MOVES, RESTING, VideoStatus, refusal
from ytops.db import sql
from ytops.db.constraints import json_shapes, one_of, text_lengths
from ytops.db.fields import JSONObjectField, StrictJSONField
from ytops.db.models import BaseModel, BaseQuerySet

YOUTUBE_VIDEO_ID = RegexValidator(
    r"\A[A-Za-z0-9_-]{11}\Z",
    "A YouTube video id is 11 letters, digits, “-” or “_”, such as D-lhorsDlUQ.",
)


LONGEST_WHY = 1000  # characters; a history is never shortened
# What `move()` alone writes.
MOVED = frozenset({"status", "processing_history"})


def refuse_what_moves(names: Iterable[str]) -> None:
    if written := MOVED & set(names):
        raise FieldError(f"{' and '.join(sorted(written))} of a video: only move() writes them.")


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

    def update(self, **values: Any) -> int:
        refuse_what_moves(values)
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> list["Video"]:
        of_conflicts = args[3] if len(args) > 3 else options.get("update_fields")
        refuse_what_moves(of_conflicts or ())
        return super().bulk_create(objs, *args, **options)

    def move(
        self,
        pk: UUID,
        start: VideoStatus,
        to: VideoStatus,
        *,
        by: str,
        why: str = "",
        job: UUID | None = None,
        **values: Any,
    ) -> None:
        """Move one video from `start` to `to` and append to its history, in one UPDATE.

        `values` of other fields are written in the same transaction. MoveRefused, with both
        states, if the move is not allowed or the video is not at `start` any more.
        """
        why = why if len(why) <= LONGEST_WHY else f"{why[:LONGEST_WHY]}…"
        entry = {"from": start.value, "to": to.value, "by": by, "why": why}
        entry |= {"job": str(job)} if job else {}
        states = {"start": start.value, "to": to.value}
        with transaction.atomic(savepoint=False) if values else nullcontext():
            moved = to in MOVES[start] and sql.run(sql.MOVE_VIDEO, id=pk, entry=entry, **states)
            if moved and values:
                self.filter(pk=pk).update(**values)
        if not moved:  # outside, or it would end the transaction of a caller who can go on
            raise refusal(self.filter(pk=pk).first(), start, to)

    move.alters_data = True  # type: ignore[attr-defined]

    def get_by_natural_key(self, channel: str, source_url: str) -> "Video":
        channels: ChannelQuerySet = Channel.objects.all()
        return self.get(channel=channels.get_by_natural_key(channel), source_url=source_url)


class Video(BaseModel):
    Status = VideoStatus
    _read: dict[str, Any]  # status and history as they were in the row
    IN_PROGRESS = [
        Status.SCRAPED,
        Status.DOWNLOADING,
        Status.DOWNLOADED,
        Status.TRANSFORMING,
        Status.TRANSFORMED,
        Status.PUBLISHING,
    ]

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        related_name="videos",
        db_index=False,  # it leads two below
    )
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
            models.Index(
                fields=["channel", "published_at"],
                name="videos_by_publication",
                condition=Q(published_at__isnull=False),
            ),
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

    @property
    def preset_in_force(self) -> TransformationPreset | None:
        """Its own, or else its channel's default; one that is switched off counts as none."""
        presets = (self.preset, self.channel.default_preset)
        return next((preset for preset in presets if preset and preset.is_active), None)

    @property
    def rests_at(self) -> VideoStatus:
        """The last status between two jobs that it reached: from here it can go on."""
        entries = self.processing_history if isinstance(self.processing_history, list) else []
        # "from" too: a video may have come in half way, from another system.
        reached = [e.get(end) for e in entries if isinstance(e, dict) for end in ("from", "to")]
        passed = reversed([*reached, self.status])
        before = BEFORE.get(VideoStatus(self.status), RESTING[0])
        return VideoStatus(next((at for at in passed if at in RESTING), before))

    def move(
        self, to: VideoStatus, *, by: str, why: str = "", job: UUID | None = None, **values: Any
    ) -> None:
        """Move from the status that it has here to `to`, as `Video.objects.move()` does."""
        start = VideoStatus(self.status)
        Video.objects.move(self.pk, start, to, by=by, why=why, job=job, **values)
        self.take_over({**values, "status": to.value, "processing_history": F("")})
        self._note_what_was_read()

    def _note_what_was_read(self) -> None:
        self._read = {name: self.__dict__.get(name) for name in MOVED}

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any) -> Self:
        video = super().from_db(db, field_names, values)
        video._note_what_was_read()
        return video

    def refresh_from_db(self, *args: Any, **options: Any) -> None:
        super().refresh_from_db(*args, **options)
        self._note_what_was_read()

    def save(self, **options: Any) -> None:
        """As Django's, without status and history: FieldError if either is to be written."""
        named = options.get("update_fields")
        updates_all = self._state.adding and options.get("force_update") and named is None
        refuse_what_moves(MOVED if updates_all else named or ())
        if not self._state.adding:
            refuse_what_moves(name for name in MOVED if self.__dict__.get(name) != self._read[name])
            if named is None:
                fields = {field.attname: field.name for field in self._meta.concrete_fields}
                loaded = self.__dict__.keys() & fields.keys() - {"id"}
                options["update_fields"] = {fields[name] for name in loaded} - MOVED
        super().save(**options)
        self._note_what_was_read()

    def natural_key(self) -> tuple[Any, ...]:
        return (*self.channel.natural_key(), self.source_url)

    natural_key.dependencies = ["channels_app.channel"]  # type: ignore[attr-defined]
