"""What `manage.py check` says of the layers that stop the start."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from settings_app.static_layers import static_layers
from ytops.startup import STARTUP

IDS = {"environment": "settings_app.E001", "file": "settings_app.E002"}


@register(STARTUP)
def environment_and_file_are_valid(**kwargs: Any) -> list[CheckMessage]:
    return [Error(str(problem), id=IDS[problem.source]) for problem in static_layers().problems]
