"""Posts a page of the admin as a browser does: what the form shows, and what was changed in it."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.contrib.messages import get_messages
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags


def url(what: Model | type[Model], page: str) -> str:
    options = what._meta
    args = [what.pk] if isinstance(what, Model) else []
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=args)


class _Inputs(HTMLParser):
    """The successful controls of a page's change form."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.textarea: str | None = None
        self.select: str | None = None
        self.inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.inside = given.get("id", "").endswith("_form")
        name = given.get("name")
        if not self.inside:
            return
        if tag == "input" and name and given.get("type") != "submit":
            if given.get("type") != "checkbox":
                # What a browser holds in a line of text has no line ends.
                self.values[name] = given.get("value", "").replace("\n", "")
            elif "checked" in given:
                self.values[name] = given.get("value", "on")
        elif tag == "textarea" and name:
            self.textarea, self.values[name] = name, ""
        elif tag == "select" and name:
            self.select, self.values[name] = name, ""
        elif tag == "option" and self.select and "selected" in given:
            self.values[self.select] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.textarea:
            self.values[self.textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.textarea:
            self.values[self.textarea] = self.values[self.textarea].removeprefix("\n")
            self.textarea = None
        elif tag == "select":
            self.select = None
        elif tag == "form":
            self.inside = False


def inputs(html: str) -> dict[str, str]:
    parser = _Inputs()
    parser.feed(html)
    parser.values.pop("csrfmiddlewaretoken", None)
    return parser.values


def opened(client: Client, what: Model | type[Model]) -> dict[str, str]:
    """The values of the form as it is when its page is opened."""
    page = "change" if isinstance(what, Model) else "add"
    return inputs(client.get(url(what, page)).content.decode())


def post(
    client: Client, what: Model | type[Model], values: dict[str, str], **changes: Any
) -> HttpResponse:
    page = "change" if isinstance(what, Model) else "add"
    lines = (values | changes).items()
    data = {name: value.replace("\n", "\r\n") for name, value in lines if value is not None}
    return client.post(url(what, page), data)  # type: ignore[return-value]


def words(html: str) -> str:
    """The text of a page, and nothing of its markup."""
    return " ".join(
        unescape(strip_tags(re.sub("<(br|td|th|div|p|li|small)", r" <\1", html))).split()
    )


def page(client: Client, address: str) -> str:
    """The text of the page at this address."""
    return words(client.get(address).content.decode())


def press(client: Client, what: Model, name: str, **typed: str) -> HttpResponse:
    """The button of an action on an object's page."""
    address = url(what, "change").removesuffix("change/")
    return client.post(f"{address}do/{name}/", typed)  # type: ignore[return-value]


def in_list(client: Client, action: str, *rows: Model) -> list[str]:
    """What is said when an action is done with these rows of a list."""
    selected = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return said(client.post(url(type(rows[0]), "changelist"), selected))


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]
