"""How values look in the admin."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timezone import localtime

from ytops.db.strict_json import pretty

# What a state asks of a person: nothing, patience, a look.
TONES = {
    "published": "good",
    "succeeded": "good",
    "failed": "bad",
    "needs_review": "warn",
    "downloading": "busy",
    "transforming": "busy",
    "publishing": "busy",
    "running": "busy",
    "stuck": "bad",
    "cancelling": "warn",
    # The layers of the configuration: where a person has set something.
    "environment": "warn",
    "channel": "good",
    "database": "good",
    "file": "busy",
}
LONGEST_WHY = 500


def pill(state: str, words: str) -> SafeString:
    """A state in words and colour."""
    return format_html('<span class="pill {}">{}</span>', TONES.get(state, "quiet"), words)


def json_block(value: Any) -> SafeString:
    return format_html('<pre class="json">{}</pre>', pretty(value))


def outside(base: str, key: str | None) -> SafeString | str:
    """A link to the page that `key` has at another site, which is `base` and the key."""
    if not key:
        return "–"
    link = '<a href="{}{}" rel="noreferrer" target="_blank">{}</a>'
    return format_html(link, base, key, key)


class Event(NamedTuple):
    """`at` is a datetime or its ISO 8601; of any other text nothing but the text is known."""

    at: Any
    what: str
    by: str
    why: str
    address: str = ""
    page: str = ""


def instant(at: Any) -> datetime | None:
    """A time as it stands in JSON; None for what is none."""
    try:
        found = at if isinstance(at, datetime) else datetime.fromisoformat(at)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def moment(at: datetime) -> str:
    return date_format(localtime(at), "DATETIME_FORMAT")


def timeline(events: Iterable[Event]) -> SafeString:
    """Events in their order; whatever stands in them, nothing breaks the page."""
    rows = []
    for event in events:
        at = instant(event.at)
        when = moment(at) if at else event.at or ""
        link = format_html('<a href="{}">{}</a>', event.address, event.page) if event.page else ""
        why = Truncator(event.why).chars(LONGEST_WHY)
        rows.append((when, event.what, event.by, why, link))
    items = format_html_join(
        "",
        "<li><time>{}</time> <div><strong>{}</strong> <span>{}</span> {}<p>{}</p></div></li>",
        ((when, what, by, link, why) for when, what, by, why, link in rows),
    )
    return (
        format_html('<ol class="timeline">{}</ol>', items) if rows else SafeString("Nothing yet.")
    )
