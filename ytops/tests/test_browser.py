"""An operator at work, in a real browser."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from channels_app.models import Channel
from jobs_app.models import VideoProcessingJob
from settings_app.models import ConfigurationChange, SystemConfiguration
from stats_app.models import ChannelStatistics
from ytops.tests import examples
from ytops.tests.browser import chromium, needs_chromium
from ytops.tests.examples import CREDENTIALS, PLAINTEXTS, one_of_each

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True)]

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data"
OURS = Path(__file__).resolve().parents[2] / "stats_app" / "tests" / "answers"
SCHEDULE = {"timezone": "Europe/Berlin", "slots": {"tue": ["18:00"], "sat": ["09:30", "20:00"]}}
SETTINGS = {"publish.posts_per_day": 3}
LONG = "x" * 100


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, live_server: Any, page_of: Client) -> Iterator[Page]:
    """A page of the operator, logged in; a mistake in any script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    mistakes: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda said: mistakes.append(said.text) if said.type == "error" else None)
    session = page_of.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    yield page
    context.close()
    assert mistakes == []


def answers() -> tuple[Path, dict[str, str]]:
    """A channels.list answer and credentials: the recorded ones where they are, else ours."""
    recorded = RECORDED / "youtube-api-responses" / "channels" / "info_multiple.json"
    if recorded.exists():
        text = (RECORDED / "google-auth" / "authorized_user.json").read_text()
        return recorded, json.loads(text)
    return OURS / "channels.json", CREDENTIALS


def test_an_operator_edits_an_imported_channel_and_finds_everything_back(
    page: Page, live_server: Any
) -> None:
    answer, credentials = answers()
    name = json.loads(answer.read_text())["items"][0]["snippet"]["title"]
    call_command("import_youtube", str(answer))

    page.context.clear_cookies()
    page.goto(live_server.url)
    page.fill("#id_username", "operator")
    page.fill("#id_password", "operator")
    page.click("input[type=submit]")
    page.click("#nav-sidebar >> text=Channels >> nth=-1")
    page.locator("#result_list").get_by_role("link", name=name, exact=True).click()
    page.fill("#id_credentials", json.dumps(credentials))
    page.fill('[name="publish.posts_per_day"]', "3")
    page.click("text=As JSON")
    page.fill("#id_schedule", json.dumps(SCHEDULE))
    page.click("text=Save and continue editing")
    expect(page.locator(".messagelist .success")).to_contain_text("changed successfully")

    page.goto(page.url)
    assert page.input_value('[name="publish.posts_per_day"]') == "3"
    assert json.loads(page.input_value("#id_schedule")) == SCHEDULE
    expect(page.locator(".field-credentials_kind")).to_contain_text("authorized_user")
    assert page.input_value("#id_credentials") == ""
    for secret in ("refresh_token", "client_secret"):
        assert credentials[secret] not in page.locator("#channel_form").inner_text()
    expect(page.locator(".panels")).to_contain_text("Statistics")

    channel = Channel.objects.get(name=name)
    assert channel.credentials is not None
    assert channel.credentials.reveal() == credentials
    assert (channel.settings, channel.schedule) == (SETTINGS, SCHEDULE)
    assert ChannelStatistics.objects.filter(channel=channel).count() == 1


def test_a_mistake_is_said_beside_its_field_and_nothing_typed_is_lost(
    page: Page, live_server: Any
) -> None:
    channel = one_of_each()[Channel]
    page.goto(f"{live_server.url}/admin/channels_app/channel/{channel.pk}/change/")
    page.fill("#id_name", "Renamed")
    page.fill("#id_credentials", json.dumps(CREDENTIALS))
    page.fill('[data-key="timezone"]', "Europe/Berln")
    page.click("input[name=_save]")
    expect(page.locator(".field-schedule .errorlist")).to_contain_text("Europe/Berlin")
    assert page.input_value("#id_name") == "Renamed"
    assert "Berln" in page.input_value("#id_schedule")
    assert not any(plaintext in page.content() for plaintext in PLAINTEXTS)
    page.fill('[data-key="timezone"]', "Europe/Berlin")
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    channel.refresh_from_db()
    assert channel.name == "Renamed"
    assert channel.credentials is not None
    assert channel.credentials.reveal() == CREDENTIALS


