"""The shapes of Google credentials that a channel can hold."""

from typing import Any

from django.core.exceptions import ValidationError

from ytops.db.nearest import did_you_mean

# https://google-auth.readthedocs.io/en/stable/reference/google.oauth2.credentials.html
USER_FIELDS = ("client_id", "client_secret", "refresh_token")
# https://developers.google.com/api-client-library/dotnet/guide/aaa_client_secrets
CLIENT_FIELDS = ("client_id", "client_secret", "token_uri")
CLIENT_KINDS = ("installed", "web")


def kind_of(value: Any) -> str:
    """ "authorized_user", or "installed" or "web" for a client file; else ValidationError.

    The message names the missing field and never quotes a value.
    """
    if not isinstance(value, dict):
        raise ValidationError("Expected Google's JSON: an object.", code="not_an_object")
    for kind in CLIENT_KINDS:
        if kind in value:
            _require(value[kind], CLIENT_FIELDS, f"The client file's “{kind}” part")
            return kind
    # Credentials.to_json() of google-auth writes the same fields without a type.
    if value.get("type", "authorized_user") != "authorized_user":
        raise ValidationError(
            "Credentials of this type cannot act for a channel: expected "
            "“type”: “authorized_user”.",
            code="wrong_type",
        )
    if not set(USER_FIELDS) & set(value):
        unknown = next(iter(value), "")
        raise ValidationError(
            f"These are no credentials that ytops knows: expected {', '.join(USER_FIELDS)}, or a "
            f"client file with “installed” or “web”.{did_you_mean(str(unknown), CLIENT_KINDS)}",
            code="unknown_kind",
        )
    _require(value, USER_FIELDS, "The credentials")
    return "authorized_user"


def _require(part: Any, fields: tuple[str, ...], where: str) -> None:
    if not isinstance(part, dict):
        raise ValidationError(f"{where} must be an object.", code="not_an_object")
    for field in fields:
        if not isinstance(part.get(field), str) or not part[field].strip():
            raise ValidationError(
                f"{where} must have {field}, a text that is not empty.", code="missing"
            )


def validate_credentials(value: Any) -> None:
    kind_of(value)
