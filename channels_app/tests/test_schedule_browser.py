"""The week grid of a schedule, in a real browser."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from channels_app.models import Channel
from ytops.tests import examples
from ytops.tests.admin_client import url
from ytops.tests.browser import chromium, needs_chromium

pytestmark = [needs_chromium, pytest.mark.once, pytest.mark.django_db(transaction=True)]

SCHEDULE = {
    "timezone": "Europe/Berlin",
    "slots": {"tue": ["18:00"], "sat": ["09:30", "20:00"]},
    "jitter_minutes": 5,
    "blackout_days": ["2026-12-24"],
}


takes_long = pytest.mark.skipif(os.environ.get("YTOPS_PROVE") != "1", reason="make prove runs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def channel() -> Channel:
    return examples.channel(schedule=SCHEDULE)


@pytest.fixture
def page(browser: Browser, live_server: Any, page_of: Client, channel: Channel) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(15_000)
    mistakes: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    session = page_of.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(live_server.url + url(channel, "change"))
    yield page
    context.close()
    assert mistakes == []


def day(page: Page, name: str) -> Any:
    return page.get_by_role("group", name=name)


def times(page: Page, name: str) -> list[str]:
    return [box.input_value() for box in day(page, name).get_by_role("textbox").all()]


def save(page: Page) -> None:
    page.click("text=Save and continue editing")
    page.wait_for_load_state()


def stored() -> Any:
    return Channel.objects.get().schedule


def test_times_and_days_are_added_changed_and_removed(page: Page) -> None:
    expect(page.locator("#id_schedule")).to_be_hidden()
    assert times(page, "Saturday") == ["09:30", "20:00"]

    page.get_by_role("button", name="Add a time on Tuesday").press("Enter")
    page.keyboard.type("730")  # the new box has the focus
    page.get_by_role("button", name="Remove Time on Saturday 09:30").press("Enter")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_label("Jitter, minutes").fill("")
    page.get_by_label("Valid from").fill("2026-12-01")
    page.get_by_role("button", name="Add a day without").click()
    page.locator('[data-key="blackout_days"] input').last.fill("2026-12-31")
    page.get_by_role("button", name="Remove Day without a publication 2026-12-24").click()
    save(page)

    expect(page.locator(".messagelist .success")).to_be_visible()
    assert stored() == {
        "timezone": "Asia/Tokyo",
        "slots": {"tue": ["07:30", "18:00"], "sat": ["20:00"]},
        "blackout_days": ["2026-12-31"],
        "valid_from": "2026-12-01",
    }
    assert times(page, "Tuesday") == ["07:30", "18:00"]
    assert page.get_by_label("Valid from").input_value() == "2026-12-01"
    instants = page.locator(".field-next_instants")
    expect(instants.locator("tbody tr")).to_have_count(10)
    expect(instants).to_contain_text("07:30 JST")

    save(page)
    expect(page.locator(".messagelist .success")).to_be_visible()
    page.goto(page.url.replace("/change/", "/history/"))
    expect(page.locator("#change-history")).to_contain_text("No fields changed.")


@takes_long
def test_a_mistake_is_said_beside_the_grid_and_what_was_typed_is_in_it(page: Page) -> None:
    page.get_by_label("Jitter, minutes").fill("many")
    day(page, "Tuesday").get_by_role("textbox").fill("25:00")
    save(page)
    expect(page.locator(".field-schedule .errorlist")).to_contain_text("25:00")
    assert page.get_by_label("Jitter, minutes").input_value() == "many"
    assert times(page, "Tuesday") == ["25:00"]
    assert stored() == SCHEDULE
    page.get_by_label("Jitter, minutes").fill("7")
    day(page, "Tuesday").get_by_role("textbox").fill("15:00")
    save(page)
    assert (stored()["jitter_minutes"], stored()["slots"]["tue"]) == (7, ["15:00"])


UNSHOWN = {
    '{"timezone": "UTC", "slots": {}': "no JSON",
    '{"timezone": "UTC", "slots": {}, "colour": "red"}': "“colour” is no key",
    '{"timezone": "UTC", "slots": {"monday": ["18:00"]}}': "“monday” is no day",
    '{"timezone": "UTC", "slots": {"mon": [18]}}': "“mon” is no list of times",
    '{"timezone": "UTC", "slots": []}': "“slots” is not what it should be",
    '{"timezone": "UTC", "timezone": "Asia/Tokyo", "slots": {}}': "a part would be lost",
    '{"timezone": "UTC", "slots": {}, "jitter_minutes": 1e1}': "a part would be lost",
    '{"timezone": "UTC", "slots": {}, "valid_from": 2026}': "“valid_from” is not what",
    "[]": "no object",
}


@takes_long
def test_what_the_grid_cannot_show_whole_stays_in_the_text_box(page: Page) -> None:
    page.click("text=As JSON")
    box, week = page.locator("#id_schedule"), page.locator(".schedule .week")
    for text, said in UNSHOWN.items():
        box.fill(text)
        expect(week).to_be_hidden()
        expect(page.locator(".schedule .problem")).to_contain_text(said)
        assert box.input_value() == text
    save(page)
    expect(page.locator(".field-schedule .errorlist")).to_contain_text("Expected an object")
    assert (box.input_value(), stored()) == ("[]", SCHEDULE)
    expect(week).to_be_hidden()

    box.fill('{"timezone": "UTC", "slots": {"sun": ["12:00"]}, "valid_until": "24.12.2026"}')
    expect(page.locator(".schedule .problem")).to_be_hidden()
    assert times(page, "Sunday") == ["12:00"]
    assert page.get_by_label("Valid until").input_value() == "24.12.2026"


@takes_long
def test_a_schedule_is_begun_and_taken_away_in_the_grid(page: Page, channel: Channel) -> None:
    channel.save_fields(schedule={})
    page.reload()
    assert times(page, "Monday") == []
    page.get_by_label("Time zone").fill("UTC")
    box = page.locator("#id_schedule")
    assert json.loads(box.input_value()) == {"timezone": "UTC", "slots": {}}
    page.get_by_role("button", name="Add a time on Monday").click()
    assert json.loads(box.input_value()) == {"timezone": "UTC", "slots": {}}
    day(page, "Monday").get_by_role("textbox").fill("9")
    save(page)
    assert stored() == {"timezone": "UTC", "slots": {"mon": ["09:00"]}}
    page.get_by_role("button", name="Remove Time on Monday").click()
    page.get_by_label("Time zone").fill("")
    save(page)
    assert stored() == {}
    expect(page.locator(".field-next_instants")).to_contain_text("Cooking has no schedule.")


def test_without_scripts_there_is_the_text_box(
    page: Page, browser: Browser, channel: Channel
) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    bare = context.new_page()
    bare.goto(page.url)
    expect(bare.locator(".schedule .week")).to_be_hidden()
    bare.fill("#id_schedule", json.dumps({"timezone": "UTC", "slots": {"mon": ["18:00"]}}))
    save(bare)
    assert stored() == {"timezone": "UTC", "slots": {"mon": ["18:00"]}}
    context.close()
