"""How settings look in the admin."""

from typing import Any

from django.utils.text import Truncator

from settings_app import scope
from settings_app.layers import Explanation
from settings_app.registry import UNSET, Setting, text_of
from settings_app.static_layers import Layer
from ytops.db import strict_json
from ytops.db.strict_json import UNSTORABLE

NAMED = 5
NO_SETTING = "No setting of this version has this key: nothing reads it."


def in_words(value: Any, most: int = 80) -> str:
    if value is UNSET or value is None:
        return "not set"
    if value == "":
        return "the empty text"
    return Truncator(text_of(value)).chars(most)


def key_line(key: str) -> str:
    return strict_json.line(key) if UNSTORABLE.search(key) else key


def layer_in_words(layer: Layer, most: int = 80) -> str:
    """A wrong value is shown as the JSON that it is."""
    if layer.error:
        return Truncator(strict_json.line(layer.value)).chars(most)
    return in_words(layer.value, most)


def origin(layer: Layer) -> str:
    match layer.source:
        case "environment":
            return f"from {layer.where}"
        case "file":
            return f"from the file, {layer.where}"
    return f"from the {layer.source}"


def fallback(explanation: Explanation, source: str) -> str:
    """What holds where this layer is not set."""
    winner = explanation.below(source).winner
    return f"{in_words(winner.value)}, {origin(winner)}" if winner.is_set else "no value"


def pinned(setting: Setting[Any]) -> str:
    return f"Pinned by {setting.environment_name}: change it there."


def reach(setting: Setting[Any]) -> str:
    """How many channels a change for the system alters."""
    if not setting.per_channel:
        return "A change here holds for the whole system."
    total, (own, named) = scope.count(), scope.overriding(setting, NAMED)
    if not total:
        return "A change here reaches every channel; there is none yet."
    channels = f"{total:,} channel{'' if total == 1 else 's'}"
    if not own:
        return f"A change here reaches all of {channels}."
    names = ", ".join(named)
    if own > NAMED:
        names += f" and {own - NAMED:,} more"
    have = "1 has a value of its own" if own == 1 else f"{own:,} have values of their own"
    return f"A change here reaches {total - own:,} of {channels}; {have}: {names}."
