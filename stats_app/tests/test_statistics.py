from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Max, Sum
from django.utils import timezone

from channels_app.models import Channel
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
COUNTS: dict[Any, list[str]] = {
    ChannelStatistics: ["subscriber_count", "view_count", "video_count"],
    VideoStatistics: ["view_count", "like_count", "comment_count"],
}
EVERY_COUNT = [(model, field) for model, fields in COUNTS.items() for field in fields]


@pytest.fixture(params=[ChannelStatistics, VideoStatistics])
def model(request: pytest.FixtureRequest) -> Any:
    return request.param


def owner_of(model: Any) -> dict[str, Any]:
    if model is ChannelStatistics:
        return {"channel": examples.channel()}
    return {"video": examples.video()}


class TestTime:
    def test_is_now_unless_it_is_said(self, model: Any) -> None:
        row = model.objects.create(**owner_of(model))
        assert abs(timezone.now() - row.timestamp) < timedelta(minutes=1)
        assert problems(row) == {}

    def test_is_there_once(self, model: Any) -> None:
        owner = owner_of(model)
        model.objects.create(**owner, timestamp=AT)
        assert "already exists" in str(problems(model(**owner, timestamp=AT)))
        with refused_by_the_database():
            model.objects.create(**owner, timestamp=AT)

    def test_is_each_owners_own(self, model: Any) -> None:
        for owner in (owner_of(model), owner_of(model)):
            model.objects.create(**owner, timestamp=AT).full_clean()

    def test_a_microsecond_makes_another(self, model: Any) -> None:
        owner = owner_of(model)
        for number in range(3):
            model.objects.create(**owner, timestamp=AT + timedelta(microseconds=number))
        assert model.objects.filter(timestamp=AT + timedelta(microseconds=1)).count() == 1

    def test_the_newest_comes_first(self, model: Any) -> None:
        owner = owner_of(model)
        for days in (1, 3, 2):
            model.objects.create(**owner, timestamp=AT + timedelta(days=days))
        assert [row.timestamp.day for row in model.objects.all()] == [4, 3, 2]


@pytest.mark.parametrize(("model", "field"), EVERY_COUNT)
class TestCounts:
    def test_not_known_is_not_zero(self, model: Any, field: str) -> None:
        owner = owner_of(model)
        model.objects.create(**owner, timestamp=AT)
        model.objects.create(**owner, timestamp=AT + timedelta(days=1), **{field: 0})
        assert model.objects.filter(**{f"{field}__isnull": True}).count() == 1
        assert model.objects.filter(**{field: 0}).count() == 1
        assert [getattr(row, field) for row in model.objects.all()] == [0, None]

    @pytest.mark.parametrize("number", [2**31, 2**32 + 1, 16_000_000_000, 2**63 - 1])
    def test_have_64_bits(self, model: Any, field: str, number: int) -> None:
        model.objects.create(**owner_of(model), **{field: number}).full_clean()
        assert getattr(model.objects.get(), field) == number
        assert model.objects.aggregate(most=Max(field))["most"] == number

    def test_are_not_negative(self, model: Any, field: str) -> None:
        owner = owner_of(model)
        assert "greater than or equal to 0" in said_of(model(**owner, **{field: -1}), field)
        assert_not_storable(model.objects.create(**owner), **{field: -1})

    def test_of_more_than_64_bits_are_refused(self, model: Any, field: str) -> None:
        assert "less than or equal to" in said_of(model(**owner_of(model), **{field: 2**63}), field)


def test_sums_leave_out_what_is_not_known() -> None:
    channel = examples.channel()
    for days, count in enumerate([5, None, 0]):
        ChannelStatistics.objects.create(
            channel=channel, timestamp=AT + timedelta(days=days), view_count=count
        )
    assert channel.statistics.aggregate(total=Sum("view_count"))["total"] == 5


def test_they_go_with_their_owner() -> None:
    rows = examples.one_of_each()
    rows[Video].delete()
    assert not VideoStatistics.objects.exists()
    rows[Channel].delete()
    assert not ChannelStatistics.objects.exists()


def test_deleting_one_keeps_its_owner(model: Any) -> None:
    row = model.objects.create(**owner_of(model))
    row.delete()
    assert Channel.objects.exists()


def test_without_an_owner_they_are_refused(model: Any) -> None:
    assert problems(model(timestamp=AT))
    with refused_by_the_database():
        model.objects.create(timestamp=AT)


@pytest.mark.parametrize("youtube_id", ["UC_x5XG1OV2P6uZZ5FSM9Ttw", None])
def test_are_found_by_their_natural_key(youtube_id: str | None) -> None:
    channel = examples.channel(youtube_channel_id=youtube_id)
    video = examples.video(channel=channel)
    for row in (
        ChannelStatistics.objects.create(channel=channel, timestamp=AT),
        VideoStatistics.objects.create(video=video, timestamp=AT),
    ):
        manager: Any = type(row).objects
        assert manager.get_by_natural_key(*row.natural_key()) == row
