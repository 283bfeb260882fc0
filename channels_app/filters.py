"""Which scraped videos qualify for a channel: by duration, size, views and title."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeGuard
from unicodedata import normalize

from django.core.exceptions import ValidationError

from ytops.db import strict_json
from ytops.db.nearest import did_you_mean


class Measure(NamedTuple):
    """A number of a scraped video: where its metadata has it, and how it is told."""

    key: str
    name: str
    unit: str = ""


DURATION = Measure("duration_seconds", "duration", " s")
AT_LEAST = {
    "min_duration_seconds": DURATION,
    "min_width": Measure("width", "width", " px"),
    "min_height": Measure("height", "height", " px"),
    "min_views": Measure("views_at_source", "view count"),
}
AT_MOST = {"max_duration_seconds": DURATION}
LIMITS = AT_LEAST | AT_MOST
WORDS = "title_excludes"
KEYS = (*LIMITS, WORDS)


def validate_filters(value: Any) -> None:
    """{} (every video qualifies), or an object of KEYS; every problem is named."""
    if isinstance(value, dict) and (problems := _problems(value)):
        raise ValidationError(problems)


def refusal(filters: Any, title: str, metadata: Any) -> str | None:
    """Every reason why a scraped video does not qualify, joined by "; "; None if it does.

    Both JSON values are taken as a row holds them. What is not known does not qualify: a number
    that the metadata lacks, and filters that `validate_filters` would refuse.
    """
    if not isinstance(filters, dict):
        return "the channel's filters are no object"
    if problems := _problems(filters):
        return f"the channel's filters are wrong: {' '.join(problems)}"
    known = metadata if isinstance(metadata, dict) else {}
    # Both limits of the duration say the same of one that is not known.
    reasons = dict.fromkeys((*_by_number(filters, known), *_by_title(filters, title)))
    return "; ".join(reasons) or None


def _problems(value: dict[str, Any]) -> list[str]:
    problems = [
        f"{strict_json.line(name)} is no key of the filters; known: {', '.join(KEYS)}."
        f"{did_you_mean(str(name), KEYS)}"
        for name in value
        if name not in KEYS
    ]
    problems += [
        f'"{key}" must be a whole number, 0 or more.'
        for key in LIMITS
        if key in value and not _is_limit(value[key])
    ]
    words = value.get(WORDS, [])
    if not isinstance(words, list) or not all(isinstance(w, str) and w.strip() for w in words):
        problems.append(f'"{WORDS}" must be a list of words, such as ["giveaway"], none empty.')
    least, most = value.get("min_duration_seconds"), value.get("max_duration_seconds")
    if _is_limit(least) and _is_limit(most) and least > most:
        problems.append('"min_duration_seconds" is above "max_duration_seconds".')
    return problems


def _is_limit(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _is_measured(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= value < math.inf


def _by_number(filters: dict[str, Any], metadata: dict[str, Any]) -> Iterator[str]:
    for key, measure in LIMITS.items():
        if key not in filters:
            continue
        number, limit = metadata.get(measure.key), filters[key]
        if not _is_measured(number):
            yield f"its {measure.name} is not known"
        elif number < limit if key in AT_LEAST else number > limit:
            side = "under" if key in AT_LEAST else "over"
            found = f"{measure.name} of {number}{measure.unit}"
            yield f"its {found} is {side} the channel's {key} {limit}"


def _by_title(filters: dict[str, Any], title: str) -> Iterator[str]:
    folded = _folded(title)
    for word in filters.get(WORDS, []):
        # Not \b: a word may begin or end with a sign, such as #ad, which has no such border.
        if re.search(rf"(?!\B\w){re.escape(_folded(word))}(?<!\w\B)", folded):
            yield f'its title has "{word}", which is in the channel\'s {WORDS}'


def _folded(text: str) -> str:
    """Equal for what reads alike: case, spaces, composed accents, letters in fancy shapes."""
    return " ".join(normalize("NFKC", text).casefold().split())
