from typing import Any
from uuid import uuid4

import pytest
from django.core.serializers import serialize

from channels_app.models import Channel, TransformationPreset
from channels_app.schedule import default_schedule
from jobs_app.models import VideoProcessingJob
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

YOUTUBE_ID = "UC_x5XG1OV2P6uZZ5FSM9Ttw"


class TestANewChannel:
    def test_starts_active_with_a_schedule_and_nothing_else(self) -> None:
        channel = Channel.objects.create(name="Cooking")
        channel.refresh_from_db()
        assert channel.is_active
        assert channel.schedule == default_schedule()
        assert (channel.credentials, channel.youtube_channel_id) == (None, None)
        assert channel.default_preset is None
        assert channel.settings == channel.filters == channel.metadata == {}

    def test_shares_no_default_with_the_next(self) -> None:
        one, other = Channel(name="a"), Channel(name="b")
        one.metadata["a"] = 1
        one.schedule["slots"]["mon"].append("19:00")
        assert other.metadata == {}
        assert other.schedule == default_schedule()


class TestTheYouTubeId:
    def test_is_unique(self) -> None:
        examples.channel(youtube_channel_id=YOUTUBE_ID)
        assert "already exists" in said_of(
            Channel(name="b", youtube_channel_id=YOUTUBE_ID), "youtube_channel_id"
        )
        with refused_by_the_database():
            examples.channel(youtube_channel_id=YOUTUBE_ID)

    def test_may_be_missing_more_than_once(self) -> None:
        for _ in range(3):
            examples.channel().full_clean()
        assert Channel.objects.filter(youtube_channel_id=None).count() == 3

    def test_that_differs_by_case_is_another(self) -> None:
        examples.channel(youtube_channel_id=YOUTUBE_ID)
        other = YOUTUBE_ID[:-1] + YOUTUBE_ID[-1].upper()
        examples.channel(youtube_channel_id=other).full_clean()
        assert Channel.objects.get(youtube_channel_id=other).youtube_channel_id == other

    @pytest.mark.parametrize(
        "text", ["", "UC", "uc" + "a" * 22, "XX" + "a" * 22, "UC" + "a" * 21, "UC" + "a" * 23]
    )
    def test_of_another_shape_is_refused(self, text: str) -> None:
        assert "A YouTube channel id is UC and 22 letters" in str(
            problems(Channel(name="a", youtube_channel_id=text))
        )
        assert_not_storable(examples.channel(), youtube_channel_id=text)

    @pytest.mark.parametrize("text", [YOUTUBE_ID[:-1] + "\n", YOUTUBE_ID[:-1] + "é"])
    def test_with_another_character_is_refused_when_entered(self, text: str) -> None:
        assert said_of(Channel(name="a", youtube_channel_id=text), "youtube_channel_id")


class TestTexts:
    @pytest.mark.parametrize("name", ["", "a" * 201, "a\x00b", YOUTUBE_ID + "\x00" + "b" * 300])
    def test_a_name_out_of_bounds_is_refused(self, name: str) -> None:
        assert said_of(Channel(name=name), "name")
        assert_not_storable(examples.channel(), name=name)

    @pytest.mark.parametrize("name", ["a", "😀" * 200, "Küche", "料理", "a\nb", "a'b\"%_\\"])
    def test_a_name_within_them_comes_back(self, name: str) -> None:
        examples.channel(name=name).full_clean()
        assert Channel.objects.get(name=name).name == name

    def test_half_a_surrogate_pair_is_refused(self) -> None:
        assert "U+D800" in said_of(Channel(name="a\ud800"), "name")
        with pytest.raises(UnicodeEncodeError):
            Channel.objects.create(name="a\ud800")


@pytest.mark.parametrize("column", ["settings", "schedule", "filters", "metadata"])
class TestObjects:
    @pytest.mark.parametrize("value", [[], [1], "text", 5, True, None])
    def test_anything_else_is_refused(self, column: str, value: Any) -> None:
        assert said_of(Channel(name="a", **{column: value}), column)
        assert_not_storable(examples.channel(), **{column: value})

    def test_are_kept(self, column: str) -> None:
        value = {"b": [1, 2.5, None, {"ü": "😀"}], "a": True}
        channel = examples.channel(**{column: value})
        channel.refresh_from_db()
        assert getattr(channel, column) == value

    def test_the_empty_one_is_valid(self, column: str) -> None:
        assert problems(Channel(name="a", **{column: {}})) == {}


def test_an_override_of_null_is_refused() -> None:
    channel = Channel(name="a", settings={"publish.posts_per_day": None})
    assert "leave the key out to inherit" in said_of(channel, "settings")


@pytest.mark.parametrize(
    ("key", "value"), [("publish.posts_per_day", 0), ("publish.description_footer", "")]
)
def test_an_override_that_is_empty_is_a_value(key: str, value: Any) -> None:
    assert problems(Channel(name="a", settings={key: value})) == {}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("publish.posts_per_day", 51, "a whole number from 0 to 50, not 51"),
        ("publish.posts_per_day", False, "a whole number from 0 to 50, not false"),
        ("publish.posts_per_day", 2.0, "not 2.0"),
        ("publish.privacy", "Public", "one of private, unlisted, public"),
        ("publish.post_per_day", 1, 'Did you mean "publish.posts_per_day"?'),
        ("jobs.max_concurrent", 1, "not per channel"),
        ("github.token", "x", "not per channel"),
    ],
)
def test_an_override_that_its_setting_does_not_accept_is_refused(
    key: str, value: Any, said: str
) -> None:
    assert said in said_of(Channel(name="a", settings={key: value}), "settings")


