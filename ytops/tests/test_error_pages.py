"""Error pages and error mails show no secret, whatever went wrong where."""

import sys
from secrets import token_urlsafe

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.views.debug import ExceptionReporter, technical_500_response
from pytest_django import Settings

from channels_app.models import Channel
from ytops.db.secrets import Secret

# Not literals: a page shows lines of the source, and these would be among them.
POSTED, STORED, PASSWORD = (token_urlsafe(24) for _ in range(3))
DATABASE_URL = f"postgresql://user:{PASSWORD}@host/name"


def fails(request: HttpRequest) -> HttpResponse:
    plain = request.POST.get("credentials")
    nested = {"deep": [Channel(name="Cooking").name, Secret.encrypt(STORED).reveal()]}
    raise RuntimeError(f"of {len(nested)} and {bool(plain)}")


urlpatterns = [path("fails", fails)]


def request_with_everything() -> HttpRequest:
    return RequestFactory().post(
        "/fails",
        {"credentials": POSTED},
        HTTP_AUTHORIZATION=f"Bearer {POSTED}",
        HTTP_COOKIE=f"{django_settings.SESSION_COOKIE_NAME}={POSTED}",
        DATABASE_URL=DATABASE_URL,
        FERNET_KEYS=",".join(django_settings.FERNET_KEYS),
        HTTP_USER_AGENT="a browser",
    )


def shown(page: str) -> list[str]:
    keys = [django_settings.SECRET_KEY, *django_settings.FERNET_KEYS]
    secrets = [POSTED, STORED, DATABASE_URL, PASSWORD, *keys]
    return [secret for secret in secrets if secret in page]


def reports(request: HttpRequest) -> list[str]:
    """The page, the page for a client that is no browser, and what a mail would hold."""
    try:
        fails(request)
    except RuntimeError:
        reporter = ExceptionReporter(request, *sys.exc_info())
        page = technical_500_response(request, *sys.exc_info()).content.decode()
    return [reporter.get_traceback_html(), reporter.get_traceback_text(), page]


@pytest.mark.parametrize("debug", [True, False])
def test_no_report_shows_a_secret(debug: bool, settings: Settings) -> None:
    settings.DEBUG = debug
    settings.SOME_SERVICE_URL = DATABASE_URL
    for page in reports(request_with_everything()):
        # Or there would be nothing to find it in:
        assert "RuntimeError" in page
        assert "credentials" in page
        assert "a browser" in page
        assert not shown(page)


@pytest.mark.parametrize("debug", [True, False])
def test_no_page_shows_a_secret(debug: bool, settings: Settings) -> None:
    settings.DEBUG = debug
    settings.ROOT_URLCONF = __name__
    client = Client(raise_request_exception=False)
    for accepted in ("text/html", "text/plain"):
        response = client.post("/fails", {"credentials": POSTED}, HTTP_ACCEPT=accepted)
        assert response.status_code == 500
        page = response.content.decode()
        assert ("RuntimeError" in page) is debug
        assert not shown(page)


def test_a_report_without_a_request() -> None:
    try:
        raise RuntimeError
    except RuntimeError:
        page = ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
    assert not shown(page)
