import getpass
import sys
from typing import Any

from django.core.exceptions import (
    ImproperlyConfigured,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.core.management import CommandError, CommandParser

from settings_app import changes, layers, scope
from settings_app.models import ConfigurationChange
from settings_app.registry import UNSET, Setting, find, registered, text_of
from settings_app.static_layers import valid_static_layers
from ytops.management.speaking import USAGE, SpeakingCommand, operator


class Command(SpeakingCommand):
    help = (
        "Show and change the settings of the system and of its channels. Exit codes: 0 done; "
        "1 refused or wrong, and nothing is changed; 2 usage."
    )
    # `check` and `explain` are there to tell what is wrong; the others refuse by themselves.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, words: str, *, channel: bool = False) -> CommandParser:
            made: CommandParser = actions.add_parser(name, help=words, description=words)
            made.add_argument("--format", choices=["text", "json"], default="text")
            if channel:
                made.add_argument("--channel", metavar="ID|NAME", help="For this channel.")
            return made

        listed = action("list", "Every setting, its value and the layer it is from.", channel=True)
        listed.add_argument(
            "--changed", action="store_true", help="Only those that are not at their default."
        )
        words = {
            "get": "The bare value of a setting.",
            "set": "Set a setting in the database. A secret is read from standard input: give “-”.",
            "unset": "Let a setting inherit again.",
            "explain": "Every layer of a setting, the highest first, and which one wins.",
        }
        for name, help_text in words.items():
            made = action(name, help_text, channel=True)
            made.add_argument("key", metavar="KEY")
            if name == "set":
                made.add_argument("value", metavar="VALUE")
        action("check", "Check every layer of the system and of every channel.")
        history = action("history", "Who changed what, the newest first.")
        history.add_argument("key", metavar="KEY", nargs="?")
        restored = action("restore", "Set a setting again to what a change once made it.")
        restored.add_argument("change", metavar="CHANGE", help="Its id, as `history` shows it.")

    def handle(self, *, action: str, format: str, **options: Any) -> None:
        self.as_json = format == "json"
        given = {name: value for name, value in options.items() if name in ARGUMENTS}
        try:
            getattr(self, f"do_{action}")(**given)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except (ImproperlyConfigured, ObjectDoesNotExist, MultipleObjectsReturned) as error:
            raise CommandError(str(error)) from None

    def do_list(self, *, channel: str | None, changed: bool) -> None:
        found = layers.explain_all(registered().values(), self.find_channel(channel))
        if changed:
            found = [one for one in found if one.source != "default" or one.errors]
        if self.as_json:
            whole = [one.as_dict() for one in found]
            self.print_json([{k: v for k, v in one.items() if k != "layers"} for one in whole])
        else:
            self.print_columns((one.setting.key, self.shown(one), one.source) for one in found)
        valid_static_layers()
        self.print_errors(*found)

    def do_get(self, *, key: str, channel: str | None) -> None:
        valid_static_layers()
        why = self.explained(key, channel)
        if self.as_json:
            self.print_json(why.value)
        else:
            self.stdout.write(text_of(why.value))
        self.print_errors(why)

    def do_explain(self, *, key: str, channel: str | None) -> None:
        why = self.explained(key, channel)
        if self.as_json:
            self.print_json(why.as_dict())
        else:
            self.stdout.write(f"{key} = {self.shown(why)} ({why.setting.type_name})")
            self.print_columns(
                (
                    "→" if layer is why.winner else " ",
                    layer.source,
                    layers.shown(layer.value) if layer.is_set else "–",
                    layer.where or "",
                    layer.error or "",
                )
                for layer in why.layers
            )
        valid_static_layers()

    def do_set(self, *, key: str, value: str, channel: str | None) -> None:
        setting = find(key)
        changes.refuse_if_fixed(setting, channel)
        if setting.secret:
            value = self.read_secret(setting, value)
        try:
            read = setting.parse(value)
        except ValidationError as error:
            raise CommandError(f"{key}: {error.messages[0]}") from None
        self.change(setting, read, channel)

    def do_unset(self, *, key: str, channel: str | None) -> None:
        holder, setting = self.find_channel(channel), registered().get(key)
        stray = setting is None or not setting.per_channel
        if stray and holder is not None and key in layers.overrides_of(holder):
            made = changes.remove_override(
                holder, key, by=operator(), through=ConfigurationChange.Through.COMMAND
            )
            self.print_change(key=key, made=made)
        else:
            self.change(find(key), UNSET, channel)

    def do_check(self) -> None:
        found = []
        for problem in layers.problems():
            found.append(problem)
            if not self.as_json:
                self.stdout.write(" ".join(str(problem).split()))
        if self.as_json:
            self.print_json([vars(problem) for problem in found])
        if found:
            raise CommandError("1 problem." if len(found) == 1 else f"{len(found)} problems.")
        if not self.as_json:
            self.stdout.write("No problem in any layer of the system and of its channels.")

    def do_history(self, *, key: str | None) -> None:
        rows = ConfigurationChange.objects.all()
        if key is not None:
            rows = rows.filter(key=key)
            if not rows.exists():
                find(key)  # a setting of an earlier version may have a history too
        if self.as_json:
            self.print_json([row.as_dict() for row in rows])
            return
        for row in rows.iterator():
            where = f" for {row.channel_name}" if row.channel_id else ""
            self.stdout.write(
                f"{row.created_at:%Y-%m-%d %H:%M:%S} {row.id}  {row}{where} "
                f"(by {row.by}, {row.through})"
            )

    def do_restore(self, *, change: str) -> None:
        valid_static_layers()
        past, made = changes.restore(change, by=operator())
        self.print_change(key=past.key, made=made)

    def change(self, setting: Setting[Any], value: Any, channel: str | None) -> None:
        valid_static_layers()
        holder = self.find_channel(channel)
        through = ConfigurationChange.Through.COMMAND
        made = changes.change(setting, value, by=operator(), through=through, channel=holder)
        self.print_change(key=setting.key, made=made)

    def print_change(self, *, key: str, made: ConfigurationChange | None) -> None:
        if self.as_json:
            self.print_json(None if made is None else made.as_dict())
        elif made is None:
            self.stdout.write(f"{key}: nothing to change.")
        else:
            self.stdout.write(f"{made}{f' for {made.channel_name}' if made.channel_id else ''}")

    def read_secret(self, setting: Setting[Any], value: str) -> str:
        if value != "-":
            raise CommandError(
                f"{setting.key} is a secret: on a command line others can see it. "
                "Give “-” in its place, and the secret on standard input.",
                returncode=USAGE,
            )
        try:
            if sys.stdin.isatty():
                return getpass.getpass(f"{setting.key}: ")
            return sys.stdin.read().removesuffix("\n")
        except (AttributeError, EOFError, KeyboardInterrupt):  # closed, in one way or another
            raise CommandError(f"{setting.key}: standard input gave no secret.") from None

    def explained(self, key: str, channel: str | None) -> layers.Explanation:
        return layers.explain_all([find(key)], self.find_channel(channel))[0]

    def find_channel(self, text: str | None) -> Any:
        return None if text is None else scope.find(text)

    def shown(self, why: layers.Explanation) -> str:
        return layers.shown(why.value) if why.winner.is_set else "–"

    def print_errors(self, *explained: layers.Explanation) -> None:
        for why in explained:
            for error in why.errors:
                self.stderr.write(f"Passed over: {error}")


ARGUMENTS = ("key", "value", "channel", "changed", "change")
