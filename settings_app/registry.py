"""Settings: each is declared once, typed, in the `conf.py` of the app that uses it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from time import monotonic
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, cast

from django.core.exceptions import ValidationError

from settings_app import snapshot
from settings_app.snapshot import thread
from ytops.db.nearest import did_you_mean
from ytops.db.secrets import Secret
from ytops.db.strict_json import UNSTORABLE, Unreadable, validate_text

T = TypeVar("T")

KEY = re.compile(r"\A[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z")
PREFIX = "YTOPS_"
NOT_SETTINGS = {"YTOPS_CONFIG_FILE", "YTOPS_PROVE"}
TYPE_NAMES = {bool: "bool", int: "int", str: "str", Secret: "secret"}
BOOLEANS = {"true": True, "on": True, "yes": True, "1": True}
BOOLEANS |= {"false": False, "off": False, "no": False, "0": False}
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,100}")
# Absence of a value; None is none of our values and means nothing.
UNSET: Any = type("Unset", (), {"__repr__": lambda self: "UNSET"})()


class HasSettings(Protocol):
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Setting(Generic[T]):
    """A setting of type bool, int, str or `Secret`.

    `min` and `max` bound a number, or the length of a text in characters. A secret has no default:
    it reads as None as long as no layer sets it.
    """

    key: str
    value_type: type[T]
    _: KW_ONLY
    default: T
    help: str
    min: int | None = None
    max: int | None = None
    choices: tuple[T, ...] = ()
    per_channel: bool = False
    environment_name: str = field(init=False)
    pinned: bool = field(init=False)

    def __post_init__(self) -> None:
        name = PREFIX + self.key.replace(".", "_").upper()
        object.__setattr__(self, "environment_name", name)
        object.__setattr__(self, "pinned", name in os.environ)
        self._refuse_a_wrong_declaration()
        _registered[self.key] = self
        in_order = sorted(_registered.items())
        _registered.clear()
        _registered.update(in_order)
        snapshot.forget()

    def _refuse_a_wrong_declaration(self) -> None:
        names = {setting.environment_name for setting in _registered.values()} | NOT_SETTINGS
        bounds, wrong = (self.min, self.max), None
        if not KEY.fullmatch(self.key):
            wrong = "its key must be lower-case words joined by dots"
        elif self.environment_name in names:
            wrong = f"{self.environment_name} is taken"
        elif self.value_type not in TYPE_NAMES:
            wrong = f"its type must be one of {', '.join(TYPE_NAMES.values())}"
        elif self.secret and (self.default is not None or self.per_channel):
            wrong = "a secret has no default and is never per channel"
        elif (self.value_type in (bool, Secret) or self.choices) and bounds != (None, None):
            wrong = "only a number or a free text has bounds"
        elif not self.secret and not self.accepts(self.default):
            wrong = f"its default must be {self.expected}"
        if wrong:
            raise ValueError(f"Setting {self.key!r}: {wrong}.")

    @property
    def secret(self) -> bool:
        return self.value_type is Secret

    @property
    def type_name(self) -> str:
        return TYPE_NAMES[self.value_type]

    @property
    def group(self) -> str:
        return self.key.partition(".")[0]

    @property
    def label(self) -> str:
        return self.key.partition(".")[2].replace("_", " ").replace(".", " ").capitalize()

    def get(self, channel: HasSettings | None = None) -> T:
        """The value that holds now, at most a second old; for a channel, with its own override.

        The override is the one in the instance that is passed, as fresh as that is. TypeError for
        a channel if the setting is not per channel; DatabaseError if the database has not answered
        since the process began.
        """
        value: T
        if channel is not None:
            if not self.per_channel:
                raise TypeError(f"{self.key} is not per channel")
            try:
                value = channel.settings.get(self.key, UNSET)
            except AttributeError:
                if not isinstance(channel.settings, Unreadable):
                    raise
                snapshot.report(f"{override_place(channel, 'settings')}: cannot be read.")
                value = UNSET
            if value is not UNSET and not self.pinned:
                if self.accepts(value):
                    return value
                snapshot.report(f"{override_place(channel, self.key)}: {self.problem(value)}")
        held = snapshot.published
        if monotonic() >= held.deadline or thread.transaction is not None:
            held = snapshot.current()
        value = held.values[self.key]
        return value

    def accepts(self, value: Any) -> bool:
        """Whether this value, as JSON or TOML gives it, is one of this setting."""
        kind: Any = self.value_type
        if type(value) is not kind:
            return False
        if self.choices:
            return value in self.choices
        if kind is str:
            if UNSTORABLE.search(value):
                return False
            value = len(value)
        if self.min is not None and value < self.min:
            return False
        return self.max is None or bool(value <= self.max)

    def problem(self, value: Any) -> str:
        """What to say of a value that is not accepted; a secret is never quoted."""
        if value is None:
            return "null is no value: leave the key out to inherit."
        if self.secret:
            return f"expected {self.expected}."
        if isinstance(value, Unreadable):
            return f"expected {self.expected}, not JSON that cannot be read."
        try:
            given = json.dumps(value, ensure_ascii=False)
        except TypeError:  # a date of TOML
            given = str(value)
        except (ValueError, RecursionError):
            return f"expected {self.expected}, not something without end."
        if UNSTORABLE.search(given):
            given = ascii(given)
        return f"expected {self.expected}, not {given[:80]}{'…' if len(given) > 80 else ''}."

    def clean(self, value: Any) -> T:
        """The value, checked; plaintext of a secret comes back encrypted. Or ValidationError."""
        if self.secret and isinstance(value, str) and not isinstance(value, Secret):
            if not value:
                raise ValidationError(self.problem(value), code="invalid")
            validate_text(value)
            return cast(T, Secret.encrypt(value))
        if not self.accepts(value):
            raise ValidationError(self.problem(value), code="invalid")
        return cast(T, value)

    def parse(self, text: str) -> T:
        """The value that this text of a variable or a command line means, or ValidationError."""
        value: Any = text
        if self.value_type is bool:
            value = BOOLEANS.get(text.strip().lower(), text)
        elif self.value_type is int and WHOLE_NUMBER.fullmatch(text.strip()):
            value = int(text)
        return self.clean(value)

    @property
    def expected(self) -> str:
        if self.secret:
            return "a text that is not empty"
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.value_type is bool:
            return "true or false"
        noun, unit = ("a whole number", "") if self.value_type is int else ("a text", " characters")
        match self.min, self.max:
            case None, None:
                return noun
            case lowest, None:
                return f"{noun} of at least {lowest}{unit}"
            case None, highest:
                return f"{noun} of at most {highest}{unit}"
            case lowest, highest:
                return f"{noun} from {lowest} to {highest}{unit}"


_registered: dict[str, Setting[Any]] = {}


def registered() -> Mapping[str, Setting[Any]]:
    """All settings by key, in the order of their keys."""
    return MappingProxyType(_registered)


def find(key: str) -> Setting[Any]:
    """The setting of this key; ValidationError names the nearest one."""
    if key not in _registered:
        raise ValidationError(
            f'There is no setting "{key}".{did_you_mean(key, _registered)}', code="unknown"
        )
    return _registered[key]


def text_of(value: Any) -> str:
    """A value as `Setting.parse` takes it back; a secret is its mask."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def override_place(channel: Any, key: str) -> str:
    return f'channel "{channel}" ({channel.pk}), {key}'
