"""Reading answers of YouTube: whatever stands in them, it is taken or refused in a line."""

import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stats_app.tests.made_up import answer, channel_item, playlist_item, the_entry, video_item
from stats_app.youtube import Answer, read

PROVE = os.environ.get("YTOPS_PROVE") == "1"
quick = settings(max_examples=200 if PROVE else 50, deadline=None, database=None)

surrogates = st.text(st.characters(categories=None, exclude_categories=[]))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | surrogates,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
PATHS = [
    "id",
    "kind",
    "snippet",
    "statistics",
    "contentDetails",
    "snippet.title",
    "snippet.tags",
    "snippet.channelId",
    "snippet.channelTitle",
    "snippet.publishedAt",
    "snippet.resourceId",
    "snippet.resourceId.videoId",
    "snippet.thumbnails",
    "snippet.videoOwnerChannelId",
    "contentDetails.videoId",
    "contentDetails.videoPublishedAt",
    "statistics.hiddenSubscriberCount",
    "statistics.subscriberCount",
    "statistics.likeCount",
]


def put(item: Any, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        if not isinstance(item.get(part), dict):
            item[part] = {}
        item = item[part]
    item[last] = value


def check_lines(found: Answer) -> None:
    assert all(line.startswith("a.json") and line.isprintable() for line in found.problems)


@quick
@given(anything)
def test_any_json_is_read_or_refused_in_lines(value: Any) -> None:
    check_lines(read(json.dumps(value), name="a.json"))


@quick
@given(st.text())
def test_any_text_is_read_or_refused_in_lines(source: str) -> None:
    check_lines(read(source, name="a.json"))


@quick
@given(
    st.sampled_from(
        [("channel", channel_item()), ("video", video_item()), ("playlistItem", playlist_item())]
    ),
    st.lists(st.tuples(st.sampled_from(PATHS), anything), max_size=3),
)
def test_any_value_in_any_field_is_taken_or_refused(
    whole: tuple[str, Any], changes: list[tuple[str, Any]]
) -> None:
    kind, item = whole[0], json.loads(json.dumps(whole[1]))
    for path, value in changes:
        put(item, path, value)
    found = read(answer(kind, item), name="a.json")
    check_lines(found)
    assert len(found.entries) + len(found.problems) == 1


@quick
@given(st.integers(0, 2**63 - 1), st.booleans())
def test_every_count_of_63_bits_comes_through(number: int, as_text: bool) -> None:
    written = str(number) if as_text else number
    entry = the_entry(answer("video", video_item(statistics={"commentCount": written})))
    assert entry.counts == {"comment_count": number}
