from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.core.management import CommandError, CommandParser
from django.utils import timezone

from channels_app.models import Channel
from stats_app.importer import Report, import_files
from stats_app.youtube import Refused, printable, shown, storable
from ytops.management.speaking import SpeakingCommand


class Command(SpeakingCommand):
    help = (
        "Import answers of the YouTube Data API: channels.list, videos.list and "
        "playlistItems.list, saved as they came. Running it again with the same --at changes "
        "nothing. What is refused is named on stderr, and the exit code is then 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="An answer, as JSON.")
        parser.add_argument(
            "--at",
            metavar="TIME",
            help="When the answers were given, in ISO 8601, such as 2026-11-22T08:00:00+01:00; "
            "without an offset it is UTC. Default: now.",
        )
        parser.add_argument(
            "--channel",
            metavar="NAME|ID",
            help="Take only what belongs to this channel; the rest is refused.",
        )

    def handle(self, *, files: list[str], at: str | None, channel: str | None, **_: Any) -> None:
        report = import_files(
            paths=files,
            at=timezone.now() if at is None else moment(at),
            channel=None if channel is None else find(channel),
        )
        for problem in report.problems:
            self.stderr.write(problem)
        self.stdout.write(summary(report))
        if refused := len(report.problems):
            raise CommandError(f"{refused} refused, each named above.")


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"--at is {shown(text)}: expected a time in ISO 8601, such as 2026-11-22T08:00:00Z.",
            returncode=2,
        ) from None


def find(text: str) -> Channel:
    try:
        storable(text, "--channel")
        channel = Channel.objects.find(text)
    except (Refused, ObjectDoesNotExist, MultipleObjectsReturned) as error:
        raise CommandError(printable(str(error))) from None
    if not channel.youtube_channel_id:
        raise CommandError(
            f"--channel is {shown(text)}, which has no YouTube channel id to compare with: "
            "set that first."
        )
    return channel


def summary(report: Report) -> str:
    done = report.done
    seen = f" ({done['channels seen']} inactive: only seen)" if done["channels seen"] else ""
    channels, videos = (
        f"{done[f'{what} created']} created{note}, {done[f'{what} updated']} updated, "
        f"{done[f'{what} unchanged']} unchanged"
        for what, note in (("channels", seen), ("videos", ""))
    )
    statistics = f"{done['statistics added']} added, {done['statistics updated']} updated"
    return (
        f"channels: {channels}; videos: {videos}; statistics: {statistics}; "
        f"refused: {len(report.problems)}"
    )
