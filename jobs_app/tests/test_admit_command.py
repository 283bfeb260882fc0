"""`manage.py admit`: what waits gets its next job, and what does not says why."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import IntegrityError
from django.utils import timezone

from channels_app.models import Channel
from jobs_app import admission, pipeline
from jobs_app.admission import admit_all
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.command import Said, said_by
from settings_app.tests.threads import at_once
from videos_app.models import Video
from ytops.tests import examples

DAILY = {"timezone": "UTC", "slots": {day: ["09:30", "18:00"] for day in ("mon", "thu")}}


def admit(*args: object) -> Said:
    return said_by("admit", *args)


def queued() -> list[tuple[str, str]]:
    jobs = VideoProcessingJob.objects.queued().order_by("created_at", "id")
    return list(jobs.values_list("video__title", "kind"))


@pytest.mark.django_db
class TestWhatWaits:
    @pytest.fixture
    def channel(self) -> Channel:
        return examples.channel(schedule={}, filters={"title_excludes": ["giveaway"]})

    def test_gets_its_next_job_the_oldest_first(self, channel: Channel) -> None:
        channel.save_fields(schedule=DAILY)
        for title, status in (("c", "transformed"), ("b", "downloaded"), ("a", "scraped")):
            examples.video(channel=channel, title=title, status=status)
        now = timezone.now()
        Video.objects.filter(title="a").update(created_at=now - timedelta(days=2))
        Video.objects.filter(title="c").update(created_at=now - timedelta(days=1))
        assert admit() == Said(0, "3 queued, 0 skipped, 0 without a slot", "")
        assert queued() == [("a", "download"), ("c", "publish"), ("b", "transform")]
        assert Video.objects.get(title="c").scheduled_for
        assert admit().out.startswith("0 queued, 0 skipped")

    def test_a_scraped_one_that_the_filters_do_not_let_is_skipped(self, channel: Channel) -> None:
        examples.video(channel=channel, title="A giveaway")
        examples.video(channel=channel, title="A pie")
        assert admit().out == "1 queued, 1 skipped, 0 without a slot"
        skipped = Video.objects.get(status="skipped")
        assert "giveaway" in skipped.processing_history[-1]["why"]
        assert skipped.processing_history[-1]["by"]

    def test_what_rests_for_another_reason_is_left_alone(self, channel: Channel) -> None:
        inactive = examples.channel(name="Baking", is_active=False)
        examples.video(channel=inactive)
        for status in ("downloading", "published", "skipped", "failed", "needs_review"):
            examples.video(channel=channel, status=status)
        examples.job(examples.video(channel=channel))
        before = Video.objects.order_by("pk").values_list("pk", "status")
        assert admit() == Said(0, "0 queued, 0 skipped, 0 without a slot", "")
        assert list(before) == list(before.all())
        assert VideoProcessingJob.objects.count() == 1

    def test_why_there_is_no_slot_is_said_once_a_channel(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Mock(wraps=pipeline.admit)
        monkeypatch.setattr(pipeline, "admit", asked)
        for _ in range(3):
            examples.video(channel=channel, status="transformed")
        at = timezone.now() + timedelta(days=1)
        examples.video(channel=channel, status="transformed", title="has one", scheduled_for=at)
        assert admit().out.splitlines() == [
            "1 queued, 0 skipped, 3 without a slot",
            "3 of Cooking: Cooking has no schedule.",
        ]
        assert queued() == [("has one", "publish")]
        assert asked.call_count == 2

    def test_wrong_filters_stop_no_other_channel_and_hide_nothing(self, channel: Channel) -> None:
        wrong = examples.channel(name="Baking")
        Channel.objects.filter(pk=wrong.pk).update(filters={"min_duration": 3})
        for owner in (wrong, wrong, channel):
            examples.video(channel=owner)
        examples.video(channel=wrong, status="downloaded", title="beyond its filters")
        said = admit()
        assert (said.code, said.out) == (1, "2 queued, 0 skipped, 0 without a slot")
        named, last = said.err.splitlines()
        assert named.startswith('The filters of "Baking" are wrong:')
        assert "min_duration" in named
        assert named.endswith("2 of its scraped videos still wait.")
        assert last.startswith("CommandError: Not all could be admitted")
        assert {title for title, _ in queued()} == {"A pie", "beyond its filters"}

    def test_one_that_the_database_refuses_stops_no_other(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, admit_one = [examples.video(channel=channel) for _ in range(2)], pipeline.admit

        def asked(video: Video, *, by: str) -> VideoProcessingJob | None:
            if video.pk == made[0].pk:
                raise IntegrityError("a slot is taken\nDETAIL: the whole row")
            return admit_one(video, by=by)

        monkeypatch.setattr(pipeline, "admit", asked)
        said = admit()
        assert (said.code, said.out) == (1, "1 queued, 0 skipped, 0 without a slot")
        assert said.err.splitlines() == [
            f"Video {made[0].pk} still waits, the database refused it: a slot is taken",
            "CommandError: Not all could be admitted: try again.",
        ]

    def test_one_channel(self, channel: Channel) -> None:
        other = examples.channel(name="Baking")
        examples.video(channel=other, title="a cake")
        examples.video(channel=channel)
        assert admit("--channel", "Baking").out == "1 queued, 0 skipped, 0 without a slot"
        assert queued() == [("a cake", "download")]

    def test_a_channel_that_is_not_there_or_not_active(self, channel: Channel) -> None:
        said = admit("--channel", "Coking")
        assert (said.code, said.out) == (1, "")
        assert 'The nearest name is "Cooking".' in said.err
        channel.save_fields(is_active=False)
        said = admit("--channel", "Cooking")
        assert (said.code, said.out) == (1, "")
        assert '"Cooking" is not active' in said.err

    def test_in_pages_none_is_left_out_and_none_comes_twice(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admission, "PAGE", 2)
        made = [examples.video(channel=channel) for _ in range(7)]
        Video.objects.filter(pk__in=[video.pk for video in made[2:6]]).update(
            created_at=made[0].created_at
        )
        seen = [video.pk for video in admission.in_pages(Video.objects.all())]
        expected = Video.objects.order_by("created_at", "id").values_list("pk", flat=True)
        assert seen == list(expected)


@pytest.mark.usefixtures("shared")
def test_two_at_once_admit_each_video_once() -> None:
    channel = examples.channel(filters={"title_excludes": ["giveaway"]}, schedule={})
    for number in range(12):
        title = "A giveaway" if number % 3 == 0 else "A pie"
        status = "downloaded" if number % 3 == 1 else "scraped"
        examples.video(channel=channel, title=title, status=status)
    one, other = at_once(2, lambda: admit_all(pipeline.waiting(), by="a test"))
    assert one.queued + other.queued == VideoProcessingJob.objects.queued().count() == 8
    assert one.skipped + other.skipped == Video.objects.filter(status="skipped").count() == 4
    assert all(len(video.processing_history) <= 1 for video in Video.objects.all())
