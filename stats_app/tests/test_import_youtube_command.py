"""`manage.py import_youtube`: its arguments, its words, its exit code and its cost."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from channels_app.models import Channel
from stats_app.importer import import_files
from stats_app.models import ChannelStatistics, VideoStatistics
from stats_app.tests.made_up import (
    ANSWERS,
    CHANNELS,
    KITCHEN,
    PAN,
    VIDEOS,
    Write,
    channel_item,
    everything,
    kitchen,
    run,
    video_item,
)
from videos_app.models import Video

RECORDED = settings.BASE_DIR.parent / "shared" / "data" / "youtube-api-responses"

needs_recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason=f"no recorded answers of YouTube in {RECORDED}"
)
pytestmark = pytest.mark.django_db


def test_the_time_is_utc_where_no_offset_is_given() -> None:
    run(CHANNELS, at="2026-11-20T12:00:00")
    assert ChannelStatistics.objects.all()[0].timestamp == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_one_run_has_one_time() -> None:
    run(CHANNELS, VIDEOS, at=None)
    times = {row.timestamp for row in ChannelStatistics.objects.all()}
    times |= {row.timestamp for row in VideoStatistics.objects.all()}
    assert len(times) == 1


@pytest.mark.parametrize("at", ["yesterday", "", "0001-01-01T00:00:00+14:00", "2026-13-01"])
def test_a_malformed_time_is_an_error_of_usage(at: str) -> None:
    result = run(CHANNELS, at=at)
    assert result.code == 2
    assert result.lines == [
        f"--at is {at!r}: expected a time in ISO 8601, such as 2026-11-22T08:00:00Z."
    ]
    assert not Channel.objects.exists()


def test_the_summary_counts_what_was_done() -> None:
    result = run(CHANNELS, VIDEOS)
    assert result.code == 0
    assert result.lines == []
    assert result.out == (
        "channels: 3 created (1 inactive: only seen), 0 updated, 0 unchanged; "
        "videos: 3 created, 0 updated, 0 unchanged; statistics: 5 added, 0 updated; refused: 0\n"
    )


def test_a_refused_entry_keeps_no_other_from_being_taken(write: Write) -> None:
    result = run(write("video", video_item("bad"), video_item()))
    assert Video.objects.get().youtube_video_id == PAN
    assert result.code == 1
    assert result.lines[-1] == "1 refused, each named above."
    assert result.out.endswith("refused: 1\n")


def test_only_entries_of_the_given_channel_are_taken() -> None:
    kitchen()
    result = run(VIDEOS, channel=KITCHEN)
    assert {video.channel.name for video in Video.objects.all()} == {"Kitchen"}
    assert result.code == 1
    assert result.lines[0] == (
        f"{VIDEOS}: items[2] (elsewhere01): channel: is UCelsewhere0123456789abc, expected only "
        f"entries of 'Kitchen' ({KITCHEN})"
    )


def test_an_unknown_channel_is_one_error_line_and_nothing_is_imported() -> None:
    kitchen()
    result = run(VIDEOS, channel="Kitchn")
    assert result.lines == ['There is no channel "Kitchn". The nearest name is "Kitchen".']
    assert not Video.objects.exists()


def test_a_channel_without_a_youtube_id_cannot_be_compared_with() -> None:
    kitchen(youtube_channel_id=None)
    result = run(VIDEOS, channel="Kitchen")
    assert "has no YouTube channel id" in result.lines[0]
    assert not Video.objects.exists()


def test_a_channel_name_that_no_database_can_hold_is_one_error_line() -> None:
    assert run(VIDEOS, channel="half \ud83d").lines == [
        "--channel: Character 6 is U+D83D, which cannot be stored."
    ]


def test_files_that_cannot_be_read_are_refused_and_the_others_taken(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"kind": "\xe9"}')
    result = run(
        tmp_path / "none.json", tmp_path, tmp_path / "latin.json", ANSWERS / "error.json", CHANNELS
    )
    assert result.lines == [
        f"{tmp_path}/none.json: cannot be read: No such file or directory",
        f"{tmp_path}: cannot be read: Is a directory",
        f"{tmp_path}/latin.json: byte 11 is not UTF-8, expected JSON in UTF-8",
        f"{ANSWERS}/error.json: YouTube answered with an error: 403 The request cannot be "
        "completed because you have exceeded your quota. (quotaExceeded)",
        "4 refused, each named above.",
    ]
    assert Channel.objects.count() == 2


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + Path(CHANNELS).read_bytes())
    assert run(path).code == 0


@needs_recorded
def test_recorded_answers_are_taken_and_only_errors_and_categories_refused() -> None:
    files = sorted(RECORDED.rglob("*.json"))
    result = run(*files)
    refused = {line.split(": ")[0] for line in result.lines[:-1]}
    assert refused == {str(path) for path in files if "error" in path.name or "cat" in path.name}
    assert (Channel.objects.count(), Video.objects.count()) == (11, 23)


@needs_recorded
def test_a_second_run_of_the_recorded_answers_changes_nothing() -> None:
    files = sorted(RECORDED.rglob("*.json"))
    run(*files)
    before = everything()
    run(*reversed(files[:1]), *files)
    assert everything() == before


def queries(*, files: Iterable[str]) -> int:
    with CaptureQueriesContext(connection) as captured:
        import_files(paths=files, at=datetime(2026, 11, 20, tzinfo=UTC))
    return len(captured)


def many(write: Write, kind: str, count: int) -> str:
    if kind == "channel":
        return write(kind, *(channel_item(f"UC{number:022}") for number in range(count)))
    return write(kind, *(video_item(f"{number:011}") for number in range(count)))


# Two of each are the savepoint around an entry, two more those around each row that is made.
@pytest.mark.parametrize(
    ("kind", "first", "again"), [("channel", 2 + 2 * 4, 4), ("video", 2 + 2 + 2 * 4, 4)]
)
@pytest.mark.parametrize("count", [1, 10])
def test_the_queries_of_an_entry_are_the_same_however_many_there_are(
    write: Write, kind: str, first: int, again: int, count: int
) -> None:
    kitchen()
    file = many(write, kind, count)
    assert queries(files=[file]) == first * count
    assert queries(files=[file]) == again * count


snippets = st.fixed_dictionaries(
    {"title": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)},
    optional={
        "description": st.text(max_size=200),
        "publishedAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    },
)
statistics = st.dictionaries(
    st.sampled_from(["viewCount", "likeCount", "commentCount"]), st.integers(0, 2**63).map(str)
)


@hypothesis_settings(max_examples=25, deadline=None, database=None)
@given(items=st.lists(st.tuples(st.sampled_from("abc"), snippets, statistics), max_size=5))
def test_a_second_run_of_anything_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, Any, Any]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "answer.json"
    entries = [video_item(letter * 11, counts, **snippet) for letter, snippet, counts in items]
    path.write_text(json.dumps({"kind": "youtube#videoListResponse", "items": entries}))
    with transaction.atomic():
        first = run(path)
        before = everything()
        assert run(path).lines == first.lines
        assert everything() == before
        transaction.set_rollback(True)
