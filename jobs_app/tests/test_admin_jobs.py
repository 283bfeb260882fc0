"""Jobs in the admin: what their pages say, and what an operator does with them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs_app.actions import cancel
from jobs_app.models import VideoProcessingJob
from settings_app.models import SystemConfiguration
from settings_app.tests.threads import at_once
from videos_app.models import Video
from ytops.admin.actions import ActionRefused
from ytops.tests import examples
from ytops.tests.admin_client import in_list, inputs, opened, page, post, press, said, url, words
from ytops.tests.examples import due

Job = VideoProcessingJob
LIST = url(Job, "changelist")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def video(db: None) -> Video:
    return examples.video()


class TestWhatIsShown:
    def test_of_a_running_job(self, video: Video, page_of: Client) -> None:
        soon = timezone.now() + timedelta(seconds=110)
        values = {"progress": 42, "lease_expires_at": soon}
        job = examples.job(video, status="running", **values)
        for address in (LIST, url(job, "change")):
            shown = page(page_of, address)
            assert "running" in shown
            assert "1 of 5" in shown
            assert "bench-01" in shown
            assert "42 %, silent for 3 min of 5 min" in shown

    def test_of_one_whose_lease_is_over(self, video: Video, page_of: Client) -> None:
        over = timezone.now() - timedelta(hours=2)
        job = examples.job(video, status="running", lease_expires_at=over)
        for address in (LIST, url(job, "change")):
            html = page_of.get(address).content.decode()
            assert '<span class="pill bad">stuck</span>' in html
            assert "silent for 2 h of 5 min" in html

    def test_of_one_that_is_asked_to_cancel(self, video: Video, page_of: Client) -> None:
        examples.job(video, status="running", cancel_requested_at=timezone.now())
        html = page_of.get(LIST).content.decode()
        assert '<span class="pill warn">cancelling</span>' in html

    def test_of_one_between_two_attempts(self, video: Video, page_of: Client) -> None:
        at = timezone.now().replace(year=2999, month=11, day=26, hour=17, minute=0)
        examples.job(video, attempts=2, run_at=at, error_message="no disk")
        assert "2 of 5 attempt 3 at 26 Nov 2999, 17:00 UTC no disk" in page(page_of, LIST)

    def test_an_error_is_short_in_the_list_and_whole_on_the_page(
        self, video: Video, page_of: Client
    ) -> None:
        error = "line\n" * 100 + "the end"
        job = examples.job(video, status="failed", error_message=error)
        assert "the end" not in page_of.get(LIST).content.decode()
        assert error in page_of.get(url(job, "change")).content.decode()

    def test_nothing_of_it_is_taken_for_markup(self, page_of: Client) -> None:
        owner = examples.channel(name=HOSTILE)
        video = examples.video(channel=owner, title=HOSTILE)
        job = examples.job(
            video, status="running", error_message=HOSTILE, worker=HOSTILE, attempts=1
        )
        for row in (job, video):
            for address in (url(type(row), "changelist"), url(row, "change")):
                html = page_of.get(address).content.decode()
                assert HOSTILE not in html
                assert "&lt;script&gt;" in html
        assert in_list(page_of, "retry", job) != []
        assert HOSTILE not in page_of.get(LIST).content.decode()

    def test_its_run_is_linked_once_the_repository_is_known(
        self, video: Video, page_of: Client
    ) -> None:
        run = 19_483_384_401
        examples.job(video, status="running", github_workflow_run_id=run)
        assert f"run {run}" in page(page_of, LIST)
        assert "github.com" not in page_of.get(LIST).content.decode()
        SystemConfiguration.objects.filter(key="github.repository").update(value="acme/fleet")
        address = f"https://github.com/acme/fleet/actions/runs/{run}"
        assert f'<a href="{address}"' in page_of.get(LIST).content.decode()

    def test_the_filter_finds_what_is_stuck_or_asked_to_cancel(
        self, video: Video, page_of: Client
    ) -> None:
        over = timezone.now() - timedelta(hours=2)
        stuck = examples.job(video, status="running", lease_expires_at=over)
        asked = examples.job(examples.video(), status="running", cancel_requested_at=timezone.now())
        examples.job(examples.video(), status="running")
        for chosen, expected in (("stuck", stuck), ("cancelling", asked)):
            found = page_of.get(LIST, {"running": chosen})
            assert list(found.context["cl"].result_list) == [expected]
        index = page_of.get("/admin/").content.decode()
        assert f'<a href="{LIST}?running=stuck"><b>1</b>' in index


class TestEditing:
    def test_a_queued_job_is_put_off_and_given_another_priority(
        self, video: Video, page_of: Client
    ) -> None:
        job = due(video)
        form = opened(page_of, job)
        names = {"priority", "run_at_0", "run_at_1", "max_attempts", "backoff_seconds", "_opened"}
        assert form.keys() == names
        changes = {"priority": "7", "run_at_0": "2999-01-02", "max_attempts": "9"}
        assert post(page_of, job, form, **changes).status_code == 302
        job.refresh_from_db()
        assert (job.priority, job.run_at.year, job.max_attempts) == (7, 2999, 9)

    def test_as_many_attempts_as_were_made_are_refused(self, video: Video, page_of: Client) -> None:
        job = examples.job(video, attempts=3)
        refused = post(page_of, job, opened(page_of, job), max_attempts="3")
        assert "It has been tried 3 times: at least 4." in words(refused.content.decode())
        assert post(page_of, job, opened(page_of, job), max_attempts="4").status_code == 302
        job.refresh_from_db()
        assert job.max_attempts == 4
        Job.objects.update(max_attempts=3)  # by other hands
        assert post(page_of, job, opened(page_of, job), priority="7").status_code == 302

    @pytest.mark.parametrize("status", ["running", "succeeded", "failed", "cancelled"])
    def test_another_has_nothing_to_save(self, video: Video, page_of: Client, status: str) -> None:
        job = examples.job(video, status=status)
        html = page_of.get(url(job, "change")).content.decode()
        assert inputs(html).keys() <= {"_opened"}
        assert 'name="_save"' not in html

    def test_what_began_to_run_meanwhile_is_refused(self, video: Video, page_of: Client) -> None:
        job = due(video)
        form = opened(page_of, job)
        Job.objects.claim(worker="bench-01")
        refused = post(page_of, job, form, priority="7")
        assert "This job is running by now" in words(refused.content.decode())
        assert inputs(refused.content.decode())["priority"] == "7"
        job.refresh_from_db()
        assert (job.priority, job.status) == (0, "running")


class TestActions:
    def test_one_is_tried_again_by_one_press(self, video: Video, page_of: Client) -> None:
        job = due(video)
        Job.objects.claim(worker="bench-01")[0].fail("no disk", final=True)
        html = page_of.get(url(job, "change")).content.decode()
        assert [b for b in ("Retry", "Cancel", "Send to review") if f">{b}</button>" in html] == [
            "Retry",
            "Send to review",
        ]
        answer = press(page_of, job, "retry")
        assert (answer.status_code, answer.headers["Location"]) == (302, url(job, "change"))
        assert said(answer) == ["1 processing job: 1 queued."]
        job.refresh_from_db()
        video.refresh_from_db()
        assert (job.status, job.attempts, video.status) == ("queued", 0, "scraped")
        assert video.processing_history[-1]["by"] == "operator"
        assert LogEntry.objects.get(object_id=str(job.pk)).get_change_message() == "Retry: queued."

    def test_many_are_cancelled_and_what_was_refused_is_named(
        self, video: Video, page_of: Client
    ) -> None:
        queued = [examples.job(examples.video(channel=video.channel)) for _ in range(2)]
        running = examples.job(video, kind="transform", status="running")
        ended = [examples.job(video, status="succeeded") for _ in range(7)]
        *first, last = in_list(page_of, "cancel", *queued, running, *ended)
        assert first.pop(0) in (
            "3 processing jobs: 2 cancelled, 1 asked to cancel.",
            "3 processing jobs: 1 asked to cancel, 2 cancelled.",
        )
        assert len(first) == 5
        assert all("is succeeded: it is not queued or running" in reason for reason in first)
        assert last == "2 more were refused."
        assert set(Job.objects.filter(video__status="skipped")) == set(queued)
        assert LogEntry.objects.count() == 3

    def test_a_job_is_asked_to_cancel_once(self, video: Video, page_of: Client) -> None:
        job = examples.job(video, status="running")
        assert said(press(page_of, job, "cancel")) == ["1 processing job: 1 asked to cancel."]
        job.refresh_from_db()
        asked = job.cancel_requested_at
        assert said(press(page_of, job, "cancel"))[-1].endswith("was asked to cancel already.")
        job.refresh_from_db()
        assert job.cancel_requested_at == asked
        assert LogEntry.objects.count() == 1

    def test_one_is_sent_to_review(self, video: Video, page_of: Client) -> None:
        job = due(video)
        assert said(press(page_of, job, "review")) == ["1 processing job: 1 sent to review."]
        video.refresh_from_db()
        assert video.status == "needs_review"

    def test_what_is_in_review_is_not_tried_again_unseen(
        self, video: Video, page_of: Client
    ) -> None:
        job = due(video)
        job.review(by="operator")
        (reason,) = in_list(page_of, "retry", job)
        assert reason == '"A pie" needs a review: say on its page whether it is out.'
        job.refresh_from_db()
        video.refresh_from_db()
        assert (job.status, video.status) == ("failed", "needs_review")
        assert not LogEntry.objects.exists()
        assert ">Retry</button>" not in page_of.get(url(job, "change")).content.decode()

    def test_a_row_that_is_gone_is_no_error(self, video: Video, page_of: Client) -> None:
        job = due(video)
        Job.objects.all().delete()
        assert press(page_of, job, "cancel").status_code == 404
        with pytest.raises(ActionRefused, match="There is no job"):
            cancel(job, "operator")

    def test_nobody_does_it_by_a_link_a_wrong_name_or_from_another_site(
        self, video: Video, page_of: Client, operator: User
    ) -> None:
        job = due(video)
        address = url(job, "change").replace("change/", "do/cancel/")
        answer = page_of.get(address)  # as after a login
        assert (answer.status_code, answer.headers["Location"]) == (302, url(job, "change"))
        assert said(answer) == ["Nothing was done: press the button again."]
        assert press(page_of, job, "no-such").status_code == 404
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(operator)
        assert strict.post(address).status_code == 403
        job.refresh_from_db()
        assert job.status == "queued"

    def test_who_may_only_look_does_nothing(self, video: Video, member: Any) -> None:
        job, viewer = due(video), member("Viewers")
        assert press(viewer, job, "cancel").status_code == 403
        assert ">Cancel</button>" not in viewer.get(url(job, "change")).content.decode()
        assert 'value="cancel"' not in viewer.get(LIST).content.decode()
        in_list(viewer, "cancel", job)
        job.refresh_from_db()
        assert job.status == "queued"


@pytest.mark.django_db(transaction=True)
def test_two_who_press_at_once_do_it_once(operator: User, video: Video) -> None:
    job = examples.job(video, status="failed")
    video.move(Video.Status.DOWNLOADING, by="a test")
    video.move(Video.Status.FAILED, by="a test")

    def retry() -> list[str]:
        client = Client()
        client.force_login(operator)
        return said(press(client, job, "retry"))

    answers = sorted(at_once(2, retry), key=lambda words: len(words[0]))
    assert answers[0] == ["1 processing job: 1 queued."]
    assert "is queued: it is not failed or cancelled" in answers[1][0]
    assert LogEntry.objects.count() == 1
    assert len(Video.objects.get().processing_history) == 3
