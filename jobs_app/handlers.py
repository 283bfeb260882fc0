"""What does the work of jobs: plain functions, each registered for a kind of job.

    @handles("transform")
    def transform(work: Work) -> dict[str, Any]:
        …
        work.progress(50)
        …
        return {"file": path}

What it returns, JSON, becomes the job's result; a publication's needs "youtube_video_id". Any
exception fails the attempt. Of a publication that means that its outcome is not known: a person has
to look, unless `RetryLater` or `Final` says that it is surely not out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channels_app.models import Channel, Music
from jobs_app.briefing import settings_of
from jobs_app.models import VideoProcessingJob
from jobs_app.states import JobKind
from videos_app.models import Video
from ytops.db.nearest import did_you_mean

LONGEST_WAIT = 365 * 24 * 3600  # seconds


class RetryLater(Exception):
    """Raised by a handler: try again in so many seconds, if an attempt is left."""

    def __init__(self, seconds: float, why: str) -> None:
        if not 0 <= seconds <= LONGEST_WAIT:
            raise ValueError(f"expected seconds from 0 to {LONGEST_WAIT}, not {seconds}")
        super().__init__(why)
        self.seconds = seconds


class Final(Exception):
    """Raised by a handler: no other attempt would help."""


class Cancelled(Exception):
    """Raised by `progress()` when an operator has cancelled the job."""


@dataclass
class Work:
    """A job as its handler sees it."""

    job: VideoProcessingJob
    # Tells the heartbeat.
    report: Callable[[int], None]

    @property
    def video(self) -> Video:
        return self.job.video

    @property
    def channel(self) -> Channel:
        return self.video.channel

    @property
    def music(self) -> Music | None:
        return self.video.music

    @property
    def settings(self) -> dict[str, Any]:
        """By key, every setting that a channel can override, as it holds for this one now."""
        return settings_of(self.channel)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the preset of the video, or else of its channel; empty without one."""
        preset = self.video.preset_in_force
        found: dict[str, Any] = preset.parameters if preset else {}
        return found

    def progress(self, percent: float) -> None:
        """Say how far it is, as often as you like. Cancelled, LeaseLost: end the work then."""
        self.report(max(0, min(100, int(percent))))


Handler = Callable[[Work], dict[str, Any] | None]
_registered: dict[str, Handler] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register a function for a kind of job; ImproperlyConfigured for a second one."""
    if kind not in JobKind.values:
        raise ImproperlyConfigured(
            f'@handles("{kind}"): there is no such kind of job.{did_you_mean(kind, JobKind.values)}'
        )

    def register(handler: Handler) -> Handler:
        other = _registered.setdefault(kind, handler)
        if other is not handler:
            raise ImproperlyConfigured(
                f'@handles("{kind}"): {other.__module__}.{other.__qualname__} does that already.'
            )
        return handler

    return register


def registered() -> dict[str, Handler]:
    return dict(_registered)


def load() -> None:
    """Import the modules of JOB_HANDLERS, which register their handlers; ImproperlyConfigured."""
    for name in settings.JOB_HANDLERS:
        try:
            import_module(name)
        except Exception as error:
            raise ImproperlyConfigured(
                f"JOB_HANDLERS names {name!r}, which cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
