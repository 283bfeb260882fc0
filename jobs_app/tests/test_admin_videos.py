"""A video's page: its story, what an operator does with it, and the review of a publication."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from jobs_app import conf
from jobs_app.actions import youtube_id
from jobs_app.models import VideoProcessingJob
from settings_app import changes
from settings_app.models import SystemConfiguration, Through
from settings_app.tests.threads import at_once
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.admin_client import in_list, opened, page, post, press, said, url, words
from ytops.tests.examples import due

ID = "D-lhorsDlUQ"
OTHER_ID = "aaaaaaaaaa1"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def video(db: None) -> Video:
    return examples.video()


@pytest.fixture
def doubtful(db: None) -> Video:
    """Whether it is out is not known."""
    due = timezone.now() - timedelta(minutes=1)
    video = examples.video(status="transformed", scheduled_for=due)
    examples.job(video, kind="publish", run_at=due)
    (job,) = VideoProcessingJob.objects.claim(worker="bench-01")
    job.fail("connection reset")
    video.refresh_from_db()
    assert video.status == "needs_review"
    return video


class TestItsPage:
    def test_says_why_it_is_not_moving(self, video: Video, page_of: Client) -> None:
        shown = page(page_of, url(video, "change"))
        assert "Now scraped Waits to be admitted" in shown

    def test_tells_its_story_in_order(self, video: Video, page_of: Client) -> None:
        job = due(video)
        (running,) = VideoProcessingJob.objects.claim(worker="bench-01")
        job.cancel(by="operator")
        running.fail("<b>no disk")
        html = page_of.get(url(video, "change")).content.decode()
        story = page(page_of, url(video, "change")).partition("Its story ")[2]
        expected = (
            "scraped → downloading worker bench-01 download job attempt 1 of 5",
            "download: cancel asked for download job",
            "downloading → scraped worker bench-01 download job <b>no disk",
            "scraped → skipped worker bench-01 download job its download was cancelled",
        )
        places = [story.index(words) for words in expected]
        assert places == sorted(places)
        assert story.partition(" Jobs ")[0].count(" UTC ") == len(expected)
        assert f'<a href="{url(job, "change")}">download job</a>' in html

    def test_tells_what_a_job_alone_knows(self, video: Video, page_of: Client) -> None:
        at = datetime(2026, 1, 2, 10, tzinfo=UTC)
        ends = {"finished_at": at + timedelta(hours=1), "error_message": "no disk"}
        examples.job(video, status="failed", started_at=at, worker="w1", attempts=1, **ends)
        story = page(page_of, url(video, "change")).partition("Its story ")[2]
        assert "2 Jan 2026, 10:00 UTC download started worker w1 download job attempt 1" in story
        assert "2 Jan 2026, 11:00 UTC download failed download job no disk" in story

    @pytest.mark.parametrize("at", ["2026-03-01T12:00:00+00:00", "soon", None, 3, "9999"])
    def test_opens_whatever_stands_in_the_history(
        self, video: Video, page_of: Client, at: Any
    ) -> None:
        examples.job(video, status="failed", finished_at=timezone.now())
        entry = {"from": "scraped", "to": "failed", "at": at, "why": "<b>", "by": [1], "job": {}}
        history = [entry, "odd", {"to": 3}, entry | {"at": "2026-03-01T12:00:00"}]
        Video._base_manager.filter(pk=video.pk).update(processing_history=history)
        html = page_of.get(url(video, "change")).content.decode()
        assert "scraped → failed" in html
        assert "new → 3" in html
        assert "&lt;b&gt;" in html
        assert ("1 Mar 2026, 12:00 UTC" in html) is (at == "2026-03-01T12:00:00+00:00")

    def test_who_may_see_no_jobs_sees_the_moves_alone(self, video: Video, client: Client) -> None:
        job = due(video)
        VideoProcessingJob.objects.claim(worker="bench-01")
        staff = User.objects.create_user("staff", password="x", is_staff=True)
        staff.user_permissions.add(Permission.objects.get(codename="view_video"))
        client.force_login(staff)
        html = client.get(url(video, "change")).content.decode()
        assert "scraped → downloading" in html
        assert str(job.pk) not in html

    def test_shows_the_slot_in_the_zone_of_its_channel(self, page_of: Client) -> None:
        owner = examples.channel(schedule={"timezone": "Asia/Tokyo", "slots": {}})
        at = datetime(2026, 11, 26, 17, tzinfo=UTC)
        video = examples.video(channel=owner, scheduled_for=at)
        shown = page(page_of, url(video, "change"))
        assert "Fri 27 Nov 2026, 02:00 Asia/Tokyo (26 Nov 2026, 17:00 UTC)" in shown


class TestItsSlot:
    def test_is_moved_with_its_publication(self, page_of: Client) -> None:
        at = datetime(2999, 11, 26, 17, tzinfo=UTC)
        video = examples.video(status="transformed", scheduled_for=at)
        job = examples.job(video, kind="publish", run_at=at)
        form = opened(page_of, video)
        assert post(page_of, video, form, scheduled_for_0="2999-11-25").status_code == 302
        job.refresh_from_db()
        assert job.run_at == at - timedelta(days=1)

    @pytest.mark.parametrize("status", ["published", "skipped"])
    def test_of_what_is_over_is_not_edited(self, page_of: Client, status: str) -> None:
        video = examples.video(status=status, scheduled_for=timezone.now())
        assert "scheduled_for_0" not in opened(page_of, video)

    def test_is_refused_if_it_was_over_meanwhile(self, video: Video, page_of: Client) -> None:
        form = opened(page_of, video)
        video.move(Video.Status.SKIPPED, by="somebody")
        late = {"scheduled_for_0": "2999-11-25", "scheduled_for_1": "10:00"}
        refused = post(page_of, video, form, **late)
        assert "This video is skipped by now" in refused.content.decode()
        assert post(page_of, video, form, title="Renamed").status_code == 302
        video.refresh_from_db()
        assert (video.title, video.scheduled_for) == ("Renamed", None)


REVIEW = ["It is out, as this video", "It is not: queue it again"]


def buttons(html: str) -> list[str]:
    return re.findall(r"<button[^>]*>([^<]+)</button>", html.partition('id="content"')[2])


class TestActions:
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("scraped", ["Admit"]),
            ("downloading", ["Retry"]),
            ("downloaded", ["Admit"]),
            ("transforming", ["Retry"]),
            ("transformed", ["Admit"]),
            ("publishing", ["Retry"]),
            ("published", []),
            ("failed", ["Retry"]),
            ("skipped", ["Retry"]),
            ("needs_review", REVIEW),  # nothing tells that it is not out
        ],
    )
    def test_the_buttons_of_a_video_without_a_job(
        self, page_of: Client, status: str, expected: list[str]
    ) -> None:
        video = examples.video(status=status)
        assert buttons(page_of.get(url(video, "change")).content.decode()) == expected

    def test_the_buttons_of_one_in_doubt_and_of_one_with_a_job(
        self, doubtful: Video, video: Video, member: Any
    ) -> None:
        operators = member("Operators")
        assert buttons(operators.get(url(doubtful, "change")).content.decode()) == REVIEW
        due(video)
        assert buttons(operators.get(url(video, "change")).content.decode()) == []

    def test_one_is_admitted(self, video: Video, page_of: Client) -> None:
        assert ">Admit</button>" in page_of.get(url(video, "change")).content.decode()
        assert said(press(page_of, video, "admit")) == ["1 video: 1 queued."]
        assert video.jobs.get().status == "queued"
        assert ">Admit</button>" not in page_of.get(url(video, "change")).content.decode()
        (reason,) = said(press(page_of, video, "admit"))
        assert reason.startswith('"A pie" does not wait to be admitted: waits for a worker')
        assert LogEntry.objects.count() == 1

    def test_many_are_admitted_each_for_itself(self, page_of: Client) -> None:
        strict = examples.channel(filters={"min_views": 5})
        wrong = examples.channel(name="Odd", filters={"min_vews": 5})
        bare = examples.channel(name="Bare", schedule={})
        rows = [
            examples.video(),
            examples.video(channel=strict, metadata={"views_at_source": 1}),
            examples.video(channel=wrong),
            examples.video(channel=bare, status="transformed"),
        ]
        done, refused = in_list(page_of, "admit", *rows)
        assert done.startswith("3 videos: ")
        for outcome in ("1 queued", "1 skipped", "1 waits for a slot of its channel"):
            assert outcome in done
        assert 'The filters of "Odd" are wrong' in refused
        statuses = [Video.objects.get(pk=row.pk).status for row in rows]
        assert statuses == ["scraped", "skipped", "scraped", "transformed"]

    def test_one_that_failed_is_tried_again(self, video: Video, page_of: Client) -> None:
        due(video)
        VideoProcessingJob.objects.claim(worker="bench-01")[0].fail("no disk", final=True)
        assert ">Retry</button>" in page_of.get(url(video, "change")).content.decode()
        assert said(press(page_of, video, "retry_video")) == ["1 video: 1 queued."]
        video.refresh_from_db()
        assert video.status == "scraped"
        (reason,) = said(press(page_of, video, "retry_video"))[1:]
        assert reason == '"A pie" has not stopped: its download is queued.'

    def test_the_list_tries_nothing_again_that_is_in_review(
        self, doubtful: Video, page_of: Client
    ) -> None:
        (reason,) = in_list(page_of, "retry_video", doubtful)
        assert "needs a review" in reason
        doubtful.refresh_from_db()
        assert (doubtful.status, doubtful.jobs.get().status) == ("needs_review", "failed")

    def test_a_broken_row_is_no_error(self, page_of: Client) -> None:
        video = examples.video(status="failed")
        examples.job(video, kind="download")
        assert "its download is queued" in in_list(page_of, "retry_video", video)[0]


class TestTheReview:
    def test_is_asked_for_where_it_is_needed(
        self, doubtful: Video, video: Video, page_of: Client
    ) -> None:
        assert "Is it on YouTube?" in page(page_of, url(doubtful, "change"))
        assert "Is it on YouTube?" not in page(page_of, url(video, "change"))

    @pytest.mark.parametrize(
        "typed",
        [
            ID,
            f"  {ID}\n",
            f"https://www.youtube.com/watch?v={ID}",
            f"https://m.youtube.com/watch?list=PL1&v={ID}&t=3",
            f"youtube.com/shorts/{ID}?feature=share",
            f"https://youtu.be/{ID}?si=x",
            f"https://studio.youtube.com/video/{ID}/edit",
        ],
    )
    def test_takes_an_id_or_an_address(self, typed: str) -> None:
        assert youtube_id(typed) == ID

    @pytest.mark.parametrize("typed", [f"https://evil.example/watch?v={ID}", "youtu.be/", "x y"])
    def test_takes_any_other_text_as_it_is(self, typed: str) -> None:
        assert youtube_id(typed) == typed

    def test_it_is_out(self, doubtful: Video, page_of: Client, video: Video) -> None:
        answer = press(page_of, doubtful, "confirm", youtube=f"https://youtu.be/{ID}")
        assert answer.headers["Location"] == url(doubtful, "change")
        assert said(answer) == ["1 video: 1 published."]
        doubtful.refresh_from_db()
        assert (doubtful.status, doubtful.youtube_video_id) == ("published", ID)
        assert doubtful.processing_history[-1]["by"] == "operator"
        entry = LogEntry.objects.get(object_id=str(doubtful.pk))
        assert entry.get_change_message() == "It is out: published."
        (reason,) = said(press(page_of, doubtful, "confirm", youtube=OTHER_ID))[1:]
        assert "is published: it waits for no review." in reason
        doubtful.refresh_from_db()
        assert doubtful.youtube_video_id == ID

    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            ("", "11 letters"),
            ("no id", "11 letters"),
            (HOSTILE, "11 letters"),
            ("x" * 2000, "11 letters"),
            (OTHER_ID, f"{OTHER_ID} is the YouTube video of &quot;Another&quot;"),
            (f"https://youtu.be/{OTHER_ID}", f"{OTHER_ID} is the YouTube video of"),
        ],
    )
    def test_what_cannot_be_it_is_said_beside_the_field_and_stays(
        self, doubtful: Video, page_of: Client, typed: str, expected: str
    ) -> None:
        examples.video(title="Another", status="published", youtube_video_id=OTHER_ID)
        answer = press(page_of, doubtful, "confirm", youtube=typed)
        html = page_of.get(answer.headers["Location"]).content.decode()
        form = html.partition('class="review"')[2].partition("</form>")[0]
        assert expected in form.partition("</ul>")[0]
        assert HOSTILE not in html
        if typed.isalnum():
            assert f'value="{typed[:500]}"' in form
        doubtful.refresh_from_db()
        assert doubtful.status == "needs_review"
        assert not LogEntry.objects.exists()

    def test_it_is_not_out(self, doubtful: Video, page_of: Client) -> None:
        assert said(press(page_of, doubtful, "queue_again")) == ["1 video: 1 queued."]
        doubtful.refresh_from_db()
        job = doubtful.jobs.get()
        assert (doubtful.status, job.status, job.attempts) == ("transformed", "queued", 0)
        assert doubtful.scheduled_for == job.run_at
        assert doubtful.scheduled_for is not None
        assert doubtful.scheduled_for > timezone.now()

    def test_is_for_those_who_may_change_videos(self, doubtful: Video, member: Any) -> None:
        viewer = member("Viewers")
        assert "Is it on YouTube?" not in page(viewer, url(doubtful, "change"))
        for name in ("confirm", "queue_again"):
            assert press(viewer, doubtful, name, youtube=ID).status_code == 403

    def test_of_what_was_never_publishing_only_to_queue_it_again_is_offered(
        self, video: Video, page_of: Client
    ) -> None:
        job = due(video)
        job.review(by="operator")
        html = page_of.get(url(video, "change")).content.decode()
        assert "Is it on YouTube?" not in html
        assert "before its publication began, so it is not on YouTube" in words(html)
        assert buttons(html) == ["Queue it again"]
        assert said(press(page_of, video, "queue_again")) == ["1 video: 1 queued."]
        video.refresh_from_db()
        job.refresh_from_db()
        assert (video.status, job.status) == ("scraped", "queued")

    def test_a_failed_one_is_not_queued_again_as_if_it_had_been_in_review(
        self, page_of: Client
    ) -> None:
        video = examples.video(status="failed")
        (reason,) = said(press(page_of, video, "queue_again"))
        assert reason == '"A pie" is failed: it waits for no review.'
        video.refresh_from_db()
        assert video.status == "failed"


@pytest.mark.django_db(transaction=True)
def test_of_two_opposite_answers_at_once_one_holds(operator: User, doubtful: Video) -> None:
    answers = iter([("confirm", {"youtube": ID}), ("queue_again", {})])

    def answer() -> list[str]:
        name, typed = next(answers)
        client = Client()
        client.force_login(operator)
        return said(press(client, doubtful, name, **typed))

    said_to_both = [words for (words,) in at_once(2, answer)]
    doubtful.refresh_from_db()
    done = "1 video: 1 published." if doubtful.status == "published" else "1 video: 1 queued."
    assert said_to_both.count(done) == 1
    assert sum(words.startswith("1 video") for words in said_to_both) == 1
    assert LogEntry.objects.count() == 1


class TestThePause:
    def test_is_said_on_the_index_page_with_who_set_it(self, page_of: Client) -> None:
        assert "The fleet is paused" not in page(page_of, "/admin/")
        changes.change(conf.PAUSED, True, by="night shift", through=Through.ADMIN)
        shown = page(page_of, "/admin/")
        assert "The fleet is paused No job is started while jobs.paused is on." in shown
        assert "It is set in the database by night shift" in shown
        row = SystemConfiguration.objects.get(key="jobs.paused")
        assert url(row, "change") in page_of.get("/admin/").content.decode()
