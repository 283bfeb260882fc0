"""What a worker is told of a job that it has claimed; never a credential."""

from collections.abc import Iterable
from typing import Any

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from settings_app.layers import per_channel


def fetched(jobs: Iterable[VideoProcessingJob]) -> list[VideoProcessingJob]:
    """The same jobs, each with all that the briefing takes; one statement.

    Without those that are gone or another's by now.
    """
    tokens = {job.pk: job.lease_token for job in jobs}
    rows = VideoProcessingJob.objects.select_related(
        "video__channel__default_preset", "video__preset", "video__music"
    ).defer("video__processing_history", "video__channel__credentials")
    found = rows.in_bulk(list(tokens))
    return [found[pk] for pk in tokens if pk in found and found[pk].lease_token == tokens[pk]]


def settings_of(channel: Channel) -> dict[str, Any]:
    """Every setting that a channel can override, as it holds for this one; none is a secret."""
    return {key: setting.get(channel) for key, setting in per_channel().items()}


def briefing(job: VideoProcessingJob) -> dict[str, Any]:
    """For JSON. With the token, which only the worker itself may have."""
    video, channel = job.video, job.video.channel
    preset, music = video.preset_in_force, video.music
    return {
        "id": job.pk,
        "kind": job.kind,
        "token": job.lease_token,
        "lease_expires_at": job.lease_expires_at and job.lease_expires_at.isoformat(),
        "attempt": job.attempts,
        "max_attempts": job.max_attempts,
        "worker": job.worker,
        "video": {
            "id": video.pk,
            "title": video.title,
            "source_url": video.source_url,
            "metadata": video.metadata,
            "status": video.status,
            "scheduled_for": video.scheduled_for and video.scheduled_for.isoformat(),
            "youtube_video_id": video.youtube_video_id,
        },
        "channel": {
            "id": channel.pk,
            "name": channel.name,
            "youtube_channel_id": channel.youtube_channel_id,
            "settings": settings_of(channel),
        },
        "preset": preset and {"name": preset.name, "parameters": preset.parameters},
        "music": music
        and {
            "id": music.pk,
            "title": music.title,
            "artist": music.artist,
            "spotify_track_id": music.spotify_track_id,
            "file_path": music.file_path,
            "metadata": music.metadata,
        },
    }
