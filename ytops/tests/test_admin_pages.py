"""Every page of the admin: it opens, and asks the database no more as its table grows."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from channels_app.models import Channel, Music, TransformationPreset
from jobs_app.models import VideoProcessingJob
from settings_app.models import SystemConfiguration
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.models import Video
from ytops.admin import lists
from ytops.admin.base import ModelAdmin
from ytops.tests.admin_client import said, url
from ytops.tests.examples import one_of_each, video

Count = Callable[[str], int]

# Two of each are the session and its user; lists count once and read once, and then come what
# their filters and the drill-down by date offer.
LISTS: dict[type[Model], int] = {
    TransformationPreset: 4,
    Music: 4,
    Channel: 5,
    Video: 8,
    VideoProcessingJob: 7,
    ChannelStatistics: 7,
    VideoStatistics: 7,
    SystemConfiguration: 4,
}
# A video's page tells its story and why it waits, and has its jobs and statistics; a channel's
# counts by state and draws, asks once for the settings of the system, once for the history of its
# own, once for what is stored and once for what is taken.
PAGES: dict[type[Model], int] = {
    TransformationPreset: 3,
    Music: 3,
    Channel: 24,
    Video: 12,
    VideoProcessingJob: 5,
    ChannelStatistics: 4,
    VideoStatistics: 4,
    SystemConfiguration: 4,
}
READ_ONLY = (ChannelStatistics, VideoStatistics)
NOT_BY_HAND = (*READ_ONLY, VideoProcessingJob)  # not added, and deleted with what they belong to


@pytest.fixture
def queries(page_of: Client) -> Count:
    def count(address: str) -> int:
        page_of.get(address)  # what a process asks but once, such as its content types
        with CaptureQueriesContext(
            connection,
        ) as captured:
            response = page_of.get(address)
        assert response.status_code == 200
        # The pool's health check of PostgreSQL is no query of ours.
        return sum(query["sql"] not in ("", "SELECT 1") for query in captured.captured_queries)

    return count


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model.__name__)
def test_a_list_asks_as_often_for_many_rows_as_for_two(model: type[Model], queries: Count) -> None:
    for number in range(2):
        one_of_each(number)
    few = queries(url(model, "changelist"))
    for number in range(2, 12):
        one_of_each(number)
    assert few == queries(url(model, "changelist")) == LISTS[model]


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_an_object_page_asks_a_fixed_number_of_times(model: type[Model], queries: Count) -> None:
    rows = one_of_each()
    for number in range(1, 5):
        one_of_each(number)
    assert queries(url(rows[model], "change")) == PAGES[model]


@pytest.mark.parametrize(
    "model", [m for m in PAGES if m not in (*NOT_BY_HAND, SystemConfiguration)]
)
def test_an_add_page_opens(model: type[Model], queries: Count) -> None:
    # What a new channel inherits is asked once.
    assert queries(url(model, "add")) == (3 if model is Channel else 2)


@pytest.mark.parametrize("model", [m for m in PAGES if m not in READ_ONLY])
def test_history_and_delete_pages_open(model: type[Model], page_of: Client) -> None:
    row = one_of_each()[model]
    assert page_of.get(url(row, "history")).status_code == 200
    expected = 403 if model in NOT_BY_HAND else 200
    assert page_of.get(url(row, "delete")).status_code == expected


@pytest.mark.parametrize("model", NOT_BY_HAND)
def test_what_a_machine_makes_is_not_added_by_hand(model: type[Model], page_of: Client) -> None:
    one_of_each()
    assert page_of.get(url(model, "add")).status_code == 403
    assert url(model, "add") not in page_of.get("/admin/").content.decode()


@pytest.mark.parametrize("model", READ_ONLY)
def test_statistics_are_read_only(model: type[Model], page_of: Client) -> None:
    row = one_of_each()[model]
    assert page_of.get(url(row, "delete")).status_code == 403
    assert page_of.post(url(row, "change"), {"view_count": "9"}).status_code == 403
    assert b'name="_save"' not in page_of.get(url(row, "change")).content


@pytest.mark.parametrize("term", ["pie", "0", "\x00", "'; --", "%", "😀", "2" * 40])
@pytest.mark.parametrize("model", LISTS, ids=lambda model: model.__name__)
def test_a_search_for_anything_opens(model: type[Model], term: str, page_of: Client) -> None:
    one_of_each()
    response = page_of.get(url(model, "changelist"), {"q": term})
    assert response.status_code == 200


def test_a_job_is_found_by_its_github_run(page_of: Client) -> None:
    job = one_of_each()[VideoProcessingJob]
    job.github_workflow_run_id = 12_345_678_901
    job.save()
    found = page_of.get(url(VideoProcessingJob, "changelist"), {"q": "12345678901"})
    assert b"1 processing job" in found.content
    other = page_of.get(url(VideoProcessingJob, "changelist"), {"q": "12345678902"})
    assert b"0 processing jobs" in other.content


def test_the_index_asks_a_fixed_number_of_times(queries: Count) -> None:
    for number in range(2):
        one_of_each(number)
    few = queries("/admin/")
    for number in range(2, 8):
        one_of_each(number)
    assert few == queries("/admin/") == 25


def test_the_index_shows_the_fleet(page_of: Client) -> None:
    one_of_each()[Video].move(Video.Status.NEEDS_REVIEW, by="a test")
    html = page_of.get("/admin/").content.decode()
    for words in ("Waiting for a person", "A pie", "Cooking 0", "5,000,000,000"):
        assert words in html


def test_statistics_are_drawn_and_tabled(page_of: Client) -> None:
    newest = one_of_each()[ChannelStatistics]
    for days, count in ((1, 4_000_000_000), (2, None)):
        ChannelStatistics.objects.create(
            channel=newest.channel,
            timestamp=newest.timestamp - timedelta(days=days),
            subscriber_count=count,
        )
    html = page_of.get(url(newest.channel, "change")).content.decode()
    assert re.search(r"Subscribers: 4,000,000,000 on .*, 5,000,000,000 on ", html)
    assert 'points="6.0,114.0 634.0,6.0"' in html
    assert "not known" in html


def test_a_viewer_sees_and_changes_nothing(client: Client, db: Any) -> None:
    call_command("loaddata", "defaults", verbosity=0)
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.groups.add(Group.objects.get(name="Viewers"))
    client.force_login(viewer)
    row = one_of_each()[Channel]
    page = client.get(url(row, "change")).content.decode()
    assert "Cooking 0" in page
    assert 'name="_save"' not in page
    assert '<pre class="json">{\n  &quot;' in page
    assert client.post(url(row, "change"), {"name": "x"}).status_code == 403
    assert client.get(url(row, "delete")).status_code == 403


def test_a_panel_needs_its_permission(client: Client, db: Any) -> None:
    made = one_of_each()
    staff = User.objects.create_user("staff", password="x", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_video"))
    client.force_login(staff)
    page = client.get(url(made[Video], "change")).content.decode()
    assert "<h2>Jobs</h2>" not in page
    assert "no disk" not in page
    index = client.get("/admin/").content.decode()
    assert "Waiting for a person" in index
    assert "Audience" not in index


@pytest.fixture
def bound_of_three(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists.bounded_count, "__defaults__", (3,))
    for number in range(5):
        one_of_each(number)


@pytest.mark.usefixtures("bound_of_three")
def test_a_count_stops_at_its_bound(page_of: Client) -> None:
    html = page_of.get(url(Video, "changelist")).content.decode()
    assert "more than 3 videos" in " ".join(html.split())


@pytest.mark.usefixtures("bound_of_three")
def test_select_all_does_nothing_where_there_is_more_than_it_says(page_of: Client) -> None:
    data = {"action": "delete_selected", "select_across": "1", "post": "yes"}
    selected = [str(Video.objects.all()[0].pk)]
    answer = page_of.post(
        url(Video, "changelist"), data | {"_selected_action": selected}, follow=True
    )
    assert "Nothing was done" in answer.content.decode()
    assert Video.objects.count() == 5


def test_the_dates_go_from_years_to_days(page_of: Client) -> None:
    made = one_of_each()[ChannelStatistics]
    for when in ("2024-02-03T10:00Z", "2026-11-05T23:30Z"):
        ChannelStatistics.objects.create(
            channel=made.channel, timestamp=datetime.fromisoformat(when)
        )
    made.delete()
    address = url(ChannelStatistics, "changelist")

    def dates(query: str) -> list[str]:
        html = page_of.get(f"{address}?{query}").content.decode()
        nav = html.partition('<nav class="toplinks">')[2].partition("</nav>")[0]
        return [words.strip() for words in unescape(strip_tags(nav)).splitlines() if words.strip()]

    assert dates("") == ["2024", "2025", "2026"]
    assert dates("timestamp__year=2026") == ["‹ All dates", "November 2026"]
    assert dates("timestamp__year=2026&timestamp__month=11") == ["‹ 2026", "5 November 2026"]
    day = "timestamp__year=2026&timestamp__month=11&timestamp__day=5"
    assert dates(day) == ["‹ November 2026", "5 November 2026"]
    assert b"1 channel statistics" in page_of.get(f"{address}?{day}").content


@pytest.mark.parametrize("year", ["0", "10000", "9" * 30, "x", ""])
def test_a_year_of_no_calendar_is_no_error(year: str, page_of: Client) -> None:
    one_of_each()
    answer = page_of.get(url(Video, "changelist"), {"created_at__year": year}, follow=True)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "query", ["year=2026&day=15", "month=7&day=15", "month=0&day=3", "year=2026&month=13", "day=x"]
)
def test_half_a_date_is_no_error(query: str, page_of: Client) -> None:
    one_of_each()
    lookups = "&".join(f"created_at__{part}" for part in query.split("&"))
    answer = page_of.get(f"{url(Video, 'changelist')}?{lookups}", follow=True)
    assert answer.status_code == 200


def test_many_rows_are_deleted_at_once(page_of: Client) -> None:
    TransformationPreset.objects.bulk_create(
        TransformationPreset(name=f"Preset {number}") for number in range(1100)
    )
    selected = [str(preset.pk) for preset in TransformationPreset.objects.all()]
    data = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    page_of.post(url(TransformationPreset, "changelist"), data | {"select_across": "1"})
    assert not TransformationPreset.objects.exists()


def test_unknown_times_come_last_whichever_way_a_list_is_sorted(page_of: Client) -> None:
    made = one_of_each()[Video]
    known = video(channel=made.channel, title="Known", scheduled_for=timezone.now())
    for order in ("4", "-4"):
        found = page_of.get(url(Video, "changelist"), {"o": order})
        assert list(found.context["cl"].result_list) == [known, made]


def test_every_link_of_the_index_and_of_the_lists_opens(page_of: Client) -> None:
    one_of_each()
    start = ["/admin/", *(url(model, "changelist") for model in LISTS)]
    links = set(start)
    for address in start:
        html = page_of.get(address).content.decode()
        links |= {urljoin(address, unescape(link)) for link in re.findall(r'href="([^"]+)"', html)}
    inside = {link for link in links if link.startswith("/admin/") and "logout" not in link}
    assert len(inside) > 60
    for link in inside:
        assert page_of.get(link, follow=True).status_code == 200, link


def test_deleting_a_channel_counts_what_goes_with_it(page_of: Client) -> None:
    channel = one_of_each()[Channel]
    html = page_of.get(url(channel, "delete")).content.decode()
    for words in ("Videos: 1", "Processing jobs: 1", "Channel statistics: 1"):
        assert words in html
    page_of.post(url(channel, "delete"), {"post": "yes"})
    assert not Video.objects.exists()
    assert not ChannelStatistics.objects.exists()


def test_a_deletion_that_loses_a_deadlock_says_so_and_leaves_no_trace(
    page_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = one_of_each()[Channel]

    def lose(*args: Any) -> None:
        Video.objects.all().delete()
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(ModelAdmin, "delete_model", lose)
    monkeypatch.setattr(ModelAdmin, "delete_queryset", lose)
    data = {"action": "delete_selected", "_selected_action": [str(channel.pk)], "post": "yes"}
    in_list = url(Channel, "changelist")
    for address, back in ((url(channel, "delete"), url(channel, "change")), (in_list, in_list)):
        answer = page_of.post(address, data)
        assert (answer.status_code, answer.headers["Location"]) == (302, back)
        assert said(answer)[-1].endswith("nothing was deleted. Try again.")
        assert Video.objects.exists()
        assert not LogEntry.objects.exists()


def test_an_operator_may_delete_a_channel_with_its_statistics(client: Client, db: Any) -> None:
    call_command("loaddata", "defaults", verbosity=0)
    member = User.objects.create_user("member", password="x", is_staff=True)
    member.groups.add(Group.objects.get(name="Operators"))
    client.force_login(member)
    channel = one_of_each()[Channel]
    assert client.post(url(channel, "delete"), {"post": "yes"}).status_code == 302
    assert not Channel.objects.exists()


def test_without_the_permission_for_what_goes_along_nothing_is_deleted(
    client: Client, db: Any
) -> None:
    member = User.objects.create_user("member", password="x", is_staff=True)
    member.user_permissions.set(
        Permission.objects.filter(codename__in=["view_channel", "delete_channel"])
    )
    client.force_login(member)
    channel = one_of_each()[Channel]
    assert client.post(url(channel, "delete"), {"post": "yes"}).status_code == 403
    assert Channel.objects.exists()


@pytest.mark.parametrize("model", [Channel, Music, TransformationPreset, Video])
def test_autocomplete_answers(model: type[Model], page_of: Client) -> None:
    one_of_each()
    fields: dict[type[Model], tuple[str, str, str]] = {
        Channel: ("videos_app", "video", "channel"),
        Music: ("videos_app", "video", "music"),
        TransformationPreset: ("channels_app", "channel", "default_preset"),
        Video: ("jobs_app", "videoprocessingjob", "video"),
    }
    app, name, field = fields[model]
    query = {"app_label": app, "model_name": name, "field_name": field, "term": ""}
    answer = page_of.get("/admin/autocomplete/", query).json()
    assert len(answer["results"]) == 1
