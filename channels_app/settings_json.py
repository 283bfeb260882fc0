"""The shape of a channel's overrides: setting key → value."""

from typing import Any

from django.core.exceptions import ValidationError

from settings_app.layers import override_problem


def validate_settings(value: Any) -> None:
    """Refuse a key that no setting has, and a value that its setting does not accept."""
    if not isinstance(value, dict):
        return
    problems = [
        f'"{key}": {problem}'
        for key, override in value.items()
        if (problem := override_problem(key, override))
    ]
    if problems:
        raise ValidationError(problems)
