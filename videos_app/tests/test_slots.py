import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.models import Channel
from channels_app.schedule import DAYS
from settings_app.tests.threads import at_once, elsewhere
from videos_app import slots
from videos_app.conf import MIN_GAP_MINUTES, POSTS_PER_DAY
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
CAP, GAP = POSTS_PER_DAY.key, MIN_GAP_MINUTES.key
HOURS = [f"{hour:02}:00" for hour in range(24)]
HOURLY = {"timezone": "UTC", "slots": dict.fromkeys(DAYS, HOURS)}


def daily(*times: str, **more: Any) -> dict[str, Any]:
    return {"timezone": "UTC", "slots": {day: list(times) for day in DAYS}, **more}


def cooking(schedule: dict[str, Any], **settings: Any) -> Channel:
    overrides = {key.replace("_", ".", 1): value for key, value in settings.items()}
    return examples.channel(schedule=schedule, settings=overrides)


def scheduled(channel: Channel, at: datetime, **values: Any) -> Video:
    return examples.video(channel=channel, scheduled_for=at, **values)


def free(channel: Channel, count: int = 3) -> list[str]:
    preview = slots.upcoming(channel, NOW, count)
    return [f"{slot.at:%d %H:%M}" for slot, _ in preview.by_free_slot()]


class TestUpcoming:
    def test_ends_with_the_last_free_one_and_shows_what_is_passed_over(self) -> None:
        channel = cooking(daily("10:00", "11:00", "18:00"))
        preview = slots.upcoming(channel, NOW, 3)
        assert [(f"{slot.at:%d %H:%M}", bool(slot.refusal)) for slot in preview.slots] == [
            ("02 10:00", False),
            ("02 11:00", True),
            ("02 18:00", False),
            ("03 10:00", False),
        ]
        assert preview.why_no_more == ""
        assert [len(passed_over) for _, passed_over in preview.by_free_slot()] == [0, 1, 0]

    def test_has_the_cap_and_the_gap_of_the_channel(self) -> None:
        channel = cooking(HOURLY, publish_posts_per_day=3, publish_min_gap_minutes=300)
        assert free(channel, 4) == ["02 01:00", "02 06:00", "02 11:00", "03 00:00"]

    def test_passes_over_what_is_given_away_whatever_became_of_it(self) -> None:
        channel = cooking(daily("18:00"))
        scheduled(channel, NOW.replace(hour=18), status="transformed")
        scheduled(channel, NOW.replace(day=3, hour=18), status="failed")
        scheduled(examples.channel(name="Baking"), NOW.replace(day=4, hour=18))
        assert free(channel, 1) == ["04 18:00"]

    def test_counts_what_was_published_without_a_slot(self) -> None:
        channel = cooking(daily("18:00"), publish_posts_per_day=1)
        examples.video(channel=channel, status="published", published_at=NOW)
        assert free(channel, 1) == ["03 18:00"]

    def test_counts_a_published_video_once_and_when_it_was(self) -> None:
        channel = cooking(daily("12:00", "18:00"), publish_posts_per_day=2)
        at = NOW - timedelta(minutes=5)
        scheduled(channel, NOW, status="published", published_at=NOW + timedelta(minutes=2))
        assert free(channel, 1) == ["02 12:00"]
        found = slots.upcoming(channel, NOW, 2).slots
        assert "its 2 posts" in str(found[1].refusal)
        assert slots.taken(channel, at) == [NOW + timedelta(minutes=2)]

    def test_passes_over_the_slot_of_a_video_that_was_published_earlier(self) -> None:
        """The database takes an instant once a channel."""
        channel = cooking(daily("18:00", "20:00"))
        scheduled(
            channel,
            NOW.replace(hour=18),
            status="published",
            published_at=NOW - timedelta(hours=20),
        )
        assert free(channel, 2) == ["02 20:00", "03 18:00"]

    def test_asks_once_whatever_lies_behind(self) -> None:
        channel = cooking(daily("18:00"))
        for days in range(1, 30):
            at = NOW - timedelta(days=days)
            scheduled(channel, at, status="published", published_at=at)
        free(channel)
        with CaptureQueriesContext(connection) as queries:
            free(channel)
        assert len(queries) == 1
        assert len(slots.taken(channel, NOW)) == 2


