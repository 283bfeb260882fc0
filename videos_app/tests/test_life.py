"""Where a video may go, and what a move leaves behind."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs_app.models import VideoProcessingJob
from settings_app.tests.threads import at_once, elsewhere
from videos_app.life import MOVES, RESTING, MoveRefused, VideoStatus
from videos_app.models import Video
from ytops.tests import examples

pytestmark = pytest.mark.django_db
S = VideoStatus


def stored(video: Video) -> Video:
    return Video.objects.get(pk=video.pk)


def row(video: Video) -> tuple[Any, ...]:
    return Video.objects.values_list().get(pk=video.pk)


def now_of_the_database() -> datetime:
    now: datetime = Video.objects.annotate(now=Now()).values_list("now", flat=True)[0]
    return now


class TestTheTable:
    def test_every_status_is_in_it(self) -> None:
        assert set(MOVES) == set(VideoStatus)

    def test_is_what_the_fleet_lives_by(self) -> None:
        """Told once more, as a person would, so that a slip in the table is seen."""
        way = [
            *(S.SCRAPED, S.DOWNLOADING, S.DOWNLOADED, S.TRANSFORMING, S.TRANSFORMED),
            *(S.PUBLISHING, S.PUBLISHED),
        ]
        assert all(after in MOVES[before] for before, after in pairwise(way))
        assert MOVES[S.PUBLISHED] == ()  # it is out: nothing takes that back
        assert {at for at in S if S.PUBLISHED in MOVES[at]} == {S.PUBLISHING, S.NEEDS_REVIEW}
        assert {at for at in S if S.PUBLISHING in MOVES[at]} == {S.TRANSFORMED}
        assert S.SKIPPED not in MOVES[S.PUBLISHING]
        for stopped in (S.SKIPPED, S.FAILED, S.NEEDS_REVIEW):
            assert set(RESTING) <= set(MOVES[stopped])

    @pytest.mark.parametrize("at", VideoStatus)
    def test_decides(self, at: VideoStatus) -> None:
        channel = examples.channel()
        for to in VideoStatus:
            video = examples.video(channel=channel, status=at)
            before = row(video)
            if to not in MOVES[at]:
                with pytest.raises(MoveRefused, match=f"from {at.value} to {to.value}"):
                    video.move(to, by="an operator")
                assert row(video) == before
                assert video.status == at
                continue
            video.move(to, by="an operator")
            assert (video.status, stored(video).status) == (to, to)
            entry = only_entry(stored(video))
            assert (entry["from"], entry["to"]) == (at.value, to.value)


def only_entry(video: Video) -> dict[str, Any]:
    (entry,) = video.processing_history
    found: dict[str, Any] = entry
    return found


class TestAMove:
    def test_tells_who_why_and_for_which_job(self) -> None:
        video = examples.video()
        examples.job(video)
        (job,) = VideoProcessingJob.objects.claim(worker="w1")
        entry = only_entry(stored(video))
        assert sorted(entry) == ["at", "by", "from", "job", "to", "why"]
        assert (entry["by"], entry["why"]) == ("worker w1", "attempt 1 of 5")
        assert entry["job"] == str(job.pk)

    def test_without_a_job_names_none(self) -> None:
        video = examples.video()
        video.move(S.SKIPPED, by="an operator", why='100 %s of it\'s "due" – \\ ½')
        assert only_entry(video).keys() == {"from", "to", "by", "why", "at"}
        assert only_entry(video)["why"] == '100 %s of it\'s "due" – \\ ½'

    def test_writes_other_fields_with_it(self) -> None:
        video = examples.video(status="publishing", scheduled_for=timezone.now())
        video.move(S.PUBLISHED, by="w", youtube_video_id="D-lhorsDlUQ", scheduled_for=None)
        found = stored(video)
        assert (found.youtube_video_id, found.scheduled_for) == ("D-lhorsDlUQ", None)
        assert (video.youtube_video_id, video.scheduled_for) == ("D-lhorsDlUQ", None)

    def test_that_is_not_allowed_names_what_is(self) -> None:
        with pytest.raises(MoveRefused, match='"A pie" cannot go from scraped to published') as no:
            examples.video(title="A pie").move(S.PUBLISHED, by="w")
        assert "it can go to: downloading, skipped, needs_review." in str(no.value)
        with pytest.raises(MoveRefused, match="that is its end"):
            examples.video(status="published").move(S.SCRAPED, by="w")

    def test_that_comes_too_late_says_where_the_video_is(self) -> None:
        video = examples.video(title="A pie")
        stored(video).move(S.SKIPPED, by="an operator")
        before = row(video)
        said = '"A pie" was to go from scraped to downloading, but it is skipped'
        with pytest.raises(MoveRefused, match=said):
            video.move(S.DOWNLOADING, by="w")
        assert row(video) == before
        assert video.status == S.SCRAPED

    def test_of_a_video_that_is_gone_says_so(self) -> None:
        video = examples.video()
        stored(video).delete()
        with pytest.raises(MoveRefused, match="but it is gone"):
            video.move(S.DOWNLOADING, by="w")

    def test_that_is_rolled_back_leaves_nothing(self) -> None:
        video = examples.video()
        before = row(video)
        with transaction.atomic():
            video.move(S.DOWNLOADING, by="w")
            transaction.set_rollback(True)
        assert row(video) == before

    def test_is_one_statement(self, django_assert_num_queries: Any) -> None:
        video = examples.video()
        with django_assert_num_queries(1):
            video.move(S.DOWNLOADING, by="w")

    def test_has_the_time_of_the_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the clock of the process says."""
        video, ahead = examples.video(), timedelta(hours=1)
        real, real_time = timezone.now, time.time
        steps = [S.DOWNLOADING, S.DOWNLOADED, S.TRANSFORMING, S.TRANSFORMED]
        for step, off in zip(steps, (ahead, -ahead, ahead, -ahead), strict=True):
            monkeypatch.setattr(timezone, "now", lambda off=off: real() + off)
            monkeypatch.setattr(time, "time", lambda off=off: real_time() + off.total_seconds())
            before = now_of_the_database()
            video.move(step, by="w")
            at = datetime.fromisoformat(video.processing_history[-1]["at"])
            assert timedelta(0) <= at - before < timedelta(seconds=30)
        times = [entry["at"] for entry in stored(video).processing_history]
        assert times == sorted(times)
        assert all(time.endswith("+00:00") for time in times)