def test_two_operators_do_not_overwrite_each_other(page: Page, live_server: Any) -> None:
    channel = one_of_each()[Channel]
    address = f"{live_server.url}/admin/channels_app/channel/{channel.pk}/change/"
    other = page.context.new_page()
    page.goto(address)
    other.goto(address)
    other.fill("#id_name", "Theirs")
    other.click("input[name=_save]")
    expect(other.locator(".messagelist .success")).to_be_visible()
    page.fill("#id_name", "Ours")
    page.click("input[name=_save]")
    expect(page.locator(".field-name .errorlist")).to_contain_text("It is now “Theirs”")
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    channel.refresh_from_db()
    assert channel.name == "Ours"


WINDOWS: list[tuple[int, Any]] = [(1280, "dark"), (390, "light")]


@pytest.mark.once
def test_every_page_fits_its_window_and_can_be_read(page: Page, live_server: Any) -> None:
    made = one_of_each()
    channel = made[Channel]
    overrides = {"publish.posts_per_day": LONG, "publish.no_such_key": 1, LONG: LONG}
    Channel.objects.update(settings=overrides)
    change = {"key": LONG, "old": LONG, "by": "operator", "through": "admin"}
    ConfigurationChange.objects.create(channel_id=channel.pk, **change)
    configuration = SystemConfiguration.objects
    configuration.filter(key="jobs.lease_seconds").update(value=LONG)
    rows = [*made.values(), *configuration.filter(key__in=["jobs.lease_seconds", "github.token"])]
    pages = ["/admin/"]
    for row in rows:
        base = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
        pages += [base, f"{base}{row.pk}/change/"]
    for address in pages:
        page.goto(live_server.url + address)
        fits_and_can_be_read(page)
    User.objects.update(is_superuser=False)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_channel"))
    page.goto(f"{live_server.url}/admin/channels_app/channel/{channel.pk}/change/")
    fits_and_can_be_read(page)


def fits_and_can_be_read(page: Page) -> None:
    """On a screen at night and, at last, on a phone by day."""
    # Else a colour is measured on its way from one scheme to the other.
    page.add_style_tag(content="* { transition: none !important }")
    for width, scheme in WINDOWS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        for wide in page.evaluate(WIDE):
            raise AssertionError(f"{page.url}: too wide for {width}: {wide}")
        for faint in page.evaluate(FAINT):
            raise AssertionError(f"{page.url}: too little contrast, {scheme}: {faint}")


WIDE = """() => [...document.querySelectorAll(":root, .panel:has(.cards), .help")]
  .filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText.slice(0, 40))"""

# The contrast ratio of WCAG 2.2, 1.4.3: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
FAINT = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll("#container *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.closest("svg, option, .visually-hidden")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ` +
      e.textContent.trim().slice(0, 40));
  }
  return faint;
}"""


def test_a_publication_in_doubt_is_answered_on_a_phone(page: Page, live_server: Any) -> None:
    due = timezone.now() - timedelta(minutes=1)
    video = examples.video(status="transformed", scheduled_for=due)
    examples.job(video, kind="publish", run_at=due)
    VideoProcessingJob.objects.claim(worker="bench-01")[0].fail(LONG)
    page.goto(f"{live_server.url}/admin/videos_app/video/{video.pk}/change/")
    fits_and_can_be_read(page)
    page.fill("#id_youtube", "no id")
    page.click("text=It is out, as this video")
    expect(page.locator(".review .errorlist")).to_contain_text("11 letters")
    assert page.input_value("#id_youtube") == "no id"
    fits_and_can_be_read(page)
    page.fill("#id_youtube", "https://youtu.be/D-lhorsDlUQ")
    page.keyboard.press("Enter")
    expect(page.locator(".now")).to_contain_text("as D-lhorsDlUQ")
    page.reload()
    fits_and_can_be_read(page)
    video.refresh_from_db()
    assert (video.status, video.youtube_video_id) == ("published", "D-lhorsDlUQ")


@pytest.mark.once
def test_the_keyboard_alone_is_enough(page: Page, live_server: Any) -> None:
    channel = one_of_each()[Channel]
    page.goto(f"{live_server.url}/admin/channels_app/channel/{channel.pk}/change/")
    page.focus("#id_name")
    page.keyboard.press("End")
    page.keyboard.type(" renamed")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist .success")).to_be_visible()
    channel.refresh_from_db()
    assert channel.name == "Cooking 0 renamed"
