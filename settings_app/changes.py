"""Changes of settings that a person makes: checked, recorded, and able to be taken up again."""

import json
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.crypto import salted_hmac

from settings_app import scope
from settings_app.layers import masked
from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import UNSET, Setting, find
from ytops.db.secrets import CannotDecrypt, Secret
from ytops.db.strict_json import validate_storable

IN_CLEAR = "in clear"  # in place of a fingerprint: a secret that somebody left so
EMPTY_KEY = '""'
NOT_RECORDED = "Of a secret only a fingerprint is kept: it cannot be restored, set it anew."


def fingerprint(secret: Secret | None) -> str:
    """Eight hex digits, equal for equal secrets, that tell nothing without SECRET_KEY."""
    if secret is None:
        return ""
    try:
        return salted_hmac(__name__, secret.reveal(), algorithm="sha256").hexdigest()[:8]
    except CannotDecrypt:
        return "unknown"


def change(
    setting: Setting[Any], value: Any, *, by: str, through: str, channel: Any | None = None
) -> ConfigurationChange | None:
    """Set a setting for the system or for a channel; UNSET lets it inherit again.

    None if nothing differs. ValidationError if it is refused, and then nothing is changed.
    """
    refuse_if_fixed(setting, channel)
    if value is not UNSET:
        value = setting.clean(value)
    with transaction.atomic():
        if channel is None:
            changed = _set_row(setting, value)
        else:
            changed = _set_override(scope.locked(channel.pk), setting.key, value)
        return _recorded(setting.key, changed, by, through)


def remove_override(channel: Any, key: str, *, by: str, through: str) -> ConfigurationChange | None:
    """Take out an entry of a channel's settings, whether or not a setting has its key."""
    with transaction.atomic():
        changed = _set_override(scope.locked(channel.pk), key, UNSET)
        return _recorded(key, changed, by, through)


def _recorded(
    key: str, changed: dict[str, Any] | None, by: str, through: str
) -> ConfigurationChange | None:
    if changed is None:
        return None
    return ConfigurationChange.objects.create(
        key=recordable(key)[:200] or EMPTY_KEY, by=by[:200], through=through, **changed
    )


def refuse_if_fixed(setting: Setting[Any], channel: Any | None = None) -> None:
    """ValidationError for a setting that cannot be changed there."""
    if setting.pinned:
        raise ValidationError(
            f"{setting.key} is pinned by the environment variable {setting.environment_name}: "
            "it is changed there alone.",
            code="pinned",
        )
    if channel is not None and not setting.per_channel:
        raise ValidationError(
            f"{setting.key} is not per channel: it holds for the whole system.", code="scope"
        )


def _set_row(setting: Setting[Any], value: Any) -> dict[str, Any] | None:
    """The columns of ConfigurationChange that say what was changed, or None."""
    rows = SystemConfiguration.objects
    rows.get_or_create(key=setting.key, defaults={"encrypted": setting.secret})
    row = rows.select_for_update().get(key=setting.key)
    new = None if value is UNSET else value
    changed: dict[str, Any] = {"old_fingerprint": fingerprint(row.secret)}
    if setting.secret:
        same = _same_secret(row.secret, new) and row.value is None
        changed["new_fingerprint"] = fingerprint(new)
        if row.value is not None:
            changed["old_fingerprint"] = IN_CLEAR
        row.value, row.secret = None, new
    else:
        same = _same(row.value, new) and row.secret is None
        changed |= {"old": recordable(row.value), "new": new}
        row.value, row.secret = new, None
    if same:
        return None
    row.encrypted = setting.secret
    row.save(update_fields=["value", "secret", "encrypted"])
    return changed


def _set_override(channel: Any, key: str, value: Any) -> dict[str, Any] | None:
    """The columns of ConfigurationChange that say what was changed, or None."""
    stuck = stuck_overrides(channel)
    if stuck and (key not in stuck or value is not UNSET):
        refuse_if_stuck(channel)
    overrides = {name: entry for name, entry in channel.settings.items() if name not in stuck}
    # They go together: with one of them left, the others could not be saved.
    old: Any = {name: masked(name, entry) for name, entry in stuck.items()}
    old = old or overrides.pop(key, None)
    if value is not UNSET:
        overrides[key] = value
    if _same(channel.settings, overrides):
        return None
    channel.save_fields(settings=overrides)
    changed = {"channel_id": channel.pk, "channel_name": str(channel)}
    if masked(key, old) != old:
        return changed | {"old_fingerprint": IN_CLEAR}
    return changed | {"old": recordable(old), "new": None if value is UNSET else value}


def stuck_overrides(channel: Any) -> dict[str, Any]:
    """Entries, by other hands, that the database could not take again; with them, none is saved."""
    if not isinstance(channel.settings, dict):
        raise ValidationError(f'The settings of "{channel}" are JSON that cannot be read.')
    return {
        name: entry
        for name, entry in channel.settings.items()
        if recordable({name: entry}) != {name: entry}
    }


def refuse_if_stuck(channel: Any) -> None:
    """ValidationError if a change of another override could not be saved."""
    if stuck := stuck_overrides(channel):
        raise ValidationError(
            f'The settings of "{channel}" hold what cannot be stored, under '
            f"{', '.join(map(ascii, stuck))}: first take it out, `config unset KEY --channel` "
            "takes out all of it."
        )


def recordable(value: Any) -> Any:
    """What the history can keep of a value that stood there wrong."""
    try:
        validate_storable(value)
    except ValidationError:
        return ascii(value)[:200]
    return value


def _same(one: Any, other: Any) -> bool:
    """As JSON: 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _same_secret(one: Secret | None, other: Secret | None) -> bool:
    if one is None or other is None:
        return one is other
    try:
        return bool(one.reveal() == other.reveal())
    except CannotDecrypt:
        return False


def restore(pk: str, *, by: str) -> tuple[ConfigurationChange, ConfigurationChange | None]:
    """Set a setting again to what a change once made it; that change, and the new one if any.

    ValidationError if there is no such change, or what it set is not kept or no longer accepted.
    """
    try:
        past = ConfigurationChange.objects.get(pk=UUID(pk))
    except (ValueError, ConfigurationChange.DoesNotExist):
        raise ValidationError(
            f'There is no change "{pk}": `config history` shows their ids.', code="unknown"
        ) from None
    setting = find(past.key)
    if past.new_fingerprint or (setting.secret and past.old_fingerprint):
        raise ValidationError(NOT_RECORDED, code="secret")
    channel = scope.find(str(past.channel_id)) if past.channel_id else None
    value = UNSET if past.new is None else past.new
    through = ConfigurationChange.Through.COMMAND
    return past, change(setting, value, by=by, through=through, channel=channel)
