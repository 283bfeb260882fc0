from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from channels_app import instants
from channels_app.credentials import CLIENT_KINDS, kind_of
from channels_app.forms import ChannelForm, setting_fields, setting_fieldsets
from channels_app.models import Channel, Music, TransformationPreset
from ytops.admin.base import ModelAdmin
from ytops.admin.display import outside
from ytops.db.secrets import CannotDecrypt


@admin.register(Channel)
class ChannelAdmin(ModelAdmin[Channel]):
    list_display = ("name", "is_active", "on_youtube", "has_credentials", "time_zone", "preset")
    list_filter = ("is_active", ("credentials", admin.EmptyFieldListFilter), "default_preset")
    list_select_related = ("default_preset",)
    search_fields = ("name", "youtube_channel_id")
    autocomplete_fields = ("default_preset",)
    readonly_fields = (
        "credentials_kind",
        "next_instants",
        "on_youtube",
        "created_at",
        "updated_at",
    )
    actions = ("activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("name", "youtube_channel_id", "is_active", "default_preset")}),
        ("Credentials", {"fields": ("credentials_kind", "credentials")}),
        ("Schedule", {"fields": ("schedule", "next_instants")}),
        ("Filters", {"fields": ("filters",)}),
        ("More", {"fields": ("metadata", "on_youtube", "created_at", "updated_at")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if self.edits_settings(request, obj):  # who may only look has a panel
            fieldsets[3:3] = setting_fieldsets(obj)
        return fieldsets

    def get_form(
        self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if self.edits_settings(request, obj):
            kwargs["form"] = type("ChannelForm", (ChannelForm,), setting_fields(obj))
        return super().get_form(request, obj, change, **kwargs)

    def edits_settings(self, request: HttpRequest, obj: Channel | None) -> bool:
        return obj is None or self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        form.save_settings(by=request.user.get_username())

    @admin.display(description="YouTube", ordering="youtube_channel_id")
    def on_youtube(self, channel: Channel) -> str:
        return outside("https://www.youtube.com/channel/", channel.youtube_channel_id)

    @admin.display(description="credentials", boolean=True)
    def has_credentials(self, channel: Channel) -> bool:
        return channel.credentials is not None

    @admin.display(description="time zone")
    def time_zone(self, channel: Channel) -> str:
        schedule = channel.schedule
        if not isinstance(schedule, dict):
            return "a schedule that cannot be read"
        return str(schedule.get("timezone", "no schedule"))

    @admin.display(description="next free instants")
    def next_instants(self, channel: Channel) -> str:
        return "Shown once it is saved." if channel._state.adding else instants.shown(channel)

    @admin.display(description="default preset", ordering="default_preset__name")
    def preset(self, channel: Channel) -> object:
        return channel.default_preset

    @admin.display(description="kept")
    def credentials_kind(self, channel: Channel) -> str:
        if channel.credentials is None:
            return "None: this channel cannot publish."
        try:
            kind = kind_of(channel.credentials.reveal())
        except CannotDecrypt:
            return "Unknown: they cannot be decrypted."
        except (ValueError, ValidationError):
            return "Of a shape that ytops does not know."
        if kind in CLIENT_KINDS:
            return f"A client file ({kind}). It alone cannot publish: an authorized_user file can."
        return "authorized_user"

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        self.switch(request, channels, active=True)

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        self.switch(request, channels, active=False)

    def switch(self, request: HttpRequest, channels: QuerySet[Channel], *, active: bool) -> None:
        with transaction.atomic():
            changing = list(channels.exclude(is_active=active).select_for_update(of=("self",)))
            for channel in changing:
                channel.save_fields(is_active=active)
                self.log_change(request, channel, [{"changed": {"fields": ["active"]}}])
        switched = f"{len(changing)} channel{'' if len(changing) == 1 else 's'}"
        self.message_user(request, f"{switched} {'activated' if active else 'deactivated'}.")


@admin.register(TransformationPreset)
class TransformationPresetAdmin(ModelAdmin[TransformationPreset]):
    list_display = ("name", "is_active", "description")
    list_filter = ("is_active",)
    search_fields = ("name", "description")
    fields = ("name", "description", "parameters", "is_active", "created_at", "updated_at")
    readonly_fields = ("created_at", "updated_at")


@admin.register(Music)
class MusicAdmin(ModelAdmin[Music]):
    list_display = ("title", "artist", "on_spotify", "file_path", "created_at")
    search_fields = ("title", "artist", "spotify_track_id")
    fields = (
        "title",
        "artist",
        "spotify_track_id",
        "file_path",
        "metadata",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("created_at", "updated_at")

    @admin.display(description="Spotify", ordering="spotify_track_id")
    def on_spotify(self, music: Music) -> str:
        return outside("https://open.spotify.com/track/", music.spotify_track_id)
