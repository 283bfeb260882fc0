"""Writing what answers of YouTube say into channels, videos and their statistics."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from channels_app.models import Channel
from stats_app.models import ChannelStatistics, VideoStatistics
from stats_app.youtube import Answer, Entry, Refused, printable, read, shown
from videos_app.models import Video
from ytops.db.models import BaseModel

WATCH_URL = "https://www.youtube.com/watch?v="
MOST_TRIES = 5


@dataclass(frozen=True)
class Report:
    """How often what happened, such as {"videos created": 3}, and a line for each refusal."""

    done: Counter[str]
    problems: list[str]


def import_files(*, paths: Iterable[str], at: datetime, channel: Channel | None = None) -> Report:
    """Take every good entry of these files; one that is refused keeps no other from being taken."""
    answers = [read_file(path) for path in paths]
    problems = [problem for answer in answers for problem in answer.problems]
    found = [entry for answer in answers for entry in answer.entries]
    if channel:
        problems += [
            f"{entry.place}: channel: is {entry.channel_id}, expected only entries of "
            f"{described(channel)}"
            for entry in found
            if entry.channel_id != channel.youtube_channel_id
        ]
        found = [entry for entry in found if entry.channel_id == channel.youtube_channel_id]
    merged = merge(found)
    problems += merged.problems
    done: Counter[str] = Counter()
    for entry in merged.entries:
        try:
            done.update(import_entry(entry, at=at))
        except Refused as refusal:
            problems.append(f"{entry.place}: {refusal}")
    return Report(done, problems)


def read_file(path: str) -> Answer:
    name = printable(path)
    try:
        source = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        return Answer([], [f"{name}: cannot be read: {error.strerror}"])
    except UnicodeDecodeError as error:
        return Answer([], [f"{name}: byte {error.start + 1} is not UTF-8, expected JSON in UTF-8"])
    return read(source, name=name)


def merge(entries: Iterable[Entry]) -> Answer:
    """One entry for each channel and video, channels first, later words over earlier ones.

    So the order of the files does not decide whether a channel is one that somebody asked for or
    one merely seen, and two answers on one channel do not undo each other at every run.
    """
    merged: dict[str, Entry] = {}
    problems = []
    for entry in entries:
        earlier = merged.get(entry.youtube_id)
        try:
            merged[entry.youtube_id] = earlier.followed_by(entry) if earlier else entry
        except Refused as refusal:
            problems.append(f"{entry.place}: {refusal}")
    return Answer(sorted(merged.values(), key=lambda entry: not entry.is_channel), problems)


def import_entry(entry: Entry, *, at: datetime) -> list[str]:
    """What was done, such as ["videos created", "statistics added"].

    Safe beside other imports and the fleet's own work: an existing row is locked before it is
    compared and written, a new one is decided by its unique key. Where another process put a
    row under one of these keys between our look and our write, the next try finds that row.
    """
    for left in reversed(range(MOST_TRIES)):
        try:
            with transaction.atomic():
                return import_channel(entry, at) if entry.is_channel else import_video(entry, at)
        except IntegrityError as error:
            if not left:
                said = printable(str(error).partition("\n")[0])
                raise Refused(f"the database refused it {MOST_TRIES} times: {said}") from None
    raise AssertionError("unreachable")


def import_channel(entry: Entry, at: datetime) -> list[str]:
    channel, is_new = Channel.objects.select_for_update().get_or_create(
        youtube_channel_id=entry.youtube_id,
        defaults={"name": entry.words["title"], "metadata": {"youtube": entry.words}},
    )
    outcome = "created" if is_new else write(channel, **followed(channel, "name", entry))
    statistics = ChannelStatistics.objects.get_or_create(
        channel=channel, timestamp=at, defaults=entry.counts
    )
    return [f"channels {outcome}", statistics_outcome(*statistics, entry)]


def import_video(entry: Entry, at: datetime) -> list[str]:
    done = []
    is_new = False
    video = published_as(entry)
    if video is None:
        channel, is_first_seen = seen_channel(entry)
        done += ["channels created", "channels seen"] if is_first_seen else []
        video, is_new = at_watch_page(entry, channel)
    values = {"youtube_video_id": entry.youtube_id, **followed(video, "title", entry)}
    if entry.published_at:
        values["published_at"] = entry.published_at
    outcome = "created" if is_new else write(video, **values)
    statistics = VideoStatistics.objects.get_or_create(
        video=video, timestamp=at, defaults=entry.counts
    )
    return [*done, f"videos {outcome}", statistics_outcome(*statistics, entry)]


def published_as(entry: Entry) -> Video | None:
    """The video that has this id on YouTube already, locked."""
    locked = Video.objects.select_related("channel").select_for_update(of=("self",))
    video = locked.filter(youtube_video_id=entry.youtube_id).first()
    if video and video.channel.youtube_channel_id != entry.channel_id:
        raise Refused(
            f"channel: is {entry.channel_id} on YouTube, but here the video belongs to "
            f"{described(video.channel)}; expected the same channel"
        )
    return video


def seen_channel(entry: Entry) -> tuple[Channel, bool]:
    """The video's channel, and whether it is new: then inactive, for nobody has configured it."""
    if entry.channel_title:
        return Channel.objects.get_or_create(
            youtube_channel_id=entry.channel_id,
            defaults={
                "name": entry.channel_title,
                "is_active": False,
                "metadata": {"youtube": {"title": entry.channel_title}},
            },
        )
    channel = Channel.objects.filter(youtube_channel_id=entry.channel_id).first()
    if channel is None:
        raise Refused(
            f"channel: {entry.channel_id} is not here yet and the answer does not say its title; "
            "expected snippet.channelTitle, or the channel imported first"
        )
    return channel, False


