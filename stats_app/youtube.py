"""Reading answers of the YouTube Data API v3: text in, entries and problems out, no database.

Shapes: https://developers.google.com/youtube/v3/docs/channels#resource-representation,
…/docs/videos#resource-representation, …/docs/playlistItems#resource-representation and, for
errors, https://developers.google.com/youtube/v3/docs/core_errors. A null is read as an absence.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from channels_app.models import YOUTUBE_CHANNEL_ID, Channel
from videos_app.models import YOUTUBE_VIDEO_ID, Video
from ytops.db import strict_json

LARGEST_COUNT = 2**63 - 1
LONGEST_NAME: int = Channel._meta.get_field("name").max_length or 0
LONGEST_TITLE: int = Video._meta.get_field("title").max_length or 0
LONGEST_SHOWN = 60
LONGEST_ERROR = 300
DIGITS = re.compile("[0-9]{1,19}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
PLACEHOLDERS = {"Private video", "Deleted video"}

CHANNEL_WORDS = {
    "title": "snippet.title",
    "description": "snippet.description",
    "customUrl": "snippet.customUrl",
    "country": "snippet.country",
    "publishedAt": "snippet.publishedAt",
}
PLAYLIST_ITEM_WORDS = {
    "title": "snippet.title",
    "description": "snippet.description",
    "privacyStatus": "status.privacyStatus",
}
VIDEO_WORDS = PLAYLIST_ITEM_WORDS | {
    "categoryId": "snippet.categoryId",
    "duration": "contentDetails.duration",
}
CHANNEL_COUNTS = {
    "subscriber_count": "statistics.subscriberCount",
    "view_count": "statistics.viewCount",
    "video_count": "statistics.videoCount",
}
VIDEO_COUNTS = {
    "view_count": "statistics.viewCount",
    "like_count": "statistics.likeCount",
    "comment_count": "statistics.commentCount",
}


class Refused(Exception):
    """Why something is not taken: `field: what was wrong, what was expected`."""


@dataclass(frozen=True)
class Entry:
    """What an answer says of one channel or video; what it does not say is not in the dicts."""

    place: str = field(compare=False)
    youtube_id: str
    channel_id: str
    words: dict[str, Any]
    counts: dict[str, int]
    channel_title: str | None = None
    published_at: datetime | None = None

    @property
    def is_channel(self) -> bool:
        return self.youtube_id == self.channel_id

    def followed_by(self, later: "Entry") -> "Entry":
        """Both as one: the later one's word holds wherever it has one."""
        if later.channel_id != self.channel_id:
            raise Refused(
                f"channel: is {later.channel_id}, but {self.channel_id} in {self.place}; "
                "expected a video to be of one channel"
            )
        return replace(
            later,
            words=self.words | later.words,
            counts=self.counts | later.counts,
            channel_title=later.channel_title or self.channel_title,
            published_at=later.published_at or self.published_at,
        )


@dataclass(frozen=True)
class Answer:
    entries: list[Entry]
    problems: list[str]


