from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.core.management import CommandError, CommandParser

from channels_app.models import Channel, ChannelQuerySet
from jobs_app import pipeline
from jobs_app.admission import admit_all
from ytops.management.speaking import SpeakingCommand, operator


class Command(SpeakingCommand):
    help = (
        "Give every video of an active channel that waits its next job, the oldest first. A "
        "scraped one is skipped, with the reason, if the filters of its channel do not let it. "
        "Exit codes: 0 done; 1 the filters of a channel are wrong, so that its scraped videos "
        "still wait, or a video could not be admitted, or there is no such active channel; 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--channel",
            metavar="CHANNEL",
            help="Only of this one: its name, its id or its YouTube channel id.",
        )

    def handle(self, *, channel: str | None, **options: Any) -> None:
        videos = pipeline.waiting()
        if channel is not None:
            videos = videos.filter(channel=active(channel))
        done = admit_all(videos, by=operator())
        waiting = done.without_slot.total()
        self.stdout.write(f"{done.queued} queued, {done.skipped} skipped, {waiting} without a slot")
        for one, count, why in done.why_no_slot():
            self.stdout.write(f"{count} of {one}: {why}")
        for pk, refusal in done.refusals.items():
            count = done.refused[pk]
            self.stderr.write(f"{refusal} {count} of its scraped videos still wait.")
        for pk, error in done.errors.items():
            self.stderr.write(f"Video {pk} still waits, the database refused it: {error}")
        if done.refusals:
            raise CommandError("Not all could be admitted: the filters named above are wrong.")
        if done.errors:
            raise CommandError("Not all could be admitted: try again.")


def active(text: str) -> Channel:
    channels: ChannelQuerySet = Channel.objects.all()
    try:
        found = channels.find(text)
    except (ObjectDoesNotExist, MultipleObjectsReturned) as error:
        raise CommandError(str(error)) from None
    if not found.is_active:
        raise CommandError(f'"{found}" is not active: none of its videos goes on.')
    return found