def at_watch_page(entry: Entry, channel: Channel) -> tuple[Video, bool]:
    """The channel's row for the video's own page, locked, and whether it is new."""
    now = timezone.now().isoformat()
    video, is_new = Video.objects.select_for_update().get_or_create(
        channel=channel,
        source_url=WATCH_URL + entry.youtube_id,
        defaults={
            "youtube_video_id": entry.youtube_id,
            "title": entry.words["title"],
            "status": Video.Status.PUBLISHED,
            "published_at": entry.published_at,
            "metadata": {"youtube": entry.words},
            "processing_history": [
                {
                    "from": None,
                    "to": Video.Status.PUBLISHED.value,
                    "at": now,
                    "by": "import_youtube",
                    "why": "already on YouTube",
                }
            ],
        },
    )
    if video.youtube_video_id not in (None, entry.youtube_id):
        raise Refused(
            f"id: the video with this source URL is on YouTube as {video.youtube_video_id} here; "
            f"expected {entry.youtube_id} or none"
        )
    if video.youtube_video_id is None and video.status != Video.Status.PUBLISHED:
        raise Refused(
            f"id: is here as a source to process ({video.status}), not as a publication; "
            "expected a video that is published"
        )
    return video, is_new


def followed(row: Channel | Video, title_field: str, entry: Entry) -> dict[str, Any]:
    """The fields of an existing row after this entry: a title that a person changed stays."""
    earlier = row.metadata.get("youtube", {})
    if not isinstance(earlier, dict):
        raise Refused(f'metadata: "youtube" is {shown(earlier)} here, expected an object')
    values = {"metadata": {**row.metadata, "youtube": earlier | entry.words}}
    if getattr(row, title_field) == earlier.get("title", ""):
        values[title_field] = entry.words["title"]
    return values


def write(row: BaseModel, **values: Any) -> str:
    if all(getattr(row, name) == value for name, value in values.items()):
        return "unchanged"
    row.save_fields(**values)
    return "updated"


def statistics_outcome(row: BaseModel, is_new: bool, entry: Entry) -> str:
    return "statistics added" if is_new else f"statistics {write(row, **entry.counts)}"


def described(channel: Channel) -> str:
    return f"{shown(channel.name)} ({channel.youtube_channel_id or 'no YouTube channel id'})"