class TestWhyNone:
    @pytest.mark.parametrize(
        ("schedule", "said"),
        [
            ({}, "Cooking has no schedule."),
            ({"timezone": "UTC", "slots": {"mon": []}}, "The schedule of Cooking has no slots."),
            (
                daily("18:00", valid_until="2026-11-01"),
                "The schedule of Cooking ended on 2026-11-01.",
            ),
            (
                daily(
                    "18:00", valid_until="2026-11-03", blackout_days=["2026-11-02", "2026-11-03"]
                ),
                "The schedule of Cooking has no free slot until 2026-11-03.",
            ),
            (
                daily("18:00", valid_from="2028-01-01", valid_until="2029-12-31"),
                "Cooking has no free slot within a year: the next one is passed over, ",
            ),
            (
                daily("18:00", valid_from="2028-01-01"),
                "Cooking has no free slot within a year: the next one is passed over, "
                "before valid_from 2028-01-01.",
            ),
            (daily("18:00", timezone="Berlin"), "The schedule of Cooking is wrong: "),
        ],
    )
    def test_says(self, schedule: dict[str, Any], said: str) -> None:
        channel = cooking(schedule)
        assert slots.why_none(channel, NOW).startswith(said)
        preview = slots.upcoming(channel, NOW, 3)
        assert (preview.slots, preview.why_no_more) == ([], slots.why_none(channel, NOW))

    def test_says_that_the_cap_is_zero(self) -> None:
        channel = cooking(daily("18:00"), publish_posts_per_day=0)
        assert slots.why_none(channel) == "publish.posts_per_day of Cooking is 0."

    def test_says_nothing_where_there_is_one(self) -> None:
        assert slots.why_none(cooking(daily("18:00"))) == ""

    def test_says_why_there_are_no_more(self) -> None:
        channel = cooking(daily("18:00", valid_until="2026-11-03"))
        preview = slots.upcoming(channel, NOW, 3)
        assert [slot.refusal for slot in preview.slots] == [None, None]
        assert (
            preview.why_no_more
            == "The schedule of Cooking has no other free slot until 2026-11-03."
        )


@pytest.mark.parametrize(
    "text", ['{"timezone": "Berlin", "slots": {}}', '{"a": ' + "1" * 5000 + "}"]
)
def test_a_schedule_that_was_stored_wrong_assigns_nothing_and_says_so(text: str) -> None:
    video = examples.video()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET schedule = %s", [text])
    channel = Channel.objects.get()
    with transaction.atomic():
        assert slots.assign(video) is None
    assert slots.why_none(channel).startswith("The schedule of Cooking is wrong: ")
    assert slots.upcoming(channel, NOW, 3).slots == []


