"""The layers that stand still while a process runs: its environment, the file, the defaults."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError

from settings_app.registry import NOT_SETTINGS, PREFIX, UNSET, Setting, registered
from ytops.db.nearest import did_you_mean
from ytops.db.secrets import MASK

TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a layer: where it stands, and the key of the setting if it is one."""

    where: str
    message: str
    source: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class Layer:
    """What one layer says of one setting; an error stands beside the value that it is about."""

    source: str
    where: str | None = None
    value: Any = UNSET
    error: str | None = None

    @property
    def is_set(self) -> bool:
        return self.value is not UNSET

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "where": self.where,
            "set": self.is_set,
            "value": self.value if self.is_set else None,
            "error": self.error,
        }


@dataclass(frozen=True)
class StaticLayers:
    environment: Mapping[str, Layer]
    file: Mapping[str, Layer]
    problems: tuple[Problem, ...]


def static_layers() -> StaticLayers:
    """Read once; what is changed in them takes effect when the process starts anew."""
    return _read(tuple(registered().values()))


@cache
def _read(known: tuple[Setting[Any], ...]) -> StaticLayers:
    problems: list[Problem] = []
    environment = dict(_environment(problems))
    file = dict(_file(problems))
    return StaticLayers(environment, file, tuple(problems))


def valid_static_layers() -> StaticLayers:
    """ImproperlyConfigured names every problem: nothing runs on a default in place of a value."""
    layers = static_layers()
    if layers.problems:
        raise ImproperlyConfigured(" ".join(str(problem) for problem in layers.problems))
    return layers


def _layer(
    source: str, where: str, setting: Setting[Any], value: Any, problems: list[Problem]
) -> Layer:
    """The value as this setting has it; text of the environment is read, JSON and TOML checked."""
    try:
        read = setting.parse(value) if source == "environment" else setting.clean(value)
    except ValidationError as error:
        said = error.messages[0]
        named = said if source == "environment" else f"{setting.key}: {said}"
        problems.append(Problem(where, named, source, setting.key))
        return Layer(source, where, MASK if setting.secret else value, said)
    return Layer(source, where, read)


def _environment(problems: list[Problem]) -> Iterator[tuple[str, Layer]]:
    by_name = {setting.environment_name: setting for setting in registered().values()}
    for name, text in sorted(os.environ.items()):
        if not name.upper().startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        if setting := by_name.get(name):
            yield setting.key, _layer("environment", name, setting, text, problems)
        else:
            near = did_you_mean(name, [*by_name, "YTOPS_CONFIG_FILE"])
            message = f"no setting has this variable.{near}"
            problems.append(Problem(name, message, "environment"))


def config_file() -> Path | None:
    """What YTOPS_CONFIG_FILE names; a relative path counts from the project's folder."""
    name = os.environ.get("YTOPS_CONFIG_FILE")
    return settings.BASE_DIR / name if name else None


def _file(problems: list[Problem]) -> Iterator[tuple[str, Layer]]:
    path = config_file()
    if path is None:
        return
    try:
        with path.open("rb") as file:
            others_read = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            text = file.read().decode("utf-8-sig").replace("\r\n", "\n")
        given = tomllib.loads(text)
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {error.strerror}.", "file"))
        return
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(Problem(f"{path}:{line}", "is not UTF-8 text.", "file"))
        return
    except (ValueError, RecursionError) as error:  # numbers and nesting without end among them
        message = str(error)
        place = TOML_PLACE.search(message)
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        message = f"not valid TOML: {TOML_PLACE.sub('', message)}."
        problems.append(Problem(f"{path}:{line}", message, "file"))
        return
    lines, known = key_lines(text), registered()
    seen: set[str] = set()
    for key, value in flattened(given):
        where = f"{path}:{lines[key]}"
        if key not in known:
            if value == {}:  # a table whose lines are all comments
                continue
            message = f'there is no setting "{key}".{did_you_mean(key, known)}'
            problems.append(Problem(where, message, "file"))
        elif key in seen:
            problems.append(Problem(where, f"{key} is given twice.", "file", key))
        elif known[key].secret and others_read:
            message = f"{key} is a secret, in a file that others can read: chmod 600 {path}"
            problems.append(Problem(where, message, "file", key))
            yield key, Layer("file", where, MASK, message)
        else:
            yield key, _layer("file", where, known[key], value, problems)
        seen.add(key)


def flattened(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Tables within tables as dotted keys; an empty one is a value."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def key_lines(text: str) -> dict[str, int]:
    """The line on which each dotted key of a valid TOML text is given.

    tomllib does not tell. So each statement is read for itself, under the header of its table: as
    long as one cannot be read, it goes on in the next line.
    """
    found: dict[str, int] = {}
    header = statement = ""
    begun = 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        is_header = statement.lstrip().startswith("[")
        try:
            table = tomllib.loads(statement if is_header else header + statement)
        except tomllib.TOMLDecodeError:
            continue
        if is_header:
            header = statement
        for key, _ in flattened(table):
            found.setdefault(key, begun)  # an empty table is there again in what follows
        statement, begun = "", number + 1
    return found
