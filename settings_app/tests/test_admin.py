"""The pages of the system configuration."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import Setting
from ytops.db.secrets import Secret
from ytops.tests.admin_client import inputs, opened, post, url
from ytops.tests.examples import channel

Declare = Callable[..., Setting[Any]]
POSTS = "publish.posts_per_day"
ROWS = SystemConfiguration.objects


def row(key: str) -> SystemConfiguration:
    return ROWS.get_or_create(key=key)[0]


def words(html: str) -> str:
    """The text of a page, and nothing of its markup."""
    return " ".join(unescape(strip_tags(re.sub("<(br|td|th|div|p|li)", r" <\1", html))).split())


def listed(client: Client, **query: str) -> list[str]:
    answer = client.get(url(SystemConfiguration, "changelist"), query)
    return [one.row.key for one in answer.context["cl"].listed]


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


@pytest.fixture
def member(db: Any) -> Callable[[str], Client]:
    call_command("loaddata", "defaults", verbosity=0)

    def client_of(group: str) -> Client:
        user = User.objects.create_user(group, password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return client_of


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
        assert listed(page_of, q="posts_per") == [POSTS]
        assert listed(page_of, q="YTOPS_PUBLISH_POSTS_PER_DAY") == [POSTS]
        assert listed(page_of, q="Videos LOCAL days") == [POSTS]
        assert listed(page_of, q="videos nonsense") == []

    def test_is_narrowed_by_group_and_state(self, page_of: Client) -> None:
        ROWS.filter(key="jobs.paused").update(value=False)
        ROWS.filter(key="jobs.lease_seconds").update(value=1)
        row("jobs.gone")
        assert POSTS not in listed(page_of, group="jobs")
        assert listed(page_of, state="set") == ["jobs.lease_seconds", "jobs.paused"]
        assert "jobs.paused" not in listed(page_of, state="inherited")
        assert listed(page_of, state="wrong") == ["jobs.gone", "jobs.lease_seconds"]
        assert listed(page_of, state="wrong", group="publish") == []

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


class TestSaving:
    @pytest.mark.parametrize(
        ("declared", "posted", "value"),
        [
            ({"value_type": int, "default": 5}, {"value": "0"}, 0),
            ({"value_type": int, "default": 5}, {"value": " -7 "}, -7),
            ({"value_type": bool, "default": True}, {"value": "false"}, False),
            ({"value_type": bool, "default": False}, {"value": "true"}, True),
            ({"value_type": str, "default": "x"}, {"value-empty": "on"}, ""),
            ({"value_type": str, "default": "x"}, {"value": " a\nb "}, " a\nb "),
            ({"value_type": str, "default": "x"}, {"value": '""'}, '""'),
            ({"value_type": str, "default": "a", "choices": ("a", "")}, {"value": '""'}, ""),
            ({"value_type": int, "default": 1, "choices": (1, 2)}, {"value": "2"}, 2),
        ],
    )
    def test_sets_a_value_of_its_type_and_empties_it_again(
        self,
        declared: dict[str, Any],
        posted: dict[str, str],
        value: Any,
        declare: Declare,
        page_of: Client,
    ) -> None:
        declare("test.key", **declared)
        assert opened(page_of, row("test.key"))["value"] == ""
        assert save(page_of, "test.key", **posted).status_code == 302
        assert repr(row("test.key").value) == repr(value)
        save(page_of, "test.key")
        assert repr(row("test.key").value) == repr(value), "left alone, it changed"
        save(page_of, "test.key", **{"value": "", "value-empty": None})
        assert row("test.key").value is None
        assert ConfigurationChange.objects.count() == 2

    @pytest.mark.parametrize(
        ("declared", "widget"),
        [
            ({"value_type": int, "default": 5, "min": 0, "max": 9}, 'type="number" name="value"'),
            ({"value_type": int, "default": 5, "min": 0, "max": 9}, 'min="0" max="9"'),
            ({"value_type": bool, "default": True}, '<option value="false">false</option>'),
            ({"value_type": bool, "default": True}, '<option value="" selected>inherit</option>'),
            ({"value_type": str, "default": "x"}, '<textarea name="value"'),
            ({"value_type": str, "default": "a", "choices": ("a", "b")}, '<option value="b">b'),
            ({"value_type": Secret, "default": None}, '<textarea name="secret"'),
        ],
    )
    def test_has_the_widget_of_the_type(
        self, declared: dict[str, Any], widget: str, declare: Declare, page_of: Client
    ) -> None:
        declare("test.key", **declared)
        assert widget in page(page_of, "test.key")

    @pytest.mark.parametrize(
        ("typed", "reason"),
        [("51", "from 0 to 50"), ("2.5", "whole number"), ("null", "whole number")],
    )
    def test_refuses_what_does_not_fit_and_keeps_it_in_the_form(
        self, typed: str, reason: str, page_of: Client
    ) -> None:
        refused = save(page_of, POSTS, value=typed)
        assert reason in field_errors(refused)
        assert inputs(refused.content.decode())["value"] == typed
        assert row(POSTS).value is None

    def test_refuses_a_text_beside_the_tick_for_the_empty_one(self, page_of: Client) -> None:
        key = "publish.description_footer"
        refused = save(page_of, key, **{"value": "text", "value-empty": "on"})
        assert "Either a text or the empty text" in field_errors(refused)
        assert inputs(refused.content.decode())["value"] == "text"

    def test_says_what_was_before_and_what_is_now(self, page_of: Client) -> None:
        for typed, said in (("5", "inherited → 5"), ("6", "5 → 6"), ("", "6 → inherited")):
            response = save(page_of, POSTS, value=typed, _continue="1")
            assert f"Changed {POSTS}: {said}" in said_after(response, page_of)
        assert "Nothing was changed" in said_after(save(page_of, POSTS), page_of)

    def test_records_who_and_through_what(self, page_of: Client) -> None:
        save(page_of, POSTS, value="5")
        change = ConfigurationChange.objects.get()
        assert (change.by, change.through, change.new) == ("operator", "admin", 5)
        assert "Posts per day" in LogEntry.objects.get().get_change_message()

    @pytest.mark.parametrize("typed", ["5", "05", "+5"])
    def test_without_a_change_writes_and_records_nothing(self, typed: str, page_of: Client) -> None:
        ROWS.filter(key=POSTS).update(value=5)
        before = row(POSTS).updated_at
        assert save(page_of, POSTS, value=typed).status_code == 302
        assert row(POSTS).updated_at == before
        assert not ConfigurationChange.objects.exists()
        assert not LogEntry.objects.filter(change_message__contains="fields").exists()

    def test_a_text_with_foreign_line_ends_is_not_taken_for_changed(self, page_of: Client) -> None:
        key = "publish.description_footer"
        ROWS.filter(key=key).update(value="one\r\ntwo\rthree\n")
        save(page_of, key)
        assert row(key).value == "one\r\ntwo\rthree\n"

    def test_what_a_browser_does_not_post_stays(self, page_of: Client) -> None:
        for key, value in ((POSTS, 5), ("publish.description_footer", "text")):
            ROWS.filter(key=key).update(value=value)
            assert page_of.post(url(row(key), "change"), {"_save": "1"}).status_code == 302
            assert row(key).value == value


class TestAWrongRow:
    @pytest.mark.parametrize("wrong", ["many", 51, True, 5.0, [1], {"a": 1}])
    def test_is_shown_as_json_with_the_reason_and_left_alone_it_stays(
        self, wrong: Any, page_of: Client
    ) -> None:
        ROWS.filter(key=POSTS).update(value=wrong)
        assert "expected a whole number from 0 to 50" in words(page(page_of, POSTS))
        assert json.loads(opened(page_of, row(POSTS))["value"]) == wrong
        assert save(page_of, POSTS).status_code == 302
        assert repr(row(POSTS).value) == repr(wrong)
        assert not ConfigurationChange.objects.exists()

    def test_takes_a_right_value_or_none(self, page_of: Client) -> None:
        for typed, value in (("7", 7), ("", None)):
            ROWS.filter(key=POSTS).update(value="many")
            assert save(page_of, POSTS, value=typed).status_code == 302
            assert row(POSTS).value == value

    def test_of_a_text_can_become_the_empty_text(self, page_of: Client) -> None:
        key = "publish.description_footer"
        ROWS.filter(key=key).update(value=3)
        assert opened(page_of, row(key))["value"] == "3"
        save(page_of, key)
        assert row(key).value == 3
        save(page_of, key, **{"value": "", "value-empty": "on"})
        assert row(key).value == ""

    def test_mended_by_somebody_else_meanwhile_keeps_their_value(self, page_of: Client) -> None:
        what = row(POSTS)
        ROWS.filter(key=POSTS).update(value="many")
        form = opened(page_of, what)
        ROWS.filter(key=POSTS).update(value=5)
        assert post(page_of, what, form).status_code == 302
        assert row(POSTS).value == 5

    def test_of_a_secret_kept_in_clear_shows_it_nowhere_and_takes_a_new_one(
        self, page_of: Client
    ) -> None:
        ROWS.filter(key="github.token").update(value="plain-token", encrypted=False)
        html = page(page_of, "github.token")
        html += page_of.get(url(SystemConfiguration, "changelist")).content.decode()
        assert "plain-token" not in html
        assert "it is kept in clear: set it anew" in words(html)
        assert save(page_of, "github.token", secret="new").status_code == 302
        kept = row("github.token")
        assert (kept.value, kept.encrypted, kept.secret.reveal()) == (None, True, "new")


class TestTwoOperators:
    def test_the_second_is_told_what_the_first_set(self, page_of: Client) -> None:
        what = row(POSTS)
        form = opened(page_of, what)
        ROWS.filter(key=POSTS).update(value=4)
        refused = post(page_of, what, form, value="5")
        assert "It is now “4”" in field_errors(refused)
        assert row(POSTS).value == 4
        assert post(page_of, what, inputs(refused.content.decode())).status_code == 302
        assert row(POSTS).value == 5

    def test_a_value_left_alone_is_no_conflict(self, page_of: Client) -> None:
        what = row(POSTS)
        form = opened(page_of, what)
        ROWS.filter(key=POSTS).update(value=4)
        assert post(page_of, what, form).status_code == 302
        assert row(POSTS).value == 4

    def test_a_secret_that_both_replace_is_a_conflict(self, page_of: Client) -> None:
        what = row("github.token")
        form = opened(page_of, what)
        ROWS.filter(key=what.key).update(secret="theirs", encrypted=True)
        refused = post(page_of, what, form, secret="ours")
        assert "another secret" in field_errors(refused, "secret")


class TestASecret:
    def test_is_removed_and_left_blank_it_stays(self, page_of: Client) -> None:
        save(page_of, "github.token", secret="plain-token")
        save(page_of, "github.token")
        assert row("github.token").secret.reveal() == "plain-token"
        save(page_of, "github.token", secret="plain-token")
        assert ConfigurationChange.objects.count() == 1, "the same secret is no change"
        save(page_of, "github.token", **{"secret-remove": "on"})
        assert row("github.token").secret is None
        assert ConfigurationChange.objects.count() == 2

    def test_says_what_holds_without_it(self, page_of: Client) -> None:
        assert "Removed: no value." in words(page(page_of, "github.token"))

    def test_leaves_a_fingerprint_in_the_history(self, page_of: Client) -> None:
        save(page_of, "github.token", secret="plain-token")
        html = page(page_of, "github.token")
        fingerprint = ConfigurationChange.objects.get().new_fingerprint
        assert f"inherited → secret {fingerprint}" in words(html)
        assert "plain-token" not in html

    def test_that_was_none_when_it_was_changed_is_masked_in_the_history(
        self, page_of: Client
    ) -> None:
        plain = {"old": "plain-token", "new": "plain-token-2"}
        ConfigurationChange.objects.create(key="github.token", by="x", through="admin", **plain)
        html = page(page_of, "github.token")
        assert "******** → ********" in words(html)
        assert "plain-token" not in html


class TestAPinnedSetting:
    @pytest.fixture
    def key(self, declare: Declare, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("YTOPS_TEST_PINNED", "7")
        declare("test.pinned", int, default=1)
        return "test.pinned"

    def test_is_shown_with_its_variable_and_not_edited(self, key: str, page_of: Client) -> None:
        html = page(page_of, key)
        assert "Pinned by YTOPS_TEST_PINNED: change it there." in words(html)
        assert "environment holds YTOPS_TEST_PINNED 7" in words(html)
        assert 'name="_save"' not in html
        assert 'name="value"' not in html

    @pytest.mark.parametrize("data", [{"value": "3"}, {"_inherit": "1"}])
    def test_is_not_changed_by_a_post_either(
        self, data: dict[str, str], key: str, page_of: Client
    ) -> None:
        ROWS.create(key=key, value=5)
        assert page_of.post(url(row(key), "change"), data).status_code == 403
        assert row(key).value == 5


class TestBackToInherited:
    def test_is_one_click(self, page_of: Client) -> None:
        assert "_inherit" not in page(page_of, POSTS)
        ROWS.filter(key=POSTS).update(value=0)
        assert 'name="_inherit"' in page(page_of, POSTS)
        response = save(page_of, POSTS, value="not even a number", _inherit="1")
        assert f"Changed {POSTS}: 0 → inherited" in said_after(response, page_of)
        assert row(POSTS).value is None
        assert ConfigurationChange.objects.get().old == 0
        assert LogEntry.objects.count() == 1

    def test_takes_a_wrong_value_and_a_secret_away(self, page_of: Client) -> None:
        ROWS.filter(key=POSTS).update(value="many")
        ROWS.filter(key="github.token").update(secret="plain-token", encrypted=True)
        for key in (POSTS, "github.token"):
            page_of.post(url(row(key), "change"), {"_inherit": "1"})
            assert (row(key).value, row(key).secret) == (None, None)

    def test_needs_the_permission(self, member: Callable[[str], Client]) -> None:
        ROWS.filter(key=POSTS).update(value=5)
        html = page(member("Viewers"), POSTS)
        assert "_inherit" not in html
        viewer = Client()
        viewer.force_login(User.objects.get(username="Viewers"))
        assert viewer.post(url(row(POSTS), "change"), {"_inherit": "1"}).status_code == 403
        assert row(POSTS).value == 5

    def test_of_a_row_that_is_gone_says_so(self, page_of: Client) -> None:
        gone = row("publish.gone")
        address = url(gone, "change")
        gone.delete()
        response = page_of.post(address, {"_inherit": "1"}, follow=True)
        assert "doesn’t exist" in response.content.decode()


class TestWhatThePageSays:
    def test_what_holds_if_it_is_left_empty(
        self, declare: Declare, page_of: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        ROWS.filter(key=POSTS).update(value=5)
        assert "Left empty: 2, from the default." in words(page(page_of, POSTS))
        file = tmp_path / "ytops.toml"
        file.write_text("\n[test]\nkey = 8\n")
        monkeypatch.setenv("YTOPS_CONFIG_FILE", str(file))
        declare("test.key", int, default=1)
        assert f"Left empty: 8, from the file, {file}:3." in words(page(page_of, "test.key"))

    @pytest.mark.parametrize(
        ("overriding", "said"),
        [
            ([], "reaches all of 3 channels."),
            (["C 0"], "reaches 2 of 3 channels; 1 has a value of its own: C 0."),
            (["C 0", "C 2"], "reaches 1 of 3 channels; 2 have values of their own: C 0, C 2."),
        ],
    )
    def test_how_many_channels_a_change_reaches(
        self, overriding: list[str], said: str, page_of: Client
    ) -> None:
        for number in range(3):
            name = f"C {number}"
            wrong = {POSTS: "many"}  # does not hold: the channel inherits
            channel(name=name, settings={POSTS: 0} if name in overriding else wrong)
        assert said in words(page(page_of, POSTS))

    def test_names_five_of_the_channels_at_most(self, page_of: Client) -> None:
        for number in range(7):
            channel(name=f"C {number}", settings={POSTS: number})
        said = words(page(page_of, POSTS))
        assert "reaches 0 of 7 channels" in said
        assert "C 0, C 1, C 2, C 3, C 4 and 2 more." in said

    def test_that_it_holds_for_the_whole_system(self, page_of: Client) -> None:
        assert "holds for the whole system" in words(page(page_of, "jobs.paused"))

    def test_every_layer_and_the_winner(self, page_of: Client) -> None:
        ROWS.filter(key=POSTS).update(value=0)
        said = words(page(page_of, POSTS)).partition("Where the value comes from")[2]
        assert "environment YTOPS_PUBLISH_POSTS_PER_DAY not set" in said
        assert f"database holds system_configuration, {POSTS} 0" in said
        assert "default the declaration 2" in said
        assert "channel holds" not in said

    def test_the_history_of_the_system_and_of_channels(self, page_of: Client) -> None:
        save(page_of, POSTS, value="5")
        what = channel(name="Baking")
        post(page_of, what, opened(page_of, what), **{POSTS: "0"})
        said = words(page(page_of, POSTS)).partition("History of the setting")[2]
        assert "the system inherited → 5 operator, admin" in said
        assert "Baking inherited → 0 operator, admin" in said
        assert str(ConfigurationChange.objects.first().pk) in said  # type: ignore[union-attr]

    def test_the_newest_twenty_changes(self, page_of: Client) -> None:
        ConfigurationChange.objects.bulk_create(
            ConfigurationChange(key=POSTS, by="x", through="command", new=number)
            for number in range(25)
        )
        assert page(page_of, POSTS).count("x, command") == 20

    def test_nothing_of_markup_in_a_value_reaches_the_page(self, page_of: Client) -> None:
        key, evil = "publish.description_footer", "<script>alert(1)</script>"
        save(page_of, key, value=evil)
        channel(name=evil, settings={key: evil})
        html = page(page_of, key) + page_of.get(url(SystemConfiguration, "changelist")).text
        assert evil not in html

    def test_to_a_viewer_the_same_without_a_form(self, member: Callable[[str], Client]) -> None:
        ROWS.filter(key=POSTS).update(value=5)
        viewer = member("Viewers")
        html = page(viewer, POSTS)
        assert "5 database" in words(html)
        assert "Where the value comes from" in html
        assert 'name="_save"' not in html
        assert viewer.post(url(row(POSTS), "change"), {"value": "6"}).status_code == 403

    def test_with_a_fixed_number_of_questions(self, page_of: Client) -> None:
        """Session, user, row, history; and of a setting per channel how many, and which."""
        for key, asked in ((POSTS, 6), ("jobs.paused", 4), ("github.token", 4)):
            address = url(row(key), "change")
            page_of.get(address)
            for number in range(3):
                channel(name=f"C {number}", settings={POSTS: number})
            with CaptureQueriesContext(connection) as captured:
                page_of.get(address)
            queries = [q for q in captured.captured_queries if q["sql"] not in ("", "SELECT 1")]
            assert len(queries) == asked


def test_operators_change_settings(member: Callable[[str], Client]) -> None:
    assert save(member("Operators"), POSTS, value="5").status_code == 302
    assert ConfigurationChange.objects.get().by == "Operators"
