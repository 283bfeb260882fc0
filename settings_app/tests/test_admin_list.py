"""The list of the system configuration, and what can be deleted from it."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from settings_app.models import SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.pages import POSTS, ROWS, page, row
from ytops.tests.admin_client import url, words

Declare = Callable[..., Setting[Any]]


def listed(client: Client, **query: str) -> list[str]:
    answer = client.get(url(SystemConfiguration, "changelist"), query)
    return [one["row"].key for one in answer.context["cl"].listed]


class TestTheList:
    def test_has_every_setting_under_the_heading_of_its_group(self, page_of: Client) -> None:
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert html.count('scope="rowgroup">jobs<') == 1
        jobs = html.partition('scope="rowgroup">jobs<')[2].partition("</tbody>")[0]
        assert "jobs.paused" in jobs.replace("<wbr>", "")
        assert POSTS not in jobs.replace("<wbr>", "")

    def test_says_what_holds_and_from_which_layer(self, page_of: Client) -> None:
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert f"Posts per day {POSTS} 2 default" in words(html)
        ROWS.filter(key=POSTS).update(value=0)
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert f"Posts per day {POSTS} 0 database" in words(html)
        assert "Most videos a channel publishes" in words(html)

    def test_names_the_variable_of_what_is_pinned(
        self, page_of: Client, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YTOPS_TEST_PINNED", "7")
        declare("test.pinned", int, default=1)
        ROWS.create(key="test.pinned", value=5)
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert "test.pinned 7 environment Pinned by YTOPS_TEST_PINNED" in words(html)

    def test_marks_a_wrong_row_with_the_reason(self, page_of: Client) -> None:
        ROWS.filter(key=POSTS).update(value="many")
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert html.count('class="wrong"') == 1
        assert '2 Expected a whole number from 0 to 50, not "many". default' in words(html)

    def test_marks_a_row_that_no_setting_reads(self, page_of: Client) -> None:
        row("publish.gone")
        html = page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert html.count('class="wrong"') == 1
        assert "No setting of this version has this key" in words(html)

    def test_is_searched_by_key_variable_and_help(self, page_of: Client) -> None:
        row("publish.gone")
        assert listed(page_of, q="publish.posts_per") == [POSTS]
        assert listed(page_of, q="lish.gone") == ["publish.gone"]
        assert listed(page_of, q="YTOPS_PUBLISH_POSTS_PER_DAY") == [POSTS]
        assert listed(page_of, q="Videos LOCAL days") == [POSTS]
        assert listed(page_of, q="videos nonsense") == []

    def test_is_narrowed_by_group_and_state(self, page_of: Client) -> None:
        ROWS.filter(key="jobs.paused").update(value=False)
        ROWS.filter(key="jobs.lease_seconds").update(value=1)
        ROWS.create(key="jobs.gone", value=1)
        assert POSTS not in listed(page_of, group="jobs")
        assert listed(page_of, state="set") == ["jobs.gone", "jobs.lease_seconds", "jobs.paused"]
        assert "jobs.paused" not in listed(page_of, state="inherited")
        assert listed(page_of, state="wrong") == ["jobs.gone", "jobs.lease_seconds"]
        assert listed(page_of, state="wrong", group="publish") == []

    def test_is_as_narrow_after_a_save_as_before(self, page_of: Client) -> None:
        narrowed = url(SystemConfiguration, "changelist") + "?group=jobs"
        html = page_of.get(narrowed).content.decode()
        address = url(row("jobs.paused"), "change")
        link = unescape(html.partition(f'href="{address}')[2].partition('"')[0])
        response = page_of.post(address + link, {"value": "true"})
        assert response["Location"] == narrowed

    def test_has_no_action_and_nothing_is_added(self, page_of: Client) -> None:
        data = {"action": "delete_selected", "_selected_action": [str(row(POSTS).pk)]}
        page_of.post(url(SystemConfiguration, "changelist"), data | {"post": "yes"})
        assert ROWS.filter(key=POSTS).exists()
        assert page_of.get(url(SystemConfiguration, "add")).status_code == 403


class TestDeleting:
    def test_is_for_rows_that_no_setting_reads(self, page_of: Client) -> None:
        for key, answer in ((POSTS, 403), ("publish.gone", 302)):
            response = page_of.post(url(row(key), "delete"), {"post": "yes"})
            assert response.status_code == answer
        assert ROWS.filter(key=POSTS).exists()
        assert not ROWS.filter(key="publish.gone").exists()

    def test_such_a_row_with_a_secret_shows_a_mask(self, page_of: Client) -> None:
        ROWS.create(key="publish.gone", encrypted=True, secret="plain-token")
        html = page(page_of, "publish.gone")
        assert "Stored: ********" in words(html)
        assert "plain-token" not in html

    def test_such_a_row_says_so_and_is_not_edited(self, page_of: Client) -> None:
        gone = ROWS.create(key="publish.gone", value=[3])
        html = page_of.get(url(gone, "change")).content.decode()
        assert "Stored: [3]" in words(html)
        assert "No setting of this version has this key" in html
        assert 'name="_save"' not in html
        assert "deletelink" in html
        assert page_of.post(url(gone, "change"), {"value": "3"}).status_code == 403
        assert page_of.post(url(gone, "change"), {"_inherit": "1"}).status_code == 403
