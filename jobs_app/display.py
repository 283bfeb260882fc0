"""How jobs look in the admin."""

from datetime import datetime, timedelta

from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs_app import conf
from jobs_app.models import VideoProcessingJob
from jobs_app.states import JobStatus
from ytops.admin.display import moment, outside, pill

UNITS = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def span(length: timedelta) -> str:
    """A length of time by its largest unit: "3 min"; what is below zero is "0 s"."""
    seconds = max(int(length.total_seconds()), 0)
    name, unit = next((pair for pair in UNITS if seconds >= pair[1]), UNITS[-1])
    count = seconds // unit
    return f"{count} {name}{'s' if name == 'day' and count > 1 else ''}"


def is_stuck(job: VideoProcessingJob, now: datetime) -> bool:
    expires = job.lease_expires_at
    return job.status == JobStatus.RUNNING and expires is not None and expires < now


def state(job: VideoProcessingJob, now: datetime) -> SafeString:
    if is_stuck(job, now):
        return pill("stuck", "stuck")
    if job.status == JobStatus.RUNNING and job.cancel_requested_at:
        return pill("cancelling", "cancelling")
    return pill(job.status, job.get_status_display())


def silence(job: VideoProcessingJob, now: datetime) -> timedelta:
    """How long its worker has said nothing, if the length of a lease was not changed meanwhile."""
    lease = timedelta(seconds=conf.LEASE_SECONDS.get())
    return now - (job.lease_expires_at or now) + lease


def lease(job: VideoProcessingJob, now: datetime) -> str:
    of = span(timedelta(seconds=conf.LEASE_SECONDS.get()))
    return f"silent for {span(silence(job, now))} of {of}"


def attempts(job: VideoProcessingJob) -> str:
    return f"{job.attempts} of {job.max_attempts}"


def what_next(job: VideoProcessingJob, now: datetime) -> str:
    """The next attempt of a queued job, how a running one does, when another ended."""
    if job.status == JobStatus.RUNNING:
        return f"{job.progress} %, {lease(job, now)}"
    if job.status == JobStatus.QUEUED:
        if job.run_at <= now:
            return f"due for {span(now - job.run_at)}"
        return f"attempt {job.attempts + 1} at {moment(job.run_at)}"
    return f"ended {moment(job.finished_at)}" if job.finished_at else "–"


def github_run(job: VideoProcessingJob) -> SafeString | str:
    run, repository = job.github_workflow_run_id, conf.GITHUB_REPOSITORY.get()
    if not run or not repository:
        return str(run or "–")
    return outside(f"https://github.com/{repository}/actions/runs/", str(run))


def worker(job: VideoProcessingJob) -> SafeString | str:
    if not job.github_workflow_run_id:
        return job.worker or "–"
    return format_html("{}, run {}", job.worker, github_run(job))


def two_lines(first: object, second: object) -> SafeString:
    """What a cell of a list says, and below it what belongs to it, if anything does."""
    return format_html("{}<small>{}</small>", first, second) if second else format_html("{}", first)


def error(job: VideoProcessingJob) -> SafeString | str:
    if not job.error_message:
        return "–"
    return format_html('<pre class="json">{}</pre>', job.error_message)
