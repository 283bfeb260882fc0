"""The schedule on a channel's page, without a browser."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from channels_app.models import Channel
from channels_app.schedule import DAYS
from ytops.tests import examples
from ytops.tests.admin_client import opened, post, url, words

pytestmark = pytest.mark.django_db

DAILY = {"timezone": "Asia/Tokyo", "slots": {day: ["09:00", "10:00", "11:00"] for day in DAYS}}


def page(client: Client, channel: Channel) -> str:
    return words(client.get(url(channel, "change")).content.decode())


def test_the_next_ten_are_shown_with_the_rules_and_what_is_passed_over(page_of: Client) -> None:
    overrides = {"publish.posts_per_day": 1}
    said = page(page_of, examples.channel(schedule=DAILY, settings=overrides))
    assert "Asia/Tokyo, at most 1 a day (publish.posts_per_day), at least 120 min apart" in said
    assert said.count("09:00 JST") + said.count("10:00 JST") + said.count("11:00 JST") == 10
    assert "10:00: the day has its post already (publish.posts_per_day)" in said
    assert said.count(" UTC ") >= 10


def test_of_many_that_are_passed_over_two_are_named(page_of: Client) -> None:
    hours = [f"{hour:02}:00" for hour in range(24)]
    schedule = {"timezone": "UTC", "slots": dict.fromkeys(DAYS, hours)}
    channel = examples.channel(schedule=schedule, settings={"publish.posts_per_day": 1})
    assert "and 21 more" in page(page_of, channel)


def test_who_may_only_look_sees_them_too(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_channel"))
    client.force_login(viewer)
    said = page(client, examples.channel(schedule=DAILY))
    assert "Next free instants" in said
    assert "09:00 JST" in said


def test_after_a_save_they_are_those_of_the_new_schedule(page_of: Client) -> None:
    channel = examples.channel(schedule=DAILY)
    edited = '{"timezone": "UTC", "slots": {"sun": ["04:44"]}}'
    post(page_of, channel, opened(page_of, channel), schedule=edited)
    said = page(page_of, channel)
    assert said.count("04:44 UTC") == 20
    assert "JST" not in said


def test_after_a_refused_save_they_are_those_of_the_stored_schedule(page_of: Client) -> None:
    channel = examples.channel(schedule=DAILY)
    edited = '{"timezone": "UTC", "slots": {"sun": ["04:44"]}}'
    answer = post(page_of, channel, opened(page_of, channel), schedule=edited, name="")
    said = words(answer.content.decode())
    assert "This field is required." in said
    assert "09:00 JST" in said
    assert "04:44 UTC" not in said


def test_a_new_channel_has_the_grid_and_no_instants_yet(page_of: Client) -> None:
    html = page_of.get(url(Channel, "add")).content.decode()
    assert 'data-day="mon"' in html
    assert "Shown once it is saved." in html


@pytest.mark.parametrize("text", ['{"timezone": "Berlin"}', '{"timezone": ' + "1" * 5000 + "}"])
def test_a_schedule_that_was_stored_wrong_breaks_no_page(page_of: Client, text: str) -> None:
    channel = examples.channel()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET schedule = %s", [text])
    assert "The schedule of Cooking is wrong: " in page(page_of, channel)
    assert page_of.get(url(Channel, "changelist")).status_code == 200


def test_the_text_box_left_alone_is_no_change(page_of: Client) -> None:
    schedule: dict[str, Any] = {"slots": {"sun": [], "mon": ["18:00"]}, "timezone": "UTC"}
    channel = examples.channel(schedule=schedule)
    values = opened(page_of, channel)
    Channel.objects.update(schedule=DAILY)  # somebody else
    post(page_of, channel, values, name="Renamed")
    channel.refresh_from_db()
    assert (channel.name, channel.schedule) == ("Renamed", DAILY)
