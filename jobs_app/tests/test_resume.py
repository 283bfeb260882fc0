import pytest

from jobs_app import pipeline
from jobs_app.states import JobRefused
from ytops.tests import examples

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("older", [False, True], ids=["its first job", "after a failed one"])
def test_a_video_whose_job_runs_has_not_stopped(older: bool) -> None:
    video = examples.video(status="downloading")
    if older:
        examples.job(video, status="failed")
    examples.job(video, status="running")
    with pytest.raises(JobRefused, match='"A pie" has not stopped: its download is running'):
        pipeline.resume(video, by="operator")
    video.refresh_from_db()
    assert video.status == "downloading"


def test_a_video_that_no_job_moves_on_is_taken_back() -> None:
    video = examples.video(status="downloading")
    job = pipeline.resume(video, by="operator")
    assert (video.status, job and job.kind) == ("scraped", "download")
