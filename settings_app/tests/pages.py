"""The pages of settings in the admin, as a test opens and posts them."""

from typing import Any

from django.test import Client

from settings_app.models import SystemConfiguration
from ytops.tests.admin_client import opened, post, url, words

POSTS = "publish.posts_per_day"
ROWS = SystemConfiguration.objects


def row(key: str) -> SystemConfiguration:
    return ROWS.get_or_create(key=key)[0]


def page(client: Client, key: str) -> str:
    return client.get(url(row(key), "change")).content.decode()


def save(client: Client, key: str, **changes: Any) -> Any:
    what = row(key)
    return post(client, what, opened(client, what), **changes)


def said_after(response: Any, client: Client) -> str:
    return words(client.get(response["Location"]).content.decode())


def field_errors(response: Any, name: str = "value") -> str:
    assert response.status_code == 200, "the form was accepted"
    return str(response.context["adminform"].form.errors[name])