class TestAssign:
    def test_gives_the_next_free_instant_to_this_video_alone(self) -> None:
        channel = cooking(HOURLY, publish_min_gap_minutes=0, publish_posts_per_day=50)
        video, other = (examples.video(channel=channel) for _ in range(2))
        video.title = "not saved"
        before = timezone.now()
        with transaction.atomic():
            at = slots.assign(video)
        assert at is not None
        assert timedelta(0) < at - before <= timedelta(hours=1, seconds=1)
        assert video.scheduled_for == at
        video.refresh_from_db()
        other.refresh_from_db()
        assert (video.scheduled_for, video.title) == (at, "A pie")
        assert other.scheduled_for is None

    def test_gives_each_the_next_one(self) -> None:
        channel = cooking(daily("10:00", "18:00"))
        with transaction.atomic():
            given = [slots.assign(examples.video(channel=channel)) for _ in range(6)]
        found = slots.upcoming(Channel(schedule=channel.schedule), timezone.now(), 6).slots
        assert given == [slot.at for slot in found if not slot.refusal]

    def test_none_if_there_is_none(self) -> None:
        video = examples.video(channel=cooking({}))
        with transaction.atomic():
            assert slots.assign(video) is None
        video.refresh_from_db()
        assert video.scheduled_for is None

    def test_keeps_a_time_to_come_even_one_that_the_instance_does_not_know(self) -> None:
        channel = cooking(daily("18:00"))
        video = examples.video(channel=channel)
        by_hand = timezone.now() + timedelta(days=40, minutes=7)
        Video.objects.update(scheduled_for=by_hand)
        with transaction.atomic():
            assert slots.assign(video) == by_hand
        assert video.scheduled_for == by_hand

    def test_replaces_a_time_that_was_missed_and_does_not_count_it(self) -> None:
        channel = cooking(HOURLY, publish_posts_per_day=50, publish_min_gap_minutes=50)
        missed = timezone.now() - timedelta(minutes=20)
        video = scheduled(channel, missed)
        with transaction.atomic():
            at = slots.assign(video)
        assert at is not None
        assert timedelta(0) < at - timezone.now() <= timedelta(hours=1)

    def test_reads_the_channel_of_now_and_not_that_of_the_instance(self) -> None:
        video = examples.video(channel=cooking({}))
        Channel.objects.update(schedule=daily("18:00"), settings={CAP: 1})
        with transaction.atomic():
            at = slots.assign(video)
            assert at is not None
            assert slots.assign(examples.video(channel=video.channel)) == at + timedelta(days=1)

    def test_asks_three_times(self) -> None:
        video = examples.video(channel=cooking(daily("18:00")))
        slots.why_none(video.channel)  # the configuration is read
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            slots.assign(video)
        verbs = [query["sql"].split()[0] for query in queries.captured_queries]
        assert verbs == ["SELECT", "SELECT", "UPDATE"]

    def test_what_is_assigned_does_not_move_when_the_schedule_is_edited(self) -> None:
        channel = cooking(daily("18:00", jitter_minutes=9))
        videos = [examples.video(channel=channel) for _ in range(3)]
        with transaction.atomic():
            given = [slots.assign(video) for video in videos]
        for edited in (daily("06:00"), {}, daily("25:00"), daily("18:00", timezone="Asia/Tokyo")):
            channel.save_fields(schedule=edited, settings={CAP: 1, GAP: 1440})
            stored = Video.objects.order_by("created_at").values_list("scheduled_for", flat=True)
            assert list(stored) == given
            with transaction.atomic():
                assert [slots.assign(video) for video in videos] == given


@pytest.mark.usefixtures("committing")
class TestByMany:
    """Real transactions, each on a connection of its own."""

    @pytest.fixture(autouse=True)
    def _taken_away_afterwards(self, committing: None) -> Any:
        yield
        Channel.objects.all().delete()

    def test_outside_of_a_transaction_it_is_refused(self) -> None:
        video = examples.video()
        with pytest.raises(TransactionManagementError, match="in a transaction only"):
            slots.assign(video)

    @pytest.mark.parametrize("same", [False, True], ids=["other_videos", "the_same_video"])
    def test_at_once_never_give_out_the_same_instant(self, same: bool) -> None:
        channel = cooking(HOURLY, publish_posts_per_day=4, publish_min_gap_minutes=60)
        count = 24 if os.environ.get("YTOPS_PROVE") == "1" else 8
        videos = [examples.video(channel=channel) for _ in range(1 if same else count)]
        waiting = iter(videos * count)

        @transaction.atomic
        def give() -> datetime | None:
            return slots.assign(next(waiting))

        given = at_once(count, give)
        stored = Video.objects.values_list("scheduled_for", flat=True)
        assert set(given) == set(stored)
        assert None not in given
        assert len(set(given)) == len(videos)

    def test_what_is_rolled_back_is_free_again(self) -> None:
        channel = cooking(daily("18:00"))
        video, other = (examples.video(channel=channel) for _ in range(2))
        with transaction.atomic():
            first = slots.assign(video)
            transaction.set_rollback(True)
        with transaction.atomic():
            assert slots.assign(other) == first

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
    def test_rows_that_refer_to_the_channel_are_not_held_up(self) -> None:
        video = examples.video(channel=cooking(daily("18:00")))
        with transaction.atomic():
            slots.assign(video)
            channel = video.channel

            @transaction.atomic
            def add() -> Any:
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '2s'")
                return examples.video(channel=channel).pk

            assert elsewhere(add)