class TestRelations:
    def test_deleting_a_channel_deletes_what_is_its_own_and_nothing_else(self) -> None:
        doomed, kept = examples.one_of_each(1), examples.one_of_each(2)
        doomed[Channel].delete()
        for model in (Channel, Video, VideoProcessingJob, ChannelStatistics, VideoStatistics):
            assert list(model.objects.all()) == [kept[model]]
        assert TransformationPreset.objects.count() == 2

    def test_deleting_the_default_preset_empties_the_reference(self) -> None:
        rows = examples.one_of_each()
        rows[TransformationPreset].delete()
        rows[Channel].refresh_from_db()
        assert rows[Channel].default_preset is None

    def test_are_read_from_both_sides(self) -> None:
        rows = examples.one_of_each()
        channel, preset = rows[Channel], rows[TransformationPreset]
        assert channel.default_preset == preset
        assert list(preset.channels.all()) == [channel]
        assert list(channel.videos.all()) == [rows[Video]]
        assert list(channel.jobs.all()) == [rows[VideoProcessingJob]]
        assert list(channel.statistics.all()) == [rows[ChannelStatistics]]

    def test_a_preset_that_is_not_there_is_refused(self) -> None:
        assert "default_preset" in problems(Channel(name="a", default_preset_id=uuid4()))


def test_active_leaves_out_the_inactive() -> None:
    active = examples.channel()
    examples.channel(name="Asleep", is_active=False)
    assert list(Channel.objects.active()) == [active]


def test_channels_are_listed_by_name() -> None:
    for name in ("b", "c", "a"):
        examples.channel(name=name)
    assert [channel.name for channel in Channel.objects.all()] == ["a", "b", "c"]


class TestFind:
    @pytest.fixture
    def channel(self) -> Channel:
        examples.channel(name="Baking")
        return examples.channel(name="Cooking", youtube_channel_id=YOUTUBE_ID)

    def test_by_id(self, channel: Channel) -> None:
        assert Channel.objects.find(str(channel.pk)) == channel
        assert Channel.objects.find(channel.pk.hex.upper()) == channel

    def test_by_youtube_id(self, channel: Channel) -> None:
        assert Channel.objects.find(YOUTUBE_ID) == channel

    def test_by_name(self, channel: Channel) -> None:
        assert Channel.objects.find("Cooking") == channel

    def test_by_a_name_that_looks_like_an_id(self) -> None:
        channel = examples.channel(name="deadbeef" * 4)
        assert Channel.objects.find("deadbeef" * 4) == channel

    def test_within_a_set(self, channel: Channel) -> None:
        Channel.objects.update(is_active=False)
        with pytest.raises(Channel.DoesNotExist):
            Channel.objects.active().find("Cooking")

    def test_an_unknown_name_gets_the_nearest(self, channel: Channel) -> None:
        with pytest.raises(Channel.DoesNotExist, match=r'"cookin".*nearest name is "Cooking"'):
            Channel.objects.find("cookin")

    def test_with_nothing_near_it_gets_none(self, channel: Channel) -> None:
        with pytest.raises(Channel.DoesNotExist) as raised:
            Channel.objects.find("xyz")
        assert str(raised.value) == 'There is no channel "xyz".'

    def test_an_id_that_is_not_there(self, channel: Channel) -> None:
        with pytest.raises(Channel.DoesNotExist):
            Channel.objects.find(str(uuid4()))

    @pytest.mark.parametrize("text", ["", "a\x00b", "\udcff", "%", "Cook_ng", "cooking"])
    def test_text_that_no_row_can_hold_or_that_is_a_pattern(
        self, channel: Channel, text: str
    ) -> None:
        with pytest.raises(Channel.DoesNotExist):
            Channel.objects.find(text)

    def test_two_of_one_name_are_refused_with_their_ids(self, channel: Channel) -> None:
        other = examples.channel(name="Cooking")
        with pytest.raises(Channel.MultipleObjectsReturned) as raised:
            Channel.objects.find("Cooking")
        assert str(channel.pk) in str(raised.value)
        assert str(other.pk) in str(raised.value)


class TestNaturalKey:
    @pytest.mark.parametrize("youtube_id", [YOUTUBE_ID, None])
    def test_finds_the_channel(self, youtube_id: str | None) -> None:
        channel = examples.channel(youtube_channel_id=youtube_id)
        examples.channel(name="Baking")
        assert Channel.objects.get_by_natural_key(*channel.natural_key()) == channel

    def test_is_the_youtube_id_in_a_dump(self) -> None:
        channel = examples.channel(youtube_channel_id=YOUTUBE_ID)
        text = serialize("json", [channel], use_natural_primary_keys=True)
        assert str(channel.pk) not in text
