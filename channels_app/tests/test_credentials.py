import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from channels_app.credentials import kind_of

USER = {"client_id": "id", "client_secret": "hunter2", "refresh_token": "hunter3"}
CLIENT = {
    "client_id": "id",
    "client_secret": "hunter2",
    "token_uri": "https://oauth2.googleapis.com/token",
    "redirect_uris": ["http://localhost"],
}
# What google-auth's Credentials.to_json() writes.
TO_JSON = {
    **USER,
    "token": "hunter4",
    "token_uri": "https://oauth2.googleapis.com/token",
    "scopes": ["https://www.googleapis.com/auth/youtube.upload"],
    "universe_domain": "googleapis.com",
    "account": "",
    "expiry": "2026-01-01T00:00:00.000000Z",
}
GOOGLES_OWN = Path(settings.BASE_DIR).parent / "shared" / "data" / "google-auth"


def refusal(value: Any) -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        kind_of(value)
    assert "hunter" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"type": "authorized_user", **USER}, "authorized_user"),
        (USER, "authorized_user"),
        (TO_JSON, "authorized_user"),
        ({"installed": CLIENT}, "installed"),
        ({"web": CLIENT}, "web"),
    ],
    ids=["authorized_user", "without a type", "to_json", "installed", "web"],
)
def test_taken(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


@pytest.mark.parametrize("missing", USER)
@pytest.mark.parametrize("instead", [None, "", "  ", 5, ["hunter2"], "left out"])
def test_a_missing_field_of_a_user_is_named(missing: str, instead: Any) -> None:
    value = {**USER, missing: instead}
    if instead == "left out":
        del value[missing]
    error = refusal(value)
    assert error.code == "missing"
    assert error.message == f"The credentials must have {missing}, a text that is not empty."


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "token_uri"])
@pytest.mark.parametrize("kind", ["installed", "web"])
def test_a_missing_field_of_a_client_file_is_named(kind: str, missing: str) -> None:
    part = {name: value for name, value in CLIENT.items() if name != missing}
    assert f"“{kind}” part must have {missing}" in refusal({kind: part}).message


@pytest.mark.parametrize("part", ["hunter2", None, ["hunter2"], 5])
def test_a_client_file_with_no_object_in_it_is_refused(part: Any) -> None:
    assert refusal({"web": part}).code == "not_an_object"


@pytest.mark.parametrize("value", ["hunter2", ["hunter2"], None, 5, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert refusal(value).code == "not_an_object"


@pytest.mark.parametrize("kind", ["service_account", "external_account", "", None, 5, ["hunter2"]])
def test_another_type_is_refused(kind: Any) -> None:
    assert refusal({**USER, "type": kind}).code == "wrong_type"


@pytest.mark.parametrize("value", [{}, {"token": "hunter2"}, {"unsupported": CLIENT}, {1: 2}])
def test_an_unknown_kind_is_refused(value: Any) -> None:
    assert refusal(value).code == "unknown_kind"


def test_a_misspelt_client_file_gets_the_nearest() -> None:
    assert 'Did you mean "installed"?' in refusal({"instaled": CLIENT}).message


@pytest.mark.skipif(not GOOGLES_OWN.is_dir(), reason="google-auth's test files are not beside us")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("authorized_user.json", "authorized_user"),
        ("authorized_user_with_rapt_token.json", "authorized_user"),
        ("client_secret_installed_good.json", "installed"),
        ("client_secret_web.json", "web"),
        ("client_secrets.json", "web"),
        ("client_secret_installed_bad.json", "must have client_secret"),
        ("client_secret_unsupported.json", "no credentials that ytops knows"),
    ],
)
def test_googles_own_files(name: str, expected: str) -> None:
    value = json.loads((GOOGLES_OWN / name).read_text(encoding="utf-8"))
    try:
        found = kind_of(value)
    except ValidationError as error:
        found = str(error.message)
    assert expected in found
