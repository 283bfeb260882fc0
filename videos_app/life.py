"""The life of a video: the one place that says which moves are allowed."""

from typing import Any

from django.db import models


class VideoStatus(models.TextChoices):
    SCRAPED = "scraped", "scraped"
    DOWNLOADING = "downloading", "downloading"
    DOWNLOADED = "downloaded", "downloaded"
    TRANSFORMING = "transforming", "transforming"
    TRANSFORMED = "transformed", "transformed"
    PUBLISHING = "publishing", "publishing"
    PUBLISHED = "published", "published"
    SKIPPED = "skipped", "skipped"
    FAILED = "failed", "failed"
    NEEDS_REVIEW = "needs_review", "needs review"


S = VideoStatus
# Where a video rests between two jobs: what was reached stays reached.
RESTING = (S.SCRAPED, S.DOWNLOADED, S.TRANSFORMED)
# And where it rested before a job that is under way.
BEFORE = {
    S.DOWNLOADING: S.SCRAPED,
    S.TRANSFORMING: S.DOWNLOADED,
    S.PUBLISHING: S.TRANSFORMED,
}
MOVES: dict[VideoStatus, tuple[VideoStatus, ...]] = {
    S.SCRAPED: (S.DOWNLOADING, S.SKIPPED, S.NEEDS_REVIEW),
    S.DOWNLOADING: (S.DOWNLOADED, S.SCRAPED, S.FAILED, S.SKIPPED, S.NEEDS_REVIEW),
    S.DOWNLOADED: (S.TRANSFORMING, S.SKIPPED, S.NEEDS_REVIEW),
    S.TRANSFORMING: (S.TRANSFORMED, S.DOWNLOADED, S.FAILED, S.SKIPPED, S.NEEDS_REVIEW),
    S.TRANSFORMED: (S.PUBLISHING, S.SKIPPED, S.NEEDS_REVIEW),
    # Never skipped: it may be out.
    S.PUBLISHING: (S.PUBLISHED, S.TRANSFORMED, S.FAILED, S.NEEDS_REVIEW),
    S.PUBLISHED: (),
    S.SKIPPED: RESTING,
    S.FAILED: (*RESTING, S.SKIPPED, S.NEEDS_REVIEW),
    S.NEEDS_REVIEW: (S.PUBLISHED, *RESTING),
}


class MoveRefused(Exception):
    """A move that the table does not have, or that came too late; nothing has changed."""


def refusal(video: Any, start: VideoStatus, to: VideoStatus) -> MoveRefused:
    """Why this video, as it is now, was not moved."""
    if video is None:
        return MoveRefused(f"A video was to go from {start} to {to}, but it is gone.")
    if to not in MOVES[start]:
        expected = ", ".join(MOVES[start]) or "nowhere: that is its end"
        return MoveRefused(f'"{video}" cannot go from {start} to {to}; it can go to: {expected}.')
    return MoveRefused(f'"{video}" was to go from {start} to {to}, but it is {video.status} now.')
