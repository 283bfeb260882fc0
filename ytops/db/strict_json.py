"""JSON that both databases can keep, read without losing anything on the way."""

import json
import math
import re
from typing import Any

from django.core.exceptions import ValidationError

DEEPEST = 100
MOST_DIGITS = 100
# From here on repr() writes an exponent, which PostgreSQL turns into an integer: another number.
LARGEST_FLOAT = 1e16
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s\[\]{},:"]+')
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(str):
    """JSON text out of a database that Python does not read: digits or nesting without end."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return result


class _Unreadable(ValueError):
    """A number or constant that is refused: what is wrong, and how it is written."""

    def __init__(self, problem: str, token: str) -> None:
        super().__init__(problem)
        self.token = token


def _line(text: str, token: str) -> int:
    """The line where this number or constant stands, strings passed over."""
    found = next(match for match in TOKENS.finditer(text) if match[0].startswith(token))
    return text.count("\n", 0, found.start()) + 1


def _no_constant(name: str) -> None:
    raise _Unreadable(f"{name} is not JSON", name)


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MOST_DIGITS:
        raise _Unreadable(f"a number has more than {MOST_DIGITS} digits", digits)
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Unreadable("a number is too large", digits)
    return number


def parse(text: str) -> Any:
    """Read JSON; ValueError says what is wrong and where, and never quotes a value.

    Stricter than `json.loads`: a key given twice, NaN and Infinity, numbers without end, and
    nesting that would exhaust the stack are errors.
    """

    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not valid JSON at {place}: {error.msg}") from None
    except _Unreadable as error:
        raise ValueError(f"{error} (line {_line(text, error.token)})") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None


def validate_text(text: str) -> None:
    """Refuse text that PostgreSQL cannot hold: NUL, and halves of surrogate pairs."""
    if found := UNSTORABLE.search(text):
        raise ValidationError(
            f"Character {found.start() + 1} is U+{ord(found[0]):04X}, which cannot be stored.",
            code="unstorable",
        )


def validate_storable(value: Any, depth: int = 0) -> None:
    """Refuse what would not come back from either database as it was."""
    if depth > DEEPEST:
        raise ValidationError(f"Nested deeper than {DEEPEST} levels.", code="too_deep")
    if isinstance(value, Unreadable):
        raise ValidationError("JSON that cannot be read is not written again.", code="unreadable")
    if hasattr(value, "ciphertext"):
        raise ValidationError("A secret inside JSON would be stored as its mask.", code="mask")
    if isinstance(value, str):
        validate_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValidationError("A number is infinite or not a number.", code="not_finite")
    elif isinstance(value, float) and abs(value) >= LARGEST_FLOAT:
        raise ValidationError(
            "A number of 17 digits or more must be whole: neither point nor exponent.",
            code="too_large",
        )
    elif isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        raise ValidationError(f"A number has more than {MOST_DIGITS} digits.", code="too_large")
    elif isinstance(value, dict):
        for name, member in value.items():
            if not isinstance(name, str):
                raise ValidationError("A key of an object must be a text.", code="not_a_text")
            validate_text(name)
            validate_storable(member, depth + 1)
    elif isinstance(value, list | tuple):
        for member in value:
            validate_storable(member, depth + 1)


def validate_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError(
            'Expected an object, such as {"name": "value"}.', code="not_an_object"
        )


def pretty(value: Any) -> str:
    """JSON as a person reads it; what no page can show stays escaped."""
    text = _laid_out(value, "\n", ensure_ascii=False)
    return _laid_out(value, "\n", ensure_ascii=True) if UNSTORABLE.search(text) else text


def line(value: Any) -> str:
    """JSON in one line; what no page can show stays escaped, what JSON does not know is text."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return json.dumps(value, default=str) if UNSTORABLE.search(text) else text


def _laid_out(value: Any, line: str, **style: Any) -> str:
    """A member a line, but a list of plain values, such as the times of a day, on one."""
    members: list[str]
    if isinstance(value, dict) and value:
        deeper = line + "  "
        members = [
            f"{json.dumps(name, **style)}: {_laid_out(member, deeper, **style)}"
            for name, member in value.items()
        ]
        return f"{{{deeper}{(',' + deeper).join(members)}{line}}}"
    if isinstance(value, list) and any(isinstance(member, dict | list) for member in value):
        deeper = line + "  "
        members = [_laid_out(member, deeper, **style) for member in value]
        return f"[{deeper}{(',' + deeper).join(members)}{line}]"
    return json.dumps(value, **style)
