"""The five layers of a setting, highest first, and which of them wins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from settings_app import scope, snapshot
from settings_app.models import SystemConfiguration
from settings_app.registry import UNSET, Setting, override_place, registered
from settings_app.static_layers import (
    Layer,
    Problem,
    config_file,
    static_layers,
    valid_static_layers,
)
from ytops.db import strict_json
from ytops.db.nearest import did_you_mean
from ytops.db.secrets import MASK, CannotDecrypt, Secret

Row = tuple[str, Any, Secret | None]  # key, value, secret
STOPS_THE_START = ("environment", "file")


def system_values() -> dict[str, Any]:
    """Setting key → what holds for the whole system; one statement. For the snapshot."""
    static, known = valid_static_layers(), registered()
    values = {key: setting.default for key, setting in known.items()}
    values |= {key: layer.value for key, layer in static.file.items()}
    for key, value, secret in SystemConfiguration.objects.set_values():
        if setting := known.get(key):
            layer = row_layer(setting, (key, value, secret))
            if layer.error:
                snapshot.report(f"{layer.where}: {layer.error}")
            else:
                values[key] = layer.value
    return values | {key: layer.value for key, layer in static.environment.items()}


def row_place(key: str) -> str:
    return f"system_configuration, {key}"


def row_layer(setting: Setting[Any], row: Row | None) -> Layer:
    where = row_place(setting.key)
    _, value, secret = row or (setting.key, None, None)
    if value is None and secret is None:
        return Layer("database", where)
    if setting.secret != (secret is not None):
        kept = "in clear" if setting.secret else "encrypted"
        return Layer("database", where, MASK, f"it is kept {kept}: set it anew.")
    if secret is not None:
        try:
            secret.key_fingerprint()
        except CannotDecrypt as error:
            return Layer("database", where, MASK, f"{error}.")
        return Layer("database", where, secret)
    return Layer(
        "database", where, value, None if setting.accepts(value) else setting.problem(value)
    )


def channel_layer(setting: Setting[Any], channel: Any | None) -> Layer:
    if channel is None:
        return Layer("channel")
    value = overrides_of(channel).get(setting.key, UNSET)
    error = None if value is UNSET else override_problem(setting.key, value)
    value = masked(setting.key, value)
    return Layer("channel", override_place(channel, setting.key), value, error)


def overrides_of(channel: Any) -> dict[str, Any]:
    """Setting key → value; empty where the JSON cannot be read, which `problems()` says."""
    return channel.settings if isinstance(channel.settings, dict) else {}


def masked(key: str, value: Any) -> Any:
    """What may be shown of this entry of a channel's settings: somebody put a secret there."""
    setting = registered().get(key)
    return MASK if value is not UNSET and setting is not None and setting.secret else value


def override_problem(key: str, value: Any) -> str | None:
    """What is wrong with this entry of a channel's settings."""
    setting = registered().get(key)
    if setting is None:
        return f"no setting has this key.{did_you_mean(key, per_channel())}"
    if not setting.per_channel:
        return "is not per channel: it holds for the whole system."
    return None if setting.accepts(value) else setting.problem(value)


def per_channel() -> dict[str, Setting[Any]]:
    return {key: setting for key, setting in registered().items() if setting.per_channel}


@dataclass(frozen=True)
class Explanation:
    """Why a setting has its value."""

    setting: Setting[Any]
    layers: tuple[Layer, ...]

    @property
    def winner(self) -> Layer:
        """The highest layer that is set and right.

        One that stops the start wins even when it is wrong: nothing runs on what lies below it.
        """
        for layer in self.layers:
            if layer.is_set and (not layer.error or layer.source in STOPS_THE_START):
                return layer
        return self.layers[-1]

    @property
    def value(self) -> Any:
        """None for a secret that no layer sets."""
        return None if self.winner.error or not self.winner.is_set else self.winner.value

    @property
    def source(self) -> str:
        return self.winner.source

    def as_dict(self) -> dict[str, Any]:
        """For JSON; a secret is its mask."""
        return {
            "key": self.setting.key,
            "type": self.setting.type_name,
            "value": self.value,
            "source": self.source,
            "pinned": self.setting.pinned,
            "layers": [layer.as_dict() for layer in self.layers],
        }

    @property
    def errors(self) -> list[str]:
        return [f"{layer.where}: {layer.error}" for layer in self.layers if layer.error]

    def layer(self, source: str) -> Layer:
        return next(layer for layer in self.layers if layer.source == source)

    def below(self, source: str) -> "Explanation":
        """What would hold if this layer and those above it were not set."""
        sources = [layer.source for layer in self.layers]
        return Explanation(self.setting, self.layers[sources.index(source) + 1 :])


def shown(value: Any) -> str:
    """A value in one line: JSON, so that an empty text is seen; a secret is its mask."""
    if isinstance(value, Secret):
        return MASK
    return strict_json.line(value)


def explain(setting: Setting[Any], row: Row | None, channel: Any | None = None) -> Explanation:
    static, key = static_layers(), setting.key
    default = UNSET if setting.secret else setting.default
    return Explanation(
        setting,
        (
            static.environment.get(key, Layer("environment", setting.environment_name)),
            channel_layer(setting, channel),
            row_layer(setting, row),
            static.file.get(key, Layer("file", str(config_file() or "") or None)),
            Layer("default", None, default),
        ),
    )


def explain_row(row: SystemConfiguration) -> Explanation | None:
    """None for a row whose key no setting has."""
    setting = registered().get(row.key)
    return explain(setting, (row.key, row.value, row.secret)) if setting else None


def explain_all(settings: Iterable[Setting[Any]], channel: Any | None = None) -> list[Explanation]:
    """One statement, whatever the number of settings."""
    rows = {row[0]: row for row in SystemConfiguration.objects.set_values()}
    return [explain(setting, rows.get(setting.key), channel) for setting in settings]


def problems() -> Iterator[Problem]:
    """All that is wrong in any layer of the system and of any channel."""
    yield from static_layers().problems
    known = registered()
    for row in SystemConfiguration.objects.set_values():
        key, where = row[0], row_place(row[0])
        if key not in known:
            message = f"no setting has this key.{did_you_mean(key, known)}"
            yield Problem(where, message, "database", key)
        elif error := row_layer(known[key], row).error:
            yield Problem(where, error, "database", key)
    for channel in scope.with_overrides():
        if not isinstance(channel.settings, dict):
            where = override_place(channel, "settings")
            yield Problem(where, "JSON that cannot be read.", "channel")
        for key, value in overrides_of(channel).items():
            if error := override_problem(key, value):
                yield Problem(override_place(channel, key), error, "channel", key)
