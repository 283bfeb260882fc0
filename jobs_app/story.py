"""What has become of a video: its own moves and the attempts of its jobs, in one order."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from django.urls import reverse

from jobs_app.models import VideoProcessingJob
from ytops.admin.display import Event, instant

BEGINNING = datetime.min.replace(tzinfo=UTC)


def story(history: Any, jobs: Collection[VideoProcessingJob]) -> list[Event]:
    """Oldest first; whatever stands in the history, in the order of the history.

    Of a job only what the history does not tell: it names the job that moved the video.
    """
    entries = history if isinstance(history, list) else []
    pages = {str(job.pk): job for job in jobs}
    told: dict[str, datetime] = {}  # job, or "" for moves without one → the last time
    latest, found = BEGINNING, []
    for entry in entries:
        event = Event(None, str(entry), "", "")
        if isinstance(entry, dict):
            key = str(entry.get("job") or "")
            what = f"{entry.get('from') or 'new'} → {entry.get('to', '?')}"
            by, why = (str(entry.get(name) or "") for name in ("by", "why"))
            event = Event(entry.get("at", ""), what, by, why, *_link(pages.get(key)))
            latest = max(latest, at := instant(event.at) or BEGINNING)
            told[key] = max(told.get(key, BEGINNING), at)
        found.append((latest, event))
    times = {instant(event.at) for _, event in found}
    for job in jobs:
        last = told.get(str(job.pk), BEGINNING)
        found += [(event.at, event) for event in _asked(job)]
        ends = (event for event in _attempt(job) if event.at > last and event.at not in times)
        found += [(event.at, event) for event in ends]
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def _attempt(job: VideoProcessingJob) -> Iterator[Event]:
    """What a job itself says of its last attempt."""
    link, kind = _link(job), job.get_kind_display()
    if job.started_at:
        why = f"attempt {job.attempts} of {job.max_attempts}"
        yield Event(job.started_at, f"{kind} started", job.who, why, *link)
    if job.finished_at:
        ended = f"{kind} {job.get_status_display()}"
        yield Event(job.finished_at, ended, "", job.error_message, *link)


def _asked(job: VideoProcessingJob) -> Iterator[Event]:
    """That a running job is to be cancelled, which moves no video; a queued one ends at once."""
    if job.cancel_requested_at and job.cancel_requested_at != job.finished_at:
        what = f"{job.get_kind_display()}: cancel asked for"
        yield Event(job.cancel_requested_at, what, "", "", *_link(job))


def _link(job: VideoProcessingJob | None) -> tuple[str, str]:
    if job is None:
        return "", ""
    address = reverse("admin:jobs_app_videoprocessingjob_change", args=[job.pk])
    return address, f"{job.get_kind_display()} job"
