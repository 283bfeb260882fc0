"""How values look in the admin."""

from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
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
    # The layers of the configuration: where a person has set something.
    "environment": "warn",
    "channel": "good",
    "database": "good",
    "file": "busy",
}


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


def moment(text: Any) -> Any:
    """An ISO 8601 time as the admin shows times; anything else as it is."""
    try:
        return date_format(localtime(datetime.fromisoformat(text)), "DATETIME_FORMAT")
    except (TypeError, ValueError, OverflowError):
        return text


def timeline(history: Any) -> SafeString:
    """A processing history, oldest first; whatever stands in it, nothing breaks the page."""
    if not isinstance(history, list) or not history:
        return SafeString("Nothing yet.")
    rows = []
    for entry in history:
        if not isinstance(entry, dict):
            rows.append((entry, "", ""))
            continue
        move = f"{entry.get('from') or 'new'} → {entry.get('to', '?')}"
        who = ", ".join(str(entry[key]) for key in ("by", "why") if entry.get(key))
        rows.append((move, moment(entry.get("at", "")), who))
    items = format_html_join(
        "", "<li><strong>{}</strong> <time>{}</time> <span>{}</span></li>", rows
    )
    return format_html('<ol class="timeline">{}</ol>', items)
