import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from channels_app.models import Channel, Music, TransformationPreset
from jobs_app.models import VideoProcessingJob
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

URL = "https://example.org/watch?v=1"
YOUTUBE_ID = "D-lhorsDlUQ"
SLOT = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.fixture
def channel() -> Channel:
    return examples.channel()


@pytest.fixture
def video(channel: Channel) -> Video:
    return examples.video(channel=channel)


class TestANewVideo:
    def test_is_scraped_and_has_nothing_else(self, channel: Channel) -> None:
        video = Video.objects.create(channel=channel, source_url=URL)
        video.refresh_from_db()
        assert (video.status, video.title) == ("scraped", "")
        assert (video.metadata, video.processing_history) == ({}, [])
        for field in ("preset", "music", "scheduled_for", "youtube_video_id", "published_at"):
            assert getattr(video, field) is None
        assert problems(video) == {}

    def test_needs_a_channel(self) -> None:
        assert said_of(Video(source_url=URL), "channel")
        with refused_by_the_database():
            Video.objects.create(source_url=URL)

    def test_needs_a_channel_that_is_there(self) -> None:
        assert said_of(Video(channel_id=uuid4(), source_url=URL), "channel")

    def test_is_called_by_its_title_or_else_its_source(self) -> None:
        assert str(Video(title="A pie", source_url=URL)) == "A pie"
        assert str(Video(source_url=URL)) == URL


class TestTheSource:
    def test_is_there_once_in_a_channel(self, channel: Channel) -> None:
        Video.objects.create(channel=channel, source_url=URL)
        assert "already exists" in str(problems(Video(channel=channel, source_url=URL)))
        with refused_by_the_database():
            Video.objects.create(channel=channel, source_url=URL)

    def test_may_be_in_two_channels(self, channel: Channel) -> None:
        for owner in (channel, examples.channel(name="Baking")):
            Video(channel=owner, source_url=URL).full_clean()
            Video.objects.create(channel=owner, source_url=URL)

    def test_that_differs_by_case_is_another(self, channel: Channel) -> None:
        for url in (URL, URL.upper()):
            Video.objects.create(channel=channel, source_url=url)

    @pytest.mark.parametrize("url", ["", "no url", "javascript:alert(1)", "http://", "a\x00"])
    def test_must_be_a_url_when_entered(self, channel: Channel, url: str) -> None:
        assert said_of(Video(channel=channel, source_url=url), "source_url")

    @pytest.mark.parametrize("url", ["", "h" * 601, "a\x00b"])
    def test_out_of_bounds_is_refused(self, video: Video, url: str) -> None:
        assert_not_storable(video, source_url=url)

    def test_of_the_greatest_length_fits_into_the_index(self, channel: Channel) -> None:
        """Of characters of four bytes that do not compress; an index entry has an end."""
        url = "".join(chr(0x20000 + secrets.randbelow(0xA000)) for _ in range(600))
        assert Video.objects.create(channel=channel, source_url=url).pk
        assert Video.objects.get(channel=channel, source_url=url).source_url == url


class TestTheSlot:
    def test_has_one_video_of_a_channel(self, channel: Channel) -> None:
        examples.video(channel=channel, scheduled_for=SLOT)
        other = Video(channel=channel, source_url=URL, scheduled_for=SLOT)
        assert "Another video of this channel is scheduled for that time." in str(problems(other))
        with refused_by_the_database():
            other.save()

    def test_is_each_channels_own(self, channel: Channel) -> None:
        for owner in (channel, examples.channel(name="Baking")):
            examples.video(channel=owner, scheduled_for=SLOT).full_clean()

    def test_may_be_missing_from_many(self, channel: Channel) -> None:
        for _ in range(3):
            examples.video(channel=channel, scheduled_for=None).full_clean()

    def test_is_the_same_instant_in_any_zone(self, channel: Channel) -> None:
        examples.video(channel=channel, scheduled_for=SLOT)
        same = datetime.fromisoformat("2026-12-24T19:00:00+01:00")
        with refused_by_the_database():
            examples.video(channel=channel, scheduled_for=same)


class TestTheYouTubeId:
    def test_is_unique_among_all_channels(self, video: Video) -> None:
        video.save_fields(youtube_video_id=YOUTUBE_ID)
        other = examples.video(channel=examples.channel(name="Baking"))
        other.youtube_video_id = YOUTUBE_ID
        assert "already exists" in said_of(other, "youtube_video_id")
        with refused_by_the_database():
            other.save()

    def test_may_be_missing_from_many(self, channel: Channel) -> None:
        for _ in range(3):
            examples.video(channel=channel, youtube_video_id=None).full_clean()

    @pytest.mark.parametrize("text", ["", YOUTUBE_ID[1:], YOUTUBE_ID + "a"])
    def test_of_another_length_is_refused(self, video: Video, text: str) -> None:
        video.youtube_video_id = text
        assert "youtube_video_id" in str(problems(video))
        assert_not_storable(Video.objects.get(), youtube_video_id=text)

    @pytest.mark.parametrize("text", [YOUTUBE_ID[1:] + "\n", YOUTUBE_ID[1:] + "!", "é" * 11])
    def test_with_another_character_is_refused_when_entered(self, video: Video, text: str) -> None:
        video.youtube_video_id = text
        assert "A YouTube video id is 11 letters" in said_of(video, "youtube_video_id")


