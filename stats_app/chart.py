"""A line chart as SVG, drawn on the server: no script, and it follows the page's colours."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT, MARGIN = 640, 120, 6


def line_chart(label: str, points: Sequence[tuple[datetime, int]]) -> SafeString:
    """The points, oldest first, on axes of time and of the span of the counts."""
    times = [time.timestamp() for time, _ in points]
    counts = [count for _, count in points]
    path = " ".join(
        f"{_place(time, times, WIDTH):.1f},{HEIGHT - _place(count, counts, HEIGHT):.1f}"
        for time, count in zip(times, counts, strict=True)
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><polyline points="{}"/></svg>',
        WIDTH,
        HEIGHT,
        label,
        path,
    )


def _place(value: float, values: Sequence[float], size: int) -> float:
    low, high = min(values), max(values)
    share = (value - low) / (high - low) if high > low else 0.5
    return MARGIN + share * (size - 2 * MARGIN)
