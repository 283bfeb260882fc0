from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.core.management import CommandError, CommandParser
from django.utils import timezone

from channels_app.models import Channel, ChannelQuerySet
from videos_app import slots
from videos_app.slots import Preview
from ytops.management.speaking import SpeakingCommand, whole_number

MOST = 1000
LOCAL = "%a %Y-%m-%d %H:%M:%S %Z"


class Command(SpeakingCommand):
    help = (
        "Show when a channel publishes next: its free instants, in its own zone and in UTC, and "
        "why the slots between them are passed over. It assigns nothing. Exit codes: 0 done; "
        "1 there is no such channel, or its schedule is wrong; 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "channel", metavar="CHANNEL", help="Its name, its id or its YouTube channel id."
        )
        parser.add_argument(
            "-n",
            type=whole_number(1, MOST),
            default=20,
            dest="count",
            help="How many instants; 20 if not given.",
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *, channel: str, count: int, format: str, **options: Any) -> None:
        channels: ChannelQuerySet = Channel.objects.all()
        try:
            found = channels.find(channel)
        except (ObjectDoesNotExist, MultipleObjectsReturned) as error:
            raise CommandError(str(error)) from None
        if wrong := slots.schedule_problem(found):
            raise CommandError(wrong)
        preview = slots.upcoming(found, timezone.now(), count)
        if format == "json":
            self.print_json(as_dict(found, preview))
        else:
            self.print_text(found, preview)

    def print_text(self, channel: Channel, preview: Preview) -> None:
        self.stdout.write(f"{channel}: {preview.rules}")
        local = [f"{slot.at.astimezone(preview.zone):{LOCAL}}" for slot in preview.slots]
        width = max(map(len, local), default=0)
        for text, slot in zip(local, preview.slots, strict=True):
            refusal = f"  passed over: {slot.refusal}" if slot.refusal else ""
            self.stdout.write(f"{text:{width}}  {slot.at:%Y-%m-%d %H:%M:%SZ}{refusal}")
        if preview.why_no_more:
            self.stdout.write(preview.why_no_more)


def as_dict(channel: Channel, preview: Preview) -> dict[str, Any]:
    return {
        "channel": str(channel.pk),
        "name": channel.name,
        "timezone": preview.zone and preview.zone.key,
        "posts_per_day": preview.posts_per_day,
        "min_gap_minutes": preview.min_gap_minutes,
        "slots": [
            {
                "local": slot.at.astimezone(preview.zone).isoformat(),
                "utc": slot.at.isoformat(),
                "passed_over": slot.refusal,
            }
            for slot in preview.slots
        ],
        "why_no_more": preview.why_no_more or None,
    }
