"""The shape of a channel's overrides: setting key → value."""

from typing import Any

from django.core.exceptions import ValidationError


def validate_settings(value: Any) -> None:
    """Refuse null, which no setting takes: leaving a key out is how one inherits."""
    if not isinstance(value, dict):
        return
    for key, override in value.items():
        if override is None:
            raise ValidationError(
                f'"{key}" is null, which no setting accepts: leave the key out to inherit.',
                code="null_override",  # for "null" a field has a message of its own
            )
