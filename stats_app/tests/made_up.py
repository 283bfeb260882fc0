"""Answers of YouTube for tests, in the shape of the real ones, and what a test does with them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from channels_app.models import Channel
from stats_app.models import ChannelStatistics, VideoStatistics
from stats_app.youtube import Entry, read
from videos_app.models import Video

ANSWERS = Path(__file__).parent / "answers"
CHANNELS, VIDEOS, PLAYLIST = (
    str(ANSWERS / name) for name in ("channels.json", "videos.json", "playlist_items.json")
)
AT = "2026-11-20T12:00:00Z"
TABLES = (Channel, Video, ChannelStatistics, VideoStatistics)
Write = Callable[..., str]
KITCHEN = "UCkitchenlab0123456789_-"
GUEST = "UCguestguest0123456789ab"
PAN = "kitchen-001"


def answer(kind: str, *items: Any) -> str:
    return json.dumps({"kind": f"youtube#{kind}ListResponse", "items": items})


def channel_item(id: Any = KITCHEN, statistics: Any = None, **snippet: Any) -> dict[str, Any]:
    return {"id": id, "snippet": {"title": "Kitchen", **snippet}, "statistics": statistics}


def video_item(id: Any = PAN, statistics: Any = None, **snippet: Any) -> dict[str, Any]:
    snippet = {"title": "Pan", "channelId": KITCHEN, "channelTitle": "Kitchen", **snippet}
    return {"id": id, "snippet": snippet, "statistics": statistics}


def playlist_item(details: Any = None, **snippet: Any) -> dict[str, Any]:
    snippet = {"title": "Pan", "channelId": KITCHEN, "channelTitle": "Kitchen", **snippet}
    snippet = {"resourceId": {"videoId": PAN}, **snippet}
    return {"id": "UExtYWRl", "snippet": snippet, "contentDetails": details}


def the_entry(source: str) -> Entry:
    found = read(source, name="a.json")
    assert found.problems == []
    [entry] = found.entries
    return entry


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    lines: list[str]


def run(*files: str | Path, at: str | None = AT, **options: Any) -> Result:
    out, err = StringIO(), StringIO()
    code, paths = 0, [str(file) for file in files]
    try:
        call_command("import_youtube", *paths, at=at, stdout=out, stderr=err, **options)
    except CommandError as error:
        code = error.returncode
        err.write(f"{error}\n")
    return Result(code, out.getvalue(), err.getvalue().splitlines())


def kitchen(**values: Any) -> Channel:
    return Channel.objects.create(**{"name": "Kitchen", "youtube_channel_id": KITCHEN, **values})


def everything() -> dict[str, Any]:
    return {
        model.__name__: list(model._default_manager.order_by("pk").values()) for model in TABLES
    }