class TestWhereItRests:
    @pytest.mark.parametrize("reached", RESTING)
    @pytest.mark.parametrize("at", [S.FAILED, S.SKIPPED, S.NEEDS_REVIEW])
    def test_is_the_last_status_between_two_jobs(
        self, reached: VideoStatus, at: VideoStatus
    ) -> None:
        steps = [S.DOWNLOADING, S.DOWNLOADED, S.TRANSFORMING, S.TRANSFORMED]
        video = examples.video()
        for step in steps[: RESTING.index(reached) * 2]:
            video.move(step, by="w")
        assert video.rests_at == reached
        during = {S.SCRAPED: S.DOWNLOADING, S.DOWNLOADED: S.TRANSFORMING}
        if at in MOVES[following := during.get(reached, S.PUBLISHING)]:
            video.move(following, by="w")
        video.move(at, by="w")
        assert stored(video).rests_at == reached

    @pytest.mark.parametrize("reached", RESTING)
    def test_is_known_of_a_video_that_came_in_half_way(self, reached: VideoStatus) -> None:
        """As an import of another system makes it: with a status, and no history before it."""
        video = examples.video(status=reached)
        assert video.rests_at == reached
        video.move(S.NEEDS_REVIEW, by="an operator")
        assert stored(video).rests_at == reached


class TestByMany:
    """Real transactions, each on a connection of its own."""

    @pytest.fixture
    def video(self, committing: None) -> Iterator[Video]:
        channel = examples.channel()
        yield examples.video(channel=channel)
        channel.delete()

    def test_of_the_same_moves_at_once_one_wins(self, video: Video) -> None:
        def move() -> str:
            try:
                stored(video).move(S.DOWNLOADING, by="w")
            except MoveRefused as refusal:
                return str(refusal)
            return ""

        said = at_once(8, move)
        assert said.count("") == 1
        assert all("from downloading" in text or "is downloading" in text for text in said if text)
        assert only_entry(stored(video))["to"] == "downloading"

    def test_the_loser_has_waited_for_the_winner(self, video: Video) -> None:
        late = stored(video)
        elsewhere(lambda: stored(video).move(S.SKIPPED, by="an operator"))
        with pytest.raises(MoveRefused, match="from scraped to downloading, but it is skipped"):
            late.move(S.DOWNLOADING, by="w")
        assert only_entry(stored(video))["by"] == "an operator"

    def test_no_entry_is_lost_when_many_append(self, video: Video) -> None:
        def back_and_forth() -> int:
            done = 0
            for _ in range(10):
                mine = stored(video)
                try:
                    mine.move(S.SCRAPED if mine.status == S.SKIPPED else S.SKIPPED, by="w")
                    done += 1
                except MoveRefused:
                    pass
            return done

        moves = sum(at_once(4, back_and_forth))
        history = stored(video).processing_history
        assert len(history) == moves >= 10
        assert history[0]["from"] == "scraped"
        for before, after in pairwise(history):
            assert before["to"] == after["from"]
            assert before["at"] <= after["at"]
