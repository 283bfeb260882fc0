"""What an import of YouTube's answers writes, and what it leaves alone."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from channels_app.models import Channel
from stats_app.importer import WATCH_URL
from stats_app.models import ChannelStatistics, VideoStatistics
from stats_app.tests.made_up import (
    CHANNELS,
    GUEST,
    KITCHEN,
    PAN,
    PLAYLIST,
    VIDEOS,
    Write,
    channel_item,
    everything,
    kitchen,
    run,
    video_item,
)
from videos_app.models import Video

pytestmark = pytest.mark.django_db


def test_a_channel_is_created_with_its_name_and_active() -> None:
    run(CHANNELS)
    channel = Channel.objects.get(youtube_channel_id=KITCHEN)
    assert channel.name == "Kitchen Lab 🍳"
    assert channel.is_active


def test_a_channel_keeps_the_own_words_of_youtube() -> None:
    run(CHANNELS)
    assert Channel.objects.get(youtube_channel_id=KITCHEN).metadata == {
        "youtube": {
            "title": "Kitchen Lab 🍳",
            "description": "Recipes, measured.\n\nNew every Tuesday → https://kitchenlab.example\n",
            "customUrl": "@kitchenlab",
            "country": "DE",
            "publishedAt": "2015-02-03T04:05:06Z",
        }
    }


def test_a_video_is_created_as_published() -> None:
    run(VIDEOS)
    video = Video.objects.get(youtube_video_id=PAN)
    assert video.status == Video.Status.PUBLISHED
    assert video.title == "How hot is a pan? 🔥🔥"
    assert video.source_url == f"https://www.youtube.com/watch?v={PAN}"
    assert video.published_at == datetime(2026, 3, 21, 20, 37, 49, tzinfo=UTC)
    assert video.channel.youtube_channel_id == KITCHEN


def test_a_created_video_has_a_history_of_one_entry() -> None:
    run(VIDEOS)
    [entry] = Video.objects.get(youtube_video_id=PAN).processing_history
    assert datetime.fromisoformat(entry.pop("at")).tzinfo
    assert entry == {
        "from": None,
        "to": "published",
        "by": "import_youtube",
        "why": "already on YouTube",
    }


def test_a_channel_that_was_only_seen_is_inactive_and_has_no_statistics() -> None:
    run(VIDEOS)
    seen = Channel.objects.get(name="Elsewhere")
    assert not seen.is_active
    assert not seen.statistics.exists()


def test_a_channel_asked_for_is_active_whatever_the_order_of_the_files() -> None:
    run(VIDEOS, CHANNELS)
    assert Channel.objects.get(youtube_channel_id=KITCHEN).is_active


def test_the_name_of_a_seen_channel_follows_its_own_answer(write: Write) -> None:
    run(VIDEOS)
    run(write("channel", channel_item("UCelsewhere0123456789abc", title="Elsewhere TV")))
    assert Channel.objects.get(youtube_channel_id__startswith="UCelse").name == "Elsewhere TV"


def test_a_playlist_item_becomes_a_video_of_its_owner() -> None:
    run(PLAYLIST)
    video = Video.objects.get(youtube_video_id="guest-video")
    assert video.channel.name == "Guest"
    assert video.published_at == datetime(2024, 12, 24, 18, tzinfo=UTC)


def test_a_playlist_item_without_a_time_of_publication_has_none() -> None:
    run(PLAYLIST)
    assert Video.objects.get(youtube_video_id="kitchen-003").published_at is None


def test_a_known_time_of_publication_outlives_an_answer_without_it(write: Write) -> None:
    run(VIDEOS)
    run(
        write(
            "playlistItem", {"snippet": video_item()["snippet"], "contentDetails": {"videoId": PAN}}
        )
    )
    assert Video.objects.get(youtube_video_id=PAN).published_at is not None


def test_a_placeholder_never_overwrites_a_known_title() -> None:
    run(VIDEOS)
    result = run(PLAYLIST)
    assert Video.objects.get(youtube_video_id=PAN).title == "How hot is a pan? 🔥🔥"
    assert result.code == 1
    assert "items[2] (kitchen-001): snippet.title:" in result.lines[0]


def test_counts_are_written_at_the_given_time() -> None:
    run(CHANNELS, VIDEOS)
    row = ChannelStatistics.objects.get(channel__youtube_channel_id=KITCHEN)
    assert row.timestamp == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert (row.subscriber_count, row.view_count, row.video_count) == (10700000, 3331930783, 412)


def test_a_count_that_is_absent_is_not_known() -> None:
    run(VIDEOS)
    row = VideoStatistics.objects.get(video__youtube_video_id="kitchen_002")
    assert (row.view_count, row.like_count, row.comment_count) == (18, None, None)


def test_hidden_subscribers_are_not_known() -> None:
    run(CHANNELS)
    row = ChannelStatistics.objects.get(channel__name="=Shy Person")
    assert (row.subscriber_count, row.view_count, row.video_count) == (None, 7, 0)


def test_an_answer_without_statistics_still_makes_a_row() -> None:
    run(VIDEOS)
    row = VideoStatistics.objects.get(video__youtube_video_id="elsewhere01")
    assert (row.view_count, row.like_count, row.comment_count) == (None, None, None)


def test_the_largest_count_is_kept(write: Write) -> None:
    run(write("video", video_item(statistics={"viewCount": str(2**63 - 1)})))
    assert VideoStatistics.objects.get().view_count == 2**63 - 1


def test_a_row_of_the_same_time_takes_only_the_counts_that_are_known(write: Write) -> None:
    run(write("video", video_item(statistics={"viewCount": "1", "likeCount": "2"})))
    result = run(write("video", video_item(statistics={"viewCount": "9"})))
    row = VideoStatistics.objects.get()
    assert (row.view_count, row.like_count) == (9, 2)
    assert "statistics: 0 added, 1 updated" in result.out


def test_a_second_run_changes_nothing() -> None:
    run(CHANNELS, VIDEOS, PLAYLIST)
    before = everything()
    result = run(CHANNELS, VIDEOS, PLAYLIST)
    assert everything() == before
    assert result.out == (
        "channels: 0 created, 0 updated, 2 unchanged; "
        "videos: 0 created, 0 updated, 5 unchanged; statistics: 0 added, 0 updated; refused: 1\n"
    )


def test_answers_that_differ_on_one_channel_do_not_undo_each_other(write: Write) -> None:
    files = [
        write("channel", channel_item(title=title), name=f"{title}.json") for title in ("A", "B")
    ]
    run(*files)
    before = everything()
    run(*files)
    assert everything() == before
    assert Channel.objects.get().name == "B"


def test_the_name_follows_the_title_on_youtube(write: Write) -> None:
    run(write("channel", channel_item()))
    run(write("channel", channel_item(title="Kitchen Lab")))
    assert Channel.objects.get().name == "Kitchen Lab"


def test_a_name_that_an_operator_gave_stays(write: Write) -> None:
    run(write("channel", channel_item()))
    Channel.objects.update(name="Ours")
    run(write("channel", channel_item(title="Kitchen Lab")))
    channel = Channel.objects.get()
    assert channel.name == "Ours"
    assert channel.metadata["youtube"]["title"] == "Kitchen Lab"


def test_the_name_of_a_channel_made_by_hand_stays(write: Write) -> None:
    kitchen(name="Ours")
    run(write("channel", channel_item()))
    assert Channel.objects.get().name == "Ours"


def test_the_title_of_a_video_follows_youtube(write: Write) -> None:
    run(write("video", video_item()))
    run(write("video", video_item(title="Pot")))
    assert Video.objects.get().title == "Pot"


def test_a_title_that_an_operator_gave_stays(write: Write) -> None:
    run(write("video", video_item()))
    Video.objects.update(title="Ours")
    run(write("video", video_item(title="Pot")))
    assert Video.objects.get().title == "Ours"


def test_an_inactive_channel_stays_inactive(write: Write) -> None:
    kitchen(is_active=False)
    run(write("channel", channel_item()))
    assert not Channel.objects.get().is_active


def test_other_metadata_is_kept(write: Write) -> None:
    kitchen(metadata={"note": "ours", "youtube": {"extra": 1}})
    run(write("channel", channel_item()))
    assert Channel.objects.get().metadata == {
        "note": "ours",
        "youtube": {"extra": 1, "title": "Kitchen"},
    }


def test_metadata_of_another_shape_is_refused_and_kept(write: Write) -> None:
    kitchen(metadata={"youtube": "ours"})
    result = run(write("channel", channel_item()))
    assert result.lines[0].endswith("metadata: \"youtube\" is 'ours' here, expected an object")
    assert Channel.objects.get().metadata == {"youtube": "ours"}


def test_an_absent_part_erases_nothing(write: Write) -> None:
    run(VIDEOS)
    before = Video.objects.get(youtube_video_id=PAN).metadata["youtube"]
    run(write("video", video_item(title=before["title"])))
    assert Video.objects.get(youtube_video_id=PAN).metadata["youtube"] == before


def test_a_video_is_found_by_its_id_whatever_its_source(write: Write) -> None:
    video = kitchen().videos.create(
        source_url="https://example.com/1",
        youtube_video_id=PAN,
        status=Video.Status.PUBLISHED,
        title="Ours",
    )
    run(write("video", video_item()))
    assert Video.objects.get() == video
    assert video.statistics.exists()


def test_a_published_video_is_found_by_its_source_and_gets_its_id(write: Write) -> None:
    kitchen().videos.create(source_url=WATCH_URL + PAN, status=Video.Status.PUBLISHED)
    run(write("video", video_item()))
    video = Video.objects.get()
    assert video.youtube_video_id == PAN
    assert video.title == "Pan"
    assert video.processing_history == []


def test_the_status_of_a_known_video_is_left_as_it_is(write: Write) -> None:
    kitchen().videos.create(
        source_url="https://example.com/1", youtube_video_id=PAN, status="needs_review"
    )
    result = run(write("video", video_item()))
    assert result.code == 0
    assert Video.objects.get().status == "needs_review"


def test_no_job_is_made() -> None:
    run(CHANNELS, VIDEOS, PLAYLIST)
    with connection.cursor() as cursor:
        if "video_processing_jobs" in connection.introspection.table_names(cursor):
            cursor.execute("SELECT COUNT(*) FROM video_processing_jobs")
            assert cursor.fetchone() == (0,)


def test_a_source_to_process_is_not_taken_for_a_publication(write: Write) -> None:
    kitchen().videos.create(source_url=WATCH_URL + PAN, title="Scraped")
    before = everything()
    result = run(write("video", video_item()))
    assert everything() == before
    assert "is here as a source to process (scraped), not as a publication" in result.lines[0]


def test_a_source_that_is_on_youtube_under_another_id_is_refused(write: Write) -> None:
    kitchen().videos.create(
        source_url=WATCH_URL + PAN, youtube_video_id="another-one", status="published"
    )
    before = everything()
    result = run(write("video", video_item()))
    assert everything() == before
    assert "another-one" in result.lines[0]
    assert result.code == 1


def test_a_video_known_under_another_channel_is_refused_with_both_named(write: Write) -> None:
    kitchen().videos.create(source_url="x", youtube_video_id=PAN, status="published")
    result = run(write("video", video_item(channelId=GUEST)))
    assert f"channel: is {GUEST} on YouTube" in result.lines[0]
    assert f"'Kitchen' ({KITCHEN})" in result.lines[0]
    assert Channel.objects.count() == 1


def test_a_video_of_an_unknown_channel_without_a_title_is_refused(write: Write) -> None:
    result = run(write("video", video_item(channelTitle=None)))
    assert f"channel: {KITCHEN} is not here yet" in result.lines[0]


def test_a_video_of_a_known_channel_needs_no_channel_title(write: Write) -> None:
    kitchen()
    assert run(write("video", video_item(channelTitle=None))).code == 0
    assert Video.objects.exists()
