"""A line chart as SVG, drawn on the server: no script, and it follows the page's colours."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT, MARGIN = 640, 120, 6


def line_chart(label: str, points: Sequence[tuple[datetime, int]]) -> SafeString:
    """The points, oldest first, on axes of time and of the span of the counts."""
    across = _scaled([time.timestamp() for time, _ in points], WIDTH)
    up = _scaled([count for _, count in points], HEIGHT)
    path = " ".join(f"{x:.1f},{HEIGHT - y:.1f}" for x, y in zip(across, up, strict=True))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><polyline points="{}"/></svg>',
        WIDTH,
        HEIGHT,
        label,
        path,
    )


def _scaled(values: Sequence[float], size: int) -> list[float]:
    """From the lowest at the margin to the highest at size less the margin; in the middle if all
    are equal."""
    low, high = min(values), max(values)
    if low == high:
        return [size / 2] * len(values)
    return [MARGIN + (value - low) / (high - low) * (size - 2 * MARGIN) for value in values]