def shown(value: Any) -> str:
    """A value of an answer for a message: short, and without power over a terminal."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…")
    return json.dumps(value)


def printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def value(item: dict[str, Any], path: str) -> Any:
    """What stands at `part.field`, or None."""
    found: Any = item
    walked: list[str] = []
    for name in path.split("."):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise Refused(f"{'.'.join(walked)}: is {shown(found)}, expected an object")
        found = found.get(name)
        walked.append(name)
    return found


def text(item: dict[str, Any], path: str, *, longest: int | None = None) -> str | None:
    found = value(item, path)
    if found is None:
        return None
    if not isinstance(found, str):
        raise Refused(f"{path}: is {shown(found)}, expected text")
    storable(found, path)
    if longest is not None and len(found) > longest:
        raise Refused(f"{path}: has {len(found)} characters, expected at most {longest}")
    return found


def storable(found: str, path: str) -> None:
    try:
        strict_json.validate_text(found)
    except ValidationError as error:
        raise Refused(f"{path}: {error.messages[0]}") from None


def identifier(item: dict[str, Any], path: str, shape: RegexValidator) -> str:
    found = text(item, path)
    if found is None:
        raise Refused(f"{path}: is missing. {shape.message}")
    try:
        shape(found)
    except ValidationError:
        raise Refused(f"{path}: is {shown(found)}. {shape.message}") from None
    return found


def first_path(item: dict[str, Any], *paths: str) -> str:
    """The first of these paths that leads to something, or else the first."""
    return next((path for path in paths if value(item, path) is not None), paths[0])


def moment(item: dict[str, Any], path: str) -> datetime | None:
    found = text(item, path)
    if found is None:
        return None
    with suppress(ValueError, OverflowError):
        if MOMENT.fullmatch(found):
            return datetime.fromisoformat(found).astimezone(UTC)
    raise Refused(
        f"{path}: is {shown(found)}, expected a time with its zone, such as 2019-03-21T20:37:49Z"
    )


def counts(item: dict[str, Any], paths: dict[str, str]) -> dict[str, int]:
    """The counts that are there: unsigned 64 bit numbers, which JSON carries as text.

    https://developers.google.com/youtube/v3/docs/videos#statistics
    """
    found = {name: value(item, path) for name, path in paths.items()}
    return {
        name: count(number, paths[name]) for name, number in found.items() if number is not None
    }


def count(number: Any, path: str) -> int:
    if type(number) is int:
        result = number
    elif isinstance(number, str) and DIGITS.fullmatch(number):
        result = int(number)
    else:
        result = -1
    if not 0 <= result <= LARGEST_COUNT:
        raise Refused(
            f"{path}: is {shown(number)}, expected a whole number from 0 to {LARGEST_COUNT}"
        )
    return result


def words(item: dict[str, Any], paths: dict[str, str], *, longest_title: int) -> dict[str, str]:
    if text(item, "snippet.title", longest=longest_title) is None:
        raise Refused("snippet.title: is missing, expected an answer with part=snippet")
    found = {name: text(item, path) for name, path in paths.items()}
    return {name: word for name, word in found.items() if word is not None}


def tags(item: dict[str, Any]) -> dict[str, list[str]]:
    found = value(item, "snippet.tags")
    if found is None:
        return {}
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise Refused(f"snippet.tags: is {shown(found)}, expected a list of texts")
    for tag in found:
        storable(tag, "snippet.tags")
    return {"tags": found}


def channel_entry(item: dict[str, Any], place: str) -> Entry:
    youtube_id = identifier(item, "id", YOUTUBE_CHANNEL_ID)
    moment(item, "snippet.publishedAt")
    about = words(item, CHANNEL_WORDS, longest_title=LONGEST_NAME)
    if not about["title"]:
        raise Refused("snippet.title: is empty, expected a name")
    known = dict(CHANNEL_COUNTS)
    hidden = value(item, "statistics.hiddenSubscriberCount")
    if not isinstance(hidden, bool | None):
        raise Refused(
            f"statistics.hiddenSubscriberCount: is {shown(hidden)}, expected true or false"
        )
    if hidden:
        del known["subscriber_count"]
    return Entry(place, youtube_id, youtube_id, about, counts(item, known))


def video_entry(item: dict[str, Any], place: str) -> Entry:
    return Entry(
        place,
        identifier(item, "id", YOUTUBE_VIDEO_ID),
        identifier(item, "snippet.channelId", YOUTUBE_CHANNEL_ID),
        words(item, VIDEO_WORDS, longest_title=LONGEST_TITLE) | tags(item),
        counts(item, VIDEO_COUNTS),
        text(item, "snippet.channelTitle", longest=LONGEST_NAME),
        moment(item, "snippet.publishedAt"),
    )


def playlist_item_entry(item: dict[str, Any], place: str) -> Entry:
    """`snippet.publishedAt` is when the video was added to the playlist, so it is not used.

    https://developers.google.com/youtube/v3/docs/playlistItems#snippet.publishedAt
    """
    youtube_id = identifier(item, first_path(item, *VIDEO_ID_PATHS), YOUTUBE_VIDEO_ID)
    published_at = moment(item, "contentDetails.videoPublishedAt")
    owner = value(item, "snippet.videoOwnerChannelId") is not None
    about = words(item, PLAYLIST_ITEM_WORDS, longest_title=LONGEST_TITLE)
    known = owner or published_at or value(item, "snippet.thumbnails")
    if about["title"] in PLACEHOLDERS and not known:
        raise Refused(
            f'snippet.title: is "{about["title"]}", which YouTube shows in place of a video that '
            "is not public; expected the video itself"
        )
    channel, title = ("videoOwnerChannelId", "videoOwnerChannelTitle")
    if not owner:
        channel, title = ("channelId", "channelTitle")
    return Entry(
        place,
        youtube_id,
        identifier(item, f"snippet.{channel}", YOUTUBE_CHANNEL_ID),
        about,
        {},
        text(item, f"snippet.{title}", longest=LONGEST_NAME),
        published_at,
    )


@dataclass(frozen=True)
class Kind:
    item: str
    id_paths: tuple[str, ...]
    read: Callable[[dict[str, Any], str], Entry]


VIDEO_ID_PATHS = ("snippet.resourceId.videoId", "contentDetails.videoId")
KINDS = {
    "youtube#channelListResponse": Kind("youtube#channel", ("id",), channel_entry),
    "youtube#videoListResponse": Kind("youtube#video", ("id",), video_entry),
    "youtube#playlistItemListResponse": Kind(
        "youtube#playlistItem", (*VIDEO_ID_PATHS, "id"), playlist_item_entry
    ),
}


def error_text(error: Any) -> str:
    """`403 The caller does not have permission (SERVICE_UNAVAILABLE)`, or what there is of it."""
    if not isinstance(error, dict):
        return printable(error[:LONGEST_ERROR]) if isinstance(error, str) else shown(error)
    found = [error.get("code"), error.get("message")]
    said = [str(part) for part in found if isinstance(part, str | int)]
    details = error.get("errors")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
            said.append(f"({detail['reason']})")
    return printable(" ".join(said)[:LONGEST_ERROR]) or "of no kind"


def kind_and_items(answer: Any) -> tuple[Kind, list[Any]]:
    if not isinstance(answer, dict):
        raise Refused(f"is {shown(answer)}, expected an answer of YouTube: an object with kind")
    if (error := answer.get("error")) is not None:
        raise Refused(f"YouTube answered with an error: {error_text(error)}")
    name = answer.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        found = "is missing" if name is None else f"is {shown(name)}"
        raise Refused(f"kind: {found}, expected {', '.join(KINDS)}")
    items = answer.get("items")
    if items is None and value(answer, "pageInfo.totalResults") == 0:
        return kind, []
    if not isinstance(items, list):
        found = "is missing" if items is None else f"is {shown(items)}"
        raise Refused(f"items: {found}, expected a list")
    return kind, items


def place_of(item: Any, position: int, kind: Kind) -> str:
    label = None
    with suppress(Refused):
        label = value(item, first_path(item, *kind.id_paths))
    if not isinstance(label, str) or not label:
        return f"items[{position}]"
    plain = re.fullmatch("[A-Za-z0-9_-]{1,60}", label)
    return f"items[{position}] ({label if plain else shown(label)})"


def read_item(item: Any, kind: Kind, place: str) -> Entry:
    if not isinstance(item, dict):
        raise Refused(f"is {shown(item)}, expected an object")
    if item.get("kind") not in (None, kind.item):
        raise Refused(f"kind: is {shown(item['kind'])}, expected {kind.item}")
    return kind.read(item, place)


def read(source: str, *, name: str) -> Answer:
    """Read one answer; `name` is what problems call the file it came from."""
    try:
        kind, items = kind_and_items(strict_json.parse(source))
    except ValueError as error:
        cause = error.__context__
        line = f":{cause.lineno}" if isinstance(cause, json.JSONDecodeError) else ""
        return Answer([], [f"{name}{line}: {error}"])
    except Refused as refusal:
        return Answer([], [f"{name}: {refusal}"])
    entries: dict[str, Entry] = {}
    problems = []
    for position, item in enumerate(items):
        place = f"{name}: {place_of(item, position, kind)}"
        try:
            entry = read_item(item, kind, place)
            first = entries.setdefault(entry.youtube_id, entry)
            if first != entry:
                raise Refused(f"id: stands in this file before, differently ({first.place})")
        except Refused as refusal:
            problems.append(f"{place}: {refusal}")
    return Answer(list(entries.values()), problems)