class TestColumns:
    @pytest.mark.parametrize("title", ["a" * 501, "a\x00"])
    def test_a_title_out_of_bounds_is_refused(self, video: Video, title: str) -> None:
        video.title = title
        assert said_of(video, "title")
        assert_not_storable(Video.objects.get(), title=title)

    @pytest.mark.parametrize("status", ["", "Scraped", "archived", "needs review"])
    def test_an_unknown_status_is_refused(self, video: Video, status: str) -> None:
        video.status = status
        assert said_of(video, "status")
        assert_not_storable(Video.objects.get(), status=status)

    @pytest.mark.parametrize("status", Video.Status)
    def test_every_status_is_kept(self, video: Video, status: str) -> None:
        made = examples.video(channel=video.channel, status=status)
        made.full_clean()
        assert Video.objects.get(pk=made.pk).status == status

    @pytest.mark.parametrize("value", [[], None, "a", 1])
    def test_metadata_is_an_object(self, video: Video, value: Any) -> None:
        video.metadata = value
        assert said_of(video, "metadata")
        assert_not_storable(Video.objects.get(), metadata=value)

    @pytest.mark.parametrize("value", [{}, {"a": 1}, "a", 1])
    def test_the_history_is_a_list(self, video: Video, value: Any) -> None:
        video.processing_history = value
        assert "processing_history a JSON list" in str(problems(video))
        assert_not_storable(Video.objects.get(), processing_history=value)

    def test_the_history_is_never_null(self, video: Video) -> None:
        assert_not_storable(video, processing_history=None)

    def test_large_metadata_is_kept(self, video: Video) -> None:
        value = {
            "formats": [{"id": number, "url": "https://example.org" * 5} for number in range(2000)]
        }
        video.save_fields(metadata=value)
        assert Video.objects.get().metadata == value


class TestRelations:
    def test_deleting_a_video_deletes_its_jobs_and_statistics_alone(self) -> None:
        rows = examples.one_of_each()
        rows[Video].delete()
        assert not VideoProcessingJob.objects.exists()
        assert not VideoStatistics.objects.exists()
        for model in (Channel, ChannelStatistics, Music, TransformationPreset):
            assert model.objects.get() == rows[model]

    def test_are_read_from_both_sides(self) -> None:
        rows = examples.one_of_each()
        video = rows[Video]
        assert list(video.jobs.all()) == [rows[VideoProcessingJob]]
        assert list(video.statistics.all()) == [rows[VideoStatistics]]
        assert list(rows[TransformationPreset].videos.all()) == [video]
        assert list(rows[Music].videos.all()) == [video]

    def test_deleting_many_at_once(self) -> None:
        for number in range(3):
            examples.one_of_each(number)
        deleted, _ = Channel.objects.all().delete()
        assert deleted == 15
        assert not Video.objects.exists()


class TestSets:
    @pytest.fixture(autouse=True)
    def _one_of_each_status(self, channel: Channel) -> None:
        for number, status in enumerate(Video.Status):
            examples.video(
                channel=channel, status=status, scheduled_for=SLOT - timedelta(days=number)
            )
        examples.video(channel=channel, status="downloaded")

    def statuses(self, videos: Any) -> set[str]:
        return {video.status for video in videos}

    def test_published(self) -> None:
        assert self.statuses(Video.objects.published()) == {"published"}

    def test_in_progress(self) -> None:
        assert self.statuses(Video.objects.in_progress()) == {
            *("scraped", "downloading", "downloaded", "transforming", "transformed", "publishing")
        }

    def test_needing_attention(self) -> None:
        assert self.statuses(Video.objects.needing_attention()) == {"failed", "needs_review"}

    def test_scheduled_is_what_is_still_to_come_in_order(self) -> None:
        scheduled = list(Video.objects.scheduled())
        assert self.statuses(scheduled) == {status.value for status in Video.IN_PROGRESS}
        times = [video.scheduled_for for video in scheduled]
        assert None not in times
        assert times == sorted(times, key=str)

    def test_of_a_channel(self) -> None:
        other = examples.channel(name="Baking")
        assert not other.videos.published().exists()

    def test_the_newest_comes_first(self) -> None:
        ages = [video.created_at for video in Video.objects.all()]
        assert ages == sorted(ages, reverse=True)


@pytest.mark.parametrize("youtube_id", ["UC_x5XG1OV2P6uZZ5FSM9Ttw", None])
def test_the_natural_key_finds_the_video(youtube_id: str | None) -> None:
    owner = examples.channel(youtube_channel_id=youtube_id)
    video = Video.objects.create(channel=owner, source_url=URL)
    Video.objects.create(channel=examples.channel(name="Baking"), source_url=URL)
    assert Video.objects.get_by_natural_key(*video.natural_key()) == video
