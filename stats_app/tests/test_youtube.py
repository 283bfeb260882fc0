"""Reading answers of YouTube: what is taken, and the line for what is not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stats_app.importer import merge
from stats_app.tests.made_up import (
    ANSWERS,
    GUEST,
    KITCHEN,
    PAN,
    answer,
    channel_item,
    playlist_item,
    the_entry,
    video_item,
)
from stats_app.youtube import KINDS, Answer, read

PLACEHOLDER = {"title": "Private video", "thumbnails": {}}


def the_problem(source: str) -> str:
    found = read(source, name="a.json")
    assert found.entries == []
    [problem] = found.problems
    return problem


def test_an_answer_of_channels_is_read() -> None:
    found = read((ANSWERS / "channels.json").read_text(), name="channels.json")
    assert found.problems == []
    assert [entry.words["title"] for entry in found.entries] == ["Kitchen Lab 🍳", "=Shy Person"]


def test_an_answer_of_videos_is_read() -> None:
    found = read((ANSWERS / "videos.json").read_text(), name="videos.json")
    assert found.problems == []
    assert found.entries[0].words == {
        "title": "How hot is a pan? 🔥🔥",
        "description": "We measure.\n\nChapters:\n0:00 Start",
        "tags": ["pan", "heat", "science"],
        "categoryId": "28",
        "privacyStatus": "public",
        "duration": "PT4M13S",
    }


def test_an_answer_of_playlist_items_is_read_but_for_the_placeholder() -> None:
    found = read((ANSWERS / "playlist_items.json").read_text(), name="p.json")
    assert [entry.youtube_id for entry in found.entries] == ["kitchen-003", "guest-video"]
    assert found.problems == [
        'p.json: items[2] (kitchen-001): snippet.title: is "Private video", which YouTube shows '
        "in place of a video that is not public; expected the video itself"
    ]


def test_another_kind_is_refused_with_the_kinds_that_are_expected() -> None:
    problem = the_problem('{"kind": "youtube#videoCategoryListResponse", "items": []}')
    assert problem.startswith("a.json: kind: is 'youtube#videoCategoryListResponse', expected ")
    assert all(kind in problem for kind in KINDS)


@pytest.mark.parametrize("source", ["[]", "null", "3", '"text"', "{}", '{"kind": ["x"]}'])
def test_what_is_no_answer_is_refused(source: str) -> None:
    assert ", expected " in the_problem(source)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("error message", "error message"),
        (
            {"code": 403, "message": "No permission", "errors": [{"reason": "UNAVAILABLE"}]},
            "403 No permission (UNAVAILABLE)",
        ),
        ({"message": "Bad\x1b[31m"}, r"'Bad\x1b[31m'"),
        ({"errors": "odd"}, "of no kind"),
        (7, "7"),
    ],
)
def test_an_error_of_youtube_is_told(error: Any, said: str) -> None:
    problem = the_problem(json.dumps({"error": error}))
    assert problem == f"a.json: YouTube answered with an error: {said}"


def test_a_truncated_file_is_refused_with_its_line() -> None:
    assert the_problem('{\n "kind": "youtube').startswith("a.json:2: not valid JSON at line 2")


def test_a_key_that_stands_twice_is_refused() -> None:
    problem = the_problem('{"kind": 1, "kind": 2}')
    assert problem == "a.json: the key 'kind' stands twice in one object"


def test_an_answer_without_results_has_no_items() -> None:
    source = '{"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0}}'
    assert read(source, name="a.json") == Answer([], [])


@pytest.mark.parametrize("items", ["null", "{}", '"x"'])
def test_items_that_are_no_list_are_refused(items: str) -> None:
    problem = the_problem(f'{{"kind": "youtube#videoListResponse", "items": {items}}}')
    assert problem.startswith("a.json: items: is ")
    assert problem.endswith(", expected a list")


@pytest.mark.parametrize(("written", "number"), [("0", 0), (7, 7), (str(2**63 - 1), 2**63 - 1)])
def test_a_count_is_a_text_of_digits_or_a_number(written: Any, number: int) -> None:
    entry = the_entry(answer("video", video_item(statistics={"viewCount": written})))
    assert entry.counts == {"view_count": number}


@pytest.mark.parametrize(
    "written",
    [
        str(2**63),
        2**63,
        -1,
        "-1",
        "1e5",
        " 5",
        "5\n",
        "٣",
        "",
        True,
        False,
        1.5,
        [],
        {},
        "9" * 5000,
    ],
)
def test_a_count_that_is_no_64_bit_number_is_refused(written: Any) -> None:
    problem = the_problem(answer("video", video_item(statistics={"likeCount": written})))
    assert problem.startswith("a.json: items[0] (kitchen-001): statistics.likeCount: is ")
    assert problem.endswith(", expected a whole number from 0 to 9223372036854775807")
    assert len(problem) < 250


def test_a_count_that_is_missing_is_not_known() -> None:
    entry = the_entry(answer("video", video_item(statistics={"viewCount": "1", "likeCount": None})))
    assert entry.counts == {"view_count": 1}


def test_hidden_subscribers_are_not_known_whatever_the_number_says() -> None:
    statistics = {"hiddenSubscriberCount": True, "subscriberCount": "5", "videoCount": "2"}
    entry = the_entry(answer("channel", channel_item(statistics=statistics)))
    assert entry.counts == {"video_count": 2}


@pytest.mark.parametrize("hidden", ["true", 1, 0])
def test_hidden_is_true_or_false(hidden: Any) -> None:
    item = channel_item(statistics={"hiddenSubscriberCount": hidden})
    assert "expected true or false" in the_problem(answer("channel", item))


@pytest.mark.parametrize("bad", [None, 5, "", "UCshort", "XX" + "a" * 22, KITCHEN + "\n"])
def test_a_malformed_channel_id_is_refused(bad: Any) -> None:
    problem = the_problem(answer("channel", channel_item(bad)))
    assert problem.startswith("a.json: items[0]")
    assert ": id: is " in problem


@pytest.mark.parametrize("bad", [None, 5, "", "short", "a" * 12, "kitchen 001", PAN + "\n"])
def test_a_malformed_video_id_is_refused(bad: Any) -> None:
    assert ": id: is " in the_problem(answer("video", video_item(bad)))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "yesterday",
        "2026-03-21",
        "2026-03-21T20:37:49",
        "2026-02-30T20:37:49Z",
        "2026-03-21T25:37:49Z",
        "0001-01-01T00:00:00+14:00",
        "２０２６-03-21T20:37:49Z",
        "2026-03-21T20:37:49Z\n",
        5,
    ],
)
@pytest.mark.parametrize(("kind", "item"), [("channel", channel_item), ("video", video_item)])
def test_a_malformed_time_is_refused(kind: str, item: Any, bad: Any) -> None:
    assert ": snippet.publishedAt: is " in the_problem(answer(kind, item(publishedAt=bad)))


def test_a_time_with_an_offset_is_the_same_instant_in_utc() -> None:
    entry = the_entry(answer("video", video_item(publishedAt="2026-03-21T20:00:00.25+02:00")))
    assert entry.published_at == datetime(2026, 3, 21, 18, 0, 0, 250_000, UTC)


@pytest.mark.parametrize("bad", [None, 5, [], "a" * 501, "nul \0", "half \ud83d"])
def test_a_title_that_cannot_be_kept_is_refused(bad: Any) -> None:
    assert ": snippet.title: " in the_problem(answer("video", video_item(title=bad)))


@pytest.mark.parametrize("bad", ["", "a" * 201])
def test_a_channel_title_that_cannot_be_its_name_is_refused(bad: str) -> None:
    assert ": snippet.title: " in the_problem(answer("channel", channel_item(title=bad)))


def test_a_hundred_astral_emoji_are_a_title() -> None:
    assert the_entry(answer("video", video_item(title="🎬" * 100))).words["title"] == "🎬" * 100


@pytest.mark.parametrize("bad", ["pan", {"0": "pan"}, ["pan", 5], ["nul \0"]])
def test_tags_are_a_list_of_texts(bad: Any) -> None:
    assert ": snippet.tags: " in the_problem(answer("video", video_item(tags=bad)))


@pytest.mark.parametrize("bad", ["text", 5, [], True])
def test_a_part_that_is_no_object_is_refused(bad: Any) -> None:
    problem = the_problem(answer("video", video_item(statistics=bad)))
    assert ": statistics: is " in problem
    assert problem.endswith(", expected an object")


@pytest.mark.parametrize("bad", [None, 5, [], "text"])
def test_an_item_that_is_no_object_is_refused(bad: Any) -> None:
    assert the_problem(answer("video", bad)).startswith("a.json: items[0]: is ")


def test_an_item_of_another_kind_than_its_answer_is_refused() -> None:
    problem = the_problem(answer("video", {**video_item(), "kind": "youtube#searchResult"}))
    assert problem.endswith("kind: is 'youtube#searchResult', expected youtube#video")


def test_a_refused_item_keeps_the_others() -> None:
    found = read(answer("video", video_item(title=None), video_item("other-video")), name="a")
    assert [entry.youtube_id for entry in found.entries] == ["other-video"]
    assert len(found.problems) == 1


def test_a_playlist_item_belongs_to_the_channel_that_owns_the_video() -> None:
    owner = GUEST
    item = playlist_item(videoOwnerChannelId=owner, videoOwnerChannelTitle="Guest")
    entry = the_entry(answer("playlistItem", item))
    assert (entry.channel_id, entry.channel_title) == (owner, "Guest")


def test_a_playlist_item_without_an_owner_belongs_to_the_channel_of_the_playlist() -> None:
    entry = the_entry(answer("playlistItem", playlist_item()))
    assert (entry.channel_id, entry.channel_title) == (KITCHEN, "Kitchen")


def test_a_playlist_item_has_its_video_id_in_either_place() -> None:
    item = playlist_item(resourceId=None, details={"videoId": PAN})
    assert the_entry(answer("playlistItem", item)).youtube_id == PAN


def test_when_a_video_was_added_to_a_playlist_is_not_when_it_was_published() -> None:
    item = playlist_item(publishedAt="2026-05-01T10:00:00Z")
    assert the_entry(answer("playlistItem", item)).published_at is None


def test_a_playlist_item_tells_when_its_video_was_published() -> None:
    item = playlist_item(details={"videoPublishedAt": "2026-05-01T10:00:00Z"})
    entry = the_entry(answer("playlistItem", item))
    assert entry.published_at == datetime(2026, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("title", ["Private video", "Deleted video"])
def test_a_placeholder_is_refused(title: str) -> None:
    item = playlist_item(title=title, thumbnails={})
    assert "not public" in the_problem(answer("playlistItem", item))


@pytest.mark.parametrize(
    "item",
    [
        playlist_item(**PLACEHOLDER, details={"videoPublishedAt": "2026-05-01T10:00:00Z"}),
        playlist_item(**PLACEHOLDER, videoOwnerChannelId=KITCHEN),
        playlist_item(title="Private video", thumbnails={"default": {"url": "x"}}),
    ],
)
def test_a_video_that_bears_the_title_of_a_placeholder_is_taken(item: Any) -> None:
    assert the_entry(answer("playlistItem", item)).words["title"] == "Private video"


def test_the_same_id_twice_alike_is_one_entry() -> None:
    assert the_entry(answer("video", video_item(), video_item())).youtube_id == PAN


def test_the_same_id_twice_but_differently_is_refused_the_second_time() -> None:
    found = read(answer("video", video_item(), video_item(title="Pot")), name="a.json")
    assert [entry.words["title"] for entry in found.entries] == ["Pan"]
    assert found.problems == [
        "a.json: items[1] (kitchen-001): id: stands in this file before, differently "
        "(a.json: items[0] (kitchen-001))"
    ]


@pytest.mark.parametrize("evil", ["\x1b[31mred", "two\nlines", "\u202eback", "\x9b1m", "a" * 9999])
def test_what_an_answer_holds_has_no_power_over_a_terminal(evil: str) -> None:
    for source in (
        answer("video", video_item(evil)),
        answer("video", video_item(statistics={"viewCount": evil})),
        json.dumps({"kind": evil}),
        json.dumps({"error": {"message": evil[:60]}}),
        f'{{"kind": {json.dumps(evil[:60])}, "{evil[:3]}": 1, "{evil[:3]}": 2}}',
    ):
        problem = the_problem(source)
        assert problem.isprintable()
        assert len(problem) < 400


def test_entries_of_several_files_are_merged_and_the_later_word_holds() -> None:
    older = the_entry(answer("video", video_item(tags=["a"], statistics={"viewCount": "1"})))
    newer = the_entry(answer("video", video_item(title="Pot", statistics={"likeCount": "2"})))
    [both] = merge([older, newer]).entries
    assert both.words == {"title": "Pot", "tags": ["a"]}
    assert both.counts == {"view_count": 1, "like_count": 2}


def test_a_video_of_two_channels_is_refused_the_second_time() -> None:
    other = GUEST
    first = the_entry(answer("video", video_item()))
    merged = merge([first, the_entry(answer("video", video_item(channelId=other)))])
    assert merged.entries == [first]
    assert KITCHEN in merged.problems[0]
    assert other in merged.problems[0]


def test_channels_come_before_the_videos_that_may_name_them() -> None:
    video = the_entry(answer("video", video_item()))
    channel = the_entry(answer("channel", channel_item()))
    assert merge([video, channel]).entries == [channel, video]
