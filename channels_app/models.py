from uuid import UUID

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q

from channels_app.credentials import validate_credentials
from channels_app.filters import validate_filters
from channels_app.schedule import default_schedule, validate_schedule
from channels_app.settings_json import validate_settings
from ytops.db.constraints import json_shapes, starts_with, text_lengths
from ytops.db.fields import JSONObjectField, SecretJSONField
from ytops.db.models import BaseModel, BaseQuerySet
from ytops.db.nearest import nearest
from ytops.db.strict_json import UNSTORABLE

YOUTUBE_CHANNEL_ID = RegexValidator(
    r"\AUC[A-Za-z0-9_-]{22}\Z",
    "A YouTube channel id is UC and 22 letters, digits, “-” or “_”, "
    "such as UC_x5XG1OV2P6uZZ5FSM9Ttw.",
)
SPOTIFY_TRACK_ID = RegexValidator(
    r"\A[A-Za-z0-9]{22}\Z", "A Spotify track id is 22 letters and digits."
)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class TransformationPresetQuerySet(BaseQuerySet["TransformationPreset"]):
    def active(self) -> "TransformationPresetQuerySet":
        return self.filter(is_active=True)

    def get_by_natural_key(self, name: str) -> "TransformationPreset":
        return self.get(name=name)


class TransformationPreset(BaseModel):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    parameters = JSONObjectField(help_text="What the transformation is told.")
    is_active = models.BooleanField("active", default=True)

    objects = TransformationPresetQuerySet.as_manager()

    class Meta:
        db_table = "transformation_presets"
        ordering = ["name"]
        constraints = [
            text_lengths("transformation_presets", name=(1, 100), description=(0, None)),
            json_shapes("transformation_presets", parameters="{"),
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)


class MusicQuerySet(BaseQuerySet["Music"]):
    def get_by_natural_key(self, key: str) -> "Music":
        """By Spotify track id, or by our id for a piece that has none."""
        pk = _uuid(key)
        return self.get(pk=pk) if pk else self.get(spotify_track_id=key)


class Music(BaseModel):
    title = models.CharField(max_length=200)
    artist = models.CharField(max_length=200, blank=True)
    spotify_track_id = models.CharField(
        max_length=22, unique=True, null=True, blank=True, validators=[SPOTIFY_TRACK_ID]
    )
    file_path = models.CharField(
        max_length=500, blank=True, help_text="Where the workers find the file."
    )
    metadata = JSONObjectField()

    objects = MusicQuerySet.as_manager()

    class Meta:
        db_table = "music"
        ordering = ["artist", "title"]
        verbose_name_plural = "music"
        indexes = [models.Index(fields=["artist", "title"], name="music_by_artist_title")]
        constraints = [
            text_lengths(
                "music",
                title=(1, 200),
                artist=(0, 200),
                spotify_track_id=(22, 22),
                file_path=(0, 500),
            ),
            json_shapes("music", metadata="{"),
        ]

    def __str__(self) -> str:
        return f"{self.artist} – {self.title}" if self.artist else self.title

    def natural_key(self) -> tuple[str]:
        return (self.spotify_track_id or str(self.pk),)


class ChannelQuerySet(BaseQuerySet["Channel"]):
    def active(self) -> "ChannelQuerySet":
        return self.filter(is_active=True)

    def find(self, text: str) -> "Channel":
        """The channel with this id, YouTube channel id or name.

        DoesNotExist names the nearest known name; MultipleObjectsReturned names the ids.
        """
        found: list[Channel] = []
        if pk := _uuid(text):
            found = list(self.filter(pk=pk))
        if not found and not UNSTORABLE.search(text):
            same = Q(name=text) | Q(youtube_channel_id=text)
            found = list(self.filter(same).order_by("pk")[:10])
        if not found:
            near = nearest(text, self.order_by("name").values_list("name", flat=True))
            hint = f' The nearest name is "{near}".' if near else ""
            raise self.model.DoesNotExist(f'There is no channel "{text}".{hint}')
        if len(found) > 1:
            ids = " and ".join(str(channel.pk) for channel in found)
            raise self.model.MultipleObjectsReturned(
                f'{len(found)} channels bear the name "{text}": say which by its id, {ids}.'
            )
        return found[0]

    def get_by_natural_key(self, key: str) -> "Channel":
        """By YouTube channel id, or by our id for a channel that has none."""
        pk = _uuid(key)
        return self.get(pk=pk) if pk else self.get(youtube_channel_id=key)


class Channel(BaseModel):
    name = models.CharField(max_length=200)
    youtube_channel_id = models.CharField(
        "YouTube channel id",
        max_length=24,
        unique=True,
        null=True,
        blank=True,
        validators=[YOUTUBE_CHANNEL_ID],
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="No job of an inactive channel is started."
    )
    credentials = SecretJSONField(
        null=True,
        blank=True,
        validators=[validate_credentials],
        help_text="Google's own JSON for this channel's account: an authorized_user file "
        "(with refresh_token), or an OAuth client file.",
    )
    settings = JSONObjectField(
        validators=[validate_settings],
        help_text="Overrides for this channel by setting key, such as "
        '{"publish.posts_per_day": 3}. What is not here is inherited.',
    )
    schedule = JSONObjectField(
        default=default_schedule,
        validators=[validate_schedule],
        help_text="When this channel publishes: time zone and weekly slots. "
        "How often is a setting. {} means: no schedule.",
    )
    filters = JSONObjectField(
        validators=[validate_filters],
        help_text="Which scraped videos qualify, such as "
        '{"min_duration_seconds": 15, "max_duration_seconds": 90, "title_excludes": ["giveaway"]}. '
        "min_width, min_height and min_views may stand there too. {} means: all. "
        "A video of which such a number is not known does not qualify.",
    )
    metadata = JSONObjectField()
    default_preset = models.ForeignKey(
        TransformationPreset, models.SET_NULL, null=True, blank=True, related_name="channels"
    )

    objects = ChannelQuerySet.as_manager()

    class Meta:
        db_table = "channels"
        ordering = ["name"]
        indexes = [models.Index(fields=["name"], name="channels_by_name")]
        constraints = [
            text_lengths("channels", name=(1, 200), youtube_channel_id=(24, 24)),
            json_shapes("channels", settings="{", schedule="{", filters="{", metadata="{"),
            CheckConstraint(
                condition=starts_with("youtube_channel_id", "UC"),
                name="channels_youtube_channel_id_shape",
                violation_error_message=str(YOUTUBE_CHANNEL_ID.message),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.youtube_channel_id or str(self.pk),)
