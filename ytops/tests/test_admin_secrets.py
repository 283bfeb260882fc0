"""Secrets in the admin: written, never shown."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db.secrets import Secret
from ytops.tests.admin_client import inputs, opened, post, url
from ytops.tests.examples import CREDENTIALS, PLAINTEXTS, channel

PAGES = ("change", "delete", "history")


def assert_no_plaintext(html: str) -> None:
    for plaintext in PLAINTEXTS:
        assert plaintext not in html


@pytest.mark.parametrize("page", [*PAGES, "changelist"])
def test_no_page_shows_a_secret(page: str, page_of: Client) -> None:
    row = channel()
    what: Any = Channel if page == "changelist" else row
    assert_no_plaintext(page_of.get(url(what, page)).content.decode())


@pytest.mark.parametrize("page", [*PAGES, "changelist"])
def test_a_row_whose_key_is_gone_breaks_no_page(
    page: str, page_of: Client, settings: Settings
) -> None:
    row = channel()
    settings.FERNET_KEYS = ["another-key-for-tests-0123456789abcdef"]
    what: Any = Channel if page == "changelist" else row
    response = page_of.get(url(what, page))
    assert response.status_code == 200
    if page == "change":
        assert "cannot decrypt: its key is not in FERNET_KEYS" in response.content.decode()


def test_a_row_whose_key_is_gone_can_be_saved_and_keeps_its_ciphertext(
    page_of: Client, settings: Settings
) -> None:
    row = channel()
    settings.FERNET_KEYS = ["another-key-for-tests-0123456789abcdef"]
    assert post(page_of, row, opened(page_of, row), name="Renamed").status_code == 302
    saved = Channel.objects.get()
    assert saved.name == "Renamed"
    assert saved.credentials == row.credentials


def test_a_row_whose_key_is_gone_can_be_deleted(page_of: Client, settings: Settings) -> None:
    row = channel()
    settings.FERNET_KEYS = ["another-key-for-tests-0123456789abcdef"]
    page_of.post(url(row, "delete"), {"post": "yes"})
    assert not Channel.objects.exists()


def test_credentials_are_entered_and_found_back(page_of: Client) -> None:
    row = channel(credentials=None)
    typed = json.dumps(CREDENTIALS)
    assert post(page_of, row, opened(page_of, row), credentials=typed).status_code == 302
    row.refresh_from_db()
    assert row.credentials is not None
    assert row.credentials.reveal() == CREDENTIALS
    page = page_of.get(url(row, "change")).content.decode()
    assert row.credentials.key_fingerprint() in page
    assert "authorized_user" in page


def test_left_blank_they_stay(page_of: Client) -> None:
    row = channel()
    post(page_of, row, opened(page_of, row), name="Renamed")
    assert Channel.objects.get().credentials == row.credentials


def test_they_can_be_removed(page_of: Client) -> None:
    row = channel()
    post(page_of, row, opened(page_of, row), **{"credentials-remove": "on"})
    assert Channel.objects.get().credentials is None


def test_after_an_error_elsewhere_they_wait_as_ciphertext(page_of: Client) -> None:
    row = channel(credentials=None)
    typed = json.dumps(CREDENTIALS)
    refused = post(page_of, row, opened(page_of, row), credentials=typed, schedule="{")
    html = refused.content.decode()
    assert_no_plaintext(html)
    again = inputs(html)
    assert again["credentials-pending"].startswith("fernet:")
    assert post(page_of, row, again, schedule="{}").status_code == 302
    saved = Channel.objects.get().credentials
    assert saved is not None
    assert saved.reveal() == CREDENTIALS


def test_a_client_file_is_said_to_be_not_enough(page_of: Client) -> None:
    part = {"client_id": "a", "client_secret": "plaintext-of-the-client", "token_uri": "https://x"}
    row = channel(credentials={"installed": part})
    page = page_of.get(url(row, "change")).content.decode()
    assert "It alone cannot publish" in page
    assert_no_plaintext(page)


def test_the_history_names_the_field_and_no_value(page_of: Client) -> None:
    row = channel(credentials=None)
    post(page_of, row, opened(page_of, row), credentials=json.dumps(CREDENTIALS))
    entry = LogEntry.objects.get()
    assert "Credentials" in entry.get_change_message()
    assert_no_plaintext(entry.change_message)


def test_a_secret_setting_shows_a_mask_in_the_list(page_of: Client) -> None:
    rows = SystemConfiguration.objects.filter(key="github.token")
    rows.update(secret="plaintext-of-the-token")
    html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
    assert "********" in html
    assert_no_plaintext(html)


def test_a_secret_setting_is_set_by_form_and_shown_nowhere(page_of: Client) -> None:
    row = SystemConfiguration.objects.get(key="github.token")
    for number in range(2):
        values = {"secret": f"plaintext-of-the-token{number}"}
        assert post(page_of, row, opened(page_of, row), **values).status_code == 302
    row.refresh_from_db()
    assert isinstance(row.secret, Secret)
    assert row.secret.reveal() == "plaintext-of-the-token1"
    for page in ("changelist", *PAGES):
        what: Any = SystemConfiguration if page == "changelist" else row
        assert_no_plaintext(page_of.get(url(what, page), follow=True).content.decode())
