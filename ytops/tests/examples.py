"""One row of each table, related to one another, and many of them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models import Model
from django.utils import timezone

from channels_app.models import Channel, Music, TransformationPreset
from jobs_app.models import VideoProcessingJob
from settings_app.models import SystemConfiguration
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video

CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "an-id-of-a-client",
    "client_secret": "plaintext-of-the-client",
    "refresh_token": "plaintext-of-the-token",
}
PLAINTEXTS = ("plaintext-of-the-client", "plaintext-of-the-token")


def channel(**values: Any) -> Channel:
    return Channel.objects.create(**{"name": "Cooking", "credentials": CREDENTIALS, **values})


def video(**values: Any) -> Video:
    values.setdefault("channel", None)
    values["channel"] = values["channel"] or channel()
    source = f"https://example.org/{uuid4()}"
    return Video.objects.create(**{"source_url": source, "title": "A pie", **values})


def job(video: Video, **values: Any) -> VideoProcessingJob:
    """In any status; a running one has a lease."""
    if values.get("status") == VideoProcessingJob.Status.RUNNING:
        now = timezone.now()
        lease = {"lease_token": uuid4(), "lease_expires_at": now + timedelta(minutes=5)}
        values = {"started_at": now, "worker": "bench-01", "attempts": 1, **lease, **values}
    return VideoProcessingJob.objects.create(video=video, **{"kind": "download", **values})


def due(video: Video) -> VideoProcessingJob:
    """A job that a worker gets at its next claim."""
    return job(video, run_at=timezone.now() - timedelta(minutes=1))


def one_of_each(number: int = 0) -> dict[type[Model], Any]:
    """A row of every table, all of one channel."""
    preset = TransformationPreset.objects.create(name=f"Short {number}")
    music = Music.objects.create(title=f"Song {number}", artist="Band")
    owner = channel(
        name=f"Cooking {number}",
        youtube_channel_id=f"UC{number:022d}",
        default_preset=preset,
    )
    made = video(channel=owner, preset=preset, music=music, youtube_video_id=f"{number:011d}")
    now = timezone.now() - timedelta(minutes=number)
    return {
        TransformationPreset: preset,
        Music: music,
        Channel: owner,
        Video: made,
        VideoProcessingJob: VideoProcessingJob.objects.create(
            video=made, channel=owner, kind="download", status="failed", error_message="no disk"
        ),
        ChannelStatistics: ChannelStatistics.objects.create(
            channel=owner, timestamp=now, subscriber_count=5_000_000_000
        ),
        VideoStatistics: VideoStatistics.objects.create(video=made, timestamp=now, view_count=7),
        SystemConfiguration: SystemConfiguration.objects.create(
            key=f"publish.setting_{number}", value=number
        ),
    }
