"""Gives the videos that wait their next jobs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from channels_app.models import Channel
from jobs_app import pipeline
from jobs_app.states import JobRefused
from videos_app import slots
from videos_app.life import VideoStatus
from videos_app.models import Video

PAGE = 500
WITHOUT_SLOT = Q(status=VideoStatus.TRANSFORMED, scheduled_for=None)


@dataclass
class Admission:
    """What came of it; the counters by channel."""

    queued: int = 0
    skipped: int = 0
    without_slot: Counter[UUID] = field(default_factory=Counter)
    refused: Counter[UUID] = field(default_factory=Counter)
    refusals: dict[UUID, str] = field(default_factory=dict)
    # By video: what the database refused, such as a slot that another took in the same moment.
    errors: dict[UUID, str] = field(default_factory=dict)

    def why_no_slot(self) -> Iterator[tuple[Channel, int, str]]:
        """Each channel without a free slot, how many of its videos wait for one, and why."""
        for channel in Channel.objects.filter(pk__in=self.without_slot).order_by("name", "pk"):
            why = slots.why_none(channel) or "It has one by now."
            yield channel, self.without_slot[channel.pk], why


def admit_resting(*, by: str) -> Admission:
    """Admit what can go on now, PAGE videos at most: every worker does it each minute.

    Not what is scraped: whether that qualifies, `manage.py admit` asks. Nor what waits for a slot
    of a channel that has none, so that it costs the same however many of them wait.
    """
    resting = pipeline.waiting().exclude(status=VideoStatus.SCRAPED)
    of_it = Video.objects.filter(WITHOUT_SLOT, channel=OuterRef("pk"))
    asked = Channel.objects.filter(Exists(of_it), is_active=True)
    full = [channel.pk for channel in asked if slots.why_none(channel)]
    return admit_all(resting.exclude(WITHOUT_SLOT, channel__in=full), by=by, most=PAGE)


def admit_all(videos: QuerySet[Video], *, by: str, most: int | None = None) -> Admission:
    """Admit each of these videos that waits, the oldest first, in a transaction of its own.

    What another process admits at the same time is counted there. What one channel lacks, right
    filters or a free slot, is asked once.
    """
    done = Admission()
    for video in islice(in_pages(videos), most):
        channel = video.channel_id
        needs_slot = video.status == VideoStatus.TRANSFORMED and video.scheduled_for is None
        if video.status == VideoStatus.SCRAPED and channel in done.refused:
            done.refused[channel] += 1
        elif needs_slot and channel in done.without_slot:
            done.without_slot[channel] += 1
        else:
            try:
                admit(video, done, by)
            except JobRefused as refusal:
                done.refused[channel] += 1
                done.refusals[channel] = str(refusal)
            except OperationalError:
                raise  # the database is away, for all of them
            except DatabaseError as error:
                # The first line alone: the next ones show whole rows.
                done.errors[video.pk] = str(error).partition("\n")[0]
    return done


@transaction.atomic
def admit(video: Video, done: Admission, by: str) -> None:
    rows = pipeline.waiting().select_for_update(of=("self",), no_key=True)
    found = rows.filter(pk=video.pk).first()
    if found is None:
        return
    if pipeline.admit(found, by=by):
        done.queued += 1
        return
    found.refresh_from_db(fields=["status"])
    if found.status == VideoStatus.SKIPPED:
        done.skipped += 1
    elif found.status == VideoStatus.TRANSFORMED and not found.jobs.live().exists():
        done.without_slot[found.channel_id] += 1


def in_pages(videos: QuerySet[Video]) -> Iterator[Video]:
    """In the order of their creation. No cursor stays open: on SQLite whoever reads on while
    others write cannot write himself.
    """
    rows = videos.order_by("created_at", "id")
    rows = rows.only("created_at", "channel_id", "status", "scheduled_for")
    page = list(rows[:PAGE])
    while page:
        yield from page
        at, pk = page[-1].created_at, page[-1].pk
        page = list(rows.filter(Q(created_at=at, pk__gt=pk) | Q(created_at__gt=at))[:PAGE])
