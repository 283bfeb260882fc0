"""The overrides of a channel, on its page."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from channels_app.forms import stray_name
from channels_app.models import Channel
from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import Setting
from ytops.tests.admin_client import inputs, opened, post, url, words
from ytops.tests.examples import channel

Declare = Callable[..., Setting[Any]]
POSTS, GAP = "publish.posts_per_day", "publish.min_gap_minutes"
PRIVACY, FOOTER = "publish.privacy", "publish.description_footer"


@pytest.fixture
def viewer(db: Any) -> Client:
    call_command("loaddata", "defaults", verbosity=0)
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewers"))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, what: Channel) -> str:
    return client.get(url(what, "change")).content.decode()


def save(client: Client, what: Channel, **changes: Any) -> Any:
    return post(client, what, opened(client, what), **changes)


def settings_of(what: Channel) -> dict[str, Any]:
    found: dict[str, Any] = Channel.objects.get(pk=what.pk).settings
    return found


def errors(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, "the form was accepted"
    found: dict[str, Any] = response.context["adminform"].form.errors
    return found


class TestTheForm:
    def test_has_a_field_for_each_setting_per_channel_and_no_other(self, page_of: Client) -> None:
        form = opened(page_of, channel())
        assert form[POSTS] == form[PRIVACY] == form[FOOTER] == ""
        assert "jobs.paused" not in form
        assert "settings" not in form

    def test_groups_them(self, page_of: Client) -> None:
        html = page(page_of, channel())
        publish = html.partition(">Settings: publish<")[2].partition("</fieldset>")[0]
        assert f'name="{POSTS}"' in publish
        assert 'name="transform.min_resolution"' not in publish

    def test_says_what_is_inherited_and_from_where(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 0})
        assert "Inherited: 2, from the default." in words(page(page_of, what))
        SystemConfiguration.objects.filter(key=POSTS).update(value=7)
        assert "Inherited: 7, from the database." in words(page(page_of, what))

    def test_of_a_new_channel_sets_overrides_too(self, page_of: Client) -> None:
        form = opened(page_of, Channel)
        assert post(page_of, Channel, form, **{"name": "New", POSTS: "0"}).status_code == 302
        assert Channel.objects.get().settings == {POSTS: 0}
        assert ConfigurationChange.objects.get().channel_name == "New"

    def test_of_a_new_channel_that_is_refused_leaves_nothing(self, page_of: Client) -> None:
        refused = post(page_of, Channel, opened(page_of, Channel), **{"name": "New", POSTS: "x"})
        assert "whole number" in str(errors(refused)[POSTS])
        assert not Channel.objects.exists()


class TestSaving:
    @pytest.mark.parametrize(
        ("posted", "value"),
        [
            ({POSTS: "0"}, {POSTS: 0}),
            ({PRIVACY: "public"}, {PRIVACY: "public"}),
            ({FOOTER: "one\ntwo"}, {FOOTER: "one\ntwo"}),
            ({f"{FOOTER}-empty": "on"}, {FOOTER: ""}),
            ({"test.flag": "false"}, {"test.flag": False}),
        ],
        ids=str,
    )
    def test_sets_an_override_and_takes_it_back(
        self, posted: dict[str, str], value: dict[str, Any], declare: Declare, page_of: Client
    ) -> None:
        declare("test.flag", bool, default=True, per_channel=True)
        what = channel()
        assert save(page_of, what, **posted).status_code == 302
        assert repr(settings_of(what)) == repr(value)
        save(page_of, what, name="Renamed")
        assert repr(settings_of(what)) == repr(value), "left alone, it changed"
        emptied = {name: None if name.endswith("-empty") else "" for name in posted}
        save(page_of, what, **emptied)
        assert settings_of(what) == {}
        assert ConfigurationChange.objects.count() == 2

    def test_writes_what_was_changed_alone_and_names_it(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 1, GAP: 0})
        save(page_of, what, **{POSTS: "3"})
        assert settings_of(what) == {POSTS: 3, GAP: 0}
        change = ConfigurationChange.objects.get()
        assert (change.key, change.old, change.new) == (POSTS, 1, 3)
        assert (change.by, change.through, change.channel_id) == ("operator", "admin", what.pk)
        assert LogEntry.objects.get().get_change_message() == "Changed Posts per day."

    def test_the_same_number_written_otherwise_is_no_change(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 1})
        save(page_of, what, **{POSTS: "01"})
        assert not ConfigurationChange.objects.exists()
        assert LogEntry.objects.get().get_change_message() == "No fields changed."

    def test_refuses_what_does_not_fit_and_keeps_it_in_the_form(self, page_of: Client) -> None:
        what = channel()
        refused = save(page_of, what, **{POSTS: "51", "name": "Renamed"})
        assert "from 0 to 50" in str(errors(refused)[POSTS])
        assert inputs(refused.content.decode())[POSTS] == "51"
        what.refresh_from_db()
        assert (what.name, what.settings) == ("Cooking", {})

    def test_what_a_browser_does_not_post_stays(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 1, FOOTER: "text"})
        form = {key: text for key, text in opened(page_of, what).items() if "." not in key}
        assert post(page_of, what, form).status_code == 302
        assert settings_of(what) == {POSTS: 1, FOOTER: "text"}


class TestTwoOperators:
    def test_who_change_two_overrides_both_succeed(self, page_of: Client) -> None:
        what = channel()
        form = opened(page_of, what)
        assert post(page_of, what, form, **{POSTS: "3"}).status_code == 302
        assert post(page_of, what, form, **{GAP: "0"}).status_code == 302
        assert settings_of(what) == {POSTS: 3, GAP: 0}

    def test_who_change_the_same_one_are_told(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 1})
        form = opened(page_of, what)
        Channel.objects.update(settings={POSTS: 4})
        refused = post(page_of, what, form, **{POSTS: "5", GAP: "0"})
        assert list(errors(refused)) == [POSTS]
        assert "It is now “4”" in str(errors(refused)[POSTS])
        assert settings_of(what) == {POSTS: 4}
        assert post(page_of, what, inputs(refused.content.decode())).status_code == 302
        assert settings_of(what) == {POSTS: 5, GAP: 0}

    def test_one_of_whom_let_it_inherit_are_told(self, page_of: Client) -> None:
        what = channel(settings={POSTS: 1})
        form = opened(page_of, what)
        Channel.objects.update(settings={})
        assert "It is now inherited" in str(errors(post(page_of, what, form, **{POSTS: "5"})))

    def test_one_of_whom_mended_a_wrong_value_both_succeed(self, page_of: Client) -> None:
        what = channel(settings={POSTS: "many", FOOTER: 3})
        form = opened(page_of, what)
        Channel.objects.update(settings={POSTS: 4, FOOTER: "text"})
        assert post(page_of, what, form, name="Renamed").status_code == 302
        assert settings_of(what) == {POSTS: 4, FOOTER: "text"}


class TestAWrongOverride:
    @pytest.mark.parametrize("wrong", ["many", 51, True, None, [1]])
    def test_is_shown_with_the_reason_and_left_alone_it_stays(
        self, wrong: Any, page_of: Client
    ) -> None:
        what = channel(settings={POSTS: wrong})
        assert "Wrong, so passed over:" in words(page(page_of, what))
        save(page_of, what, name="Renamed")
        assert repr(settings_of(what)) == repr({POSTS: wrong})
        assert not ConfigurationChange.objects.exists()

    def test_takes_a_right_value_or_is_emptied(self, page_of: Client) -> None:
        for typed, after in (("7", {POSTS: 7}), ("", {})):
            what = channel(settings={POSTS: None})
            assert save(page_of, what, **{POSTS: typed}).status_code == 302
            assert settings_of(what) == after

    def test_does_not_keep_another_from_being_changed(self, page_of: Client) -> None:
        what = channel(settings={POSTS: "many", "no.such_key": 1})
        assert save(page_of, what, **{GAP: "5"}).status_code == 302
        assert settings_of(what) == {POSTS: "many", "no.such_key": 1, GAP: 5}


def tick(client: Client, what: Channel, key: str) -> str:
    """What the tick beside this entry posts."""
    choices = re.findall(r'name="strays" value="([^"]*)"', page(client, what))
    return next(name for name in map(unescape, choices) if name.endswith(f" {json.dumps(key)}"))


class TestAnEntryThatNothingReads:
    SETTINGS = {"publish.post_per_day": 3, "jobs.paused": True, 'odd "key"\n': {}, POSTS: 1}

    def test_is_listed_with_the_reason(self, page_of: Client) -> None:
        said = words(page(page_of, channel(settings={**self.SETTINGS, "long": "x" * 200})))
        assert f'publish.post_per_day = 3 No setting has this key. Did you mean "{POSTS}"?' in said
        assert "jobs.paused = true Is not per channel" in said
        assert f'long = "{"x" * 78}… No setting' in said
        assert "Entries that nothing reads" not in words(page(page_of, channel()))

    def test_stays_unless_it_is_ticked(self, page_of: Client) -> None:
        what = channel(settings=self.SETTINGS)
        save(page_of, what, name="Renamed")
        assert settings_of(what) == self.SETTINGS
        left = dict(self.SETTINGS)
        for key in ("publish.post_per_day", 'odd "key"\n'):
            save(page_of, what, strays=tick(page_of, what, key))
            del left[key]
            assert settings_of(what) == left

    def test_is_removed_beside_a_change_of_a_setting_and_recorded(self, page_of: Client) -> None:
        what = channel(settings=self.SETTINGS)
        ticked = tick(page_of, what, "jobs.paused")
        save(page_of, what, **{"strays": ticked, POSTS: "2"})
        after = {key: value for key, value in self.SETTINGS.items() if key != "jobs.paused"}
        assert settings_of(what) == after | {POSTS: 2}
        change = ConfigurationChange.objects.get(key="jobs.paused")
        assert (change.old, change.new, change.by, change.channel_id) == (
            *(True, None, "operator"),
            what.pk,
        )
        said = "Changed Posts per day and jobs.paused (removed)."
        assert LogEntry.objects.get().get_change_message() == said

    def test_that_was_changed_meanwhile_is_not_removed(self, page_of: Client) -> None:
        what = channel(settings=self.SETTINGS)
        form = opened(page_of, what) | {"strays": tick(page_of, what, "jobs.paused")}
        theirs = {**self.SETTINGS, "jobs.paused": False}
        Channel.objects.update(settings=theirs)
        refused = post(page_of, what, form)
        assert "Somebody else changed an entry" in str(errors(refused)["strays"])
        assert "strays" not in inputs(refused.content.decode())
        assert settings_of(what) == theirs

    @pytest.mark.parametrize("left", [{"jobs.paused": True, POSTS: 1}, {POSTS: 1}])
    def test_that_is_gone_meanwhile_is_no_mistake_and_a_setting_is_none(
        self, left: dict[str, Any], page_of: Client
    ) -> None:
        what = channel(settings=self.SETTINGS)
        form = opened(page_of, what)
        gone = tick(page_of, what, "publish.post_per_day")
        Channel.objects.update(settings=left)
        for ticked in (gone, stray_name(POSTS, 1), "forged"):
            assert post(page_of, what, form, strays=ticked).status_code == 302
        assert settings_of(what) == left
        assert not ConfigurationChange.objects.exists()
        for entry in LogEntry.objects.all():
            assert entry.get_change_message() == "No fields changed."

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps no such text")
    def test_with_what_no_page_can_encode_is_shown_escaped(
        self, page_of: Client, viewer: Client
    ) -> None:
        what = channel()
        bad = json.dumps({"a\ud800": "b\ud800", POSTS: "c\ud800", FOOTER: "d\ud800"})
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels SET settings = %s", [bad])
        said = words(page(page_of, what))
        assert r'"a\ud800" = "b\ud800" No setting has this key' in said
        form = opened(page_of, what)
        assert (form[POSTS], form[FOOTER]) == (r'"c\ud800"', r'"d\ud800"')
        assert r'"a\ud800" "b\ud800" No setting has this key' in words(page(viewer, what))

    def test_beside_json_that_cannot_be_read_breaks_no_page(self, page_of: Client) -> None:
        what = channel()
        with connection.cursor() as cursor:
            unreadable = f'{{"{POSTS}": {"9" * 5000}, "no.such_key": 1}}'
            cursor.execute("UPDATE channels SET settings = %s", [unreadable])
        for of in (what, SystemConfiguration.objects.get(key=POSTS)):
            assert page_of.get(url(of, "change")).status_code == 200


def test_what_keeps_a_setting_from_being_saved_is_said(page_of: Client) -> None:
    what = channel()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET settings = %s", [f'{{"no.such": {"1" * 151}}}'])
    refused = save(page_of, what, **{POSTS: "3"})
    assert "under 'no.such'" in errors(refused)["__all__"][0]
    assert save(page_of, what, name="Renamed").status_code == 302


class TestAPinnedSetting:
    @pytest.fixture
    def key(self, declare: Declare, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("YTOPS_TEST_PINNED", "7")
        declare("test.pinned", int, default=1, per_channel=True)
        return "test.pinned"

    def test_names_its_variable_and_keeps_the_override(self, key: str, page_of: Client) -> None:
        what = channel(settings={key: 3})
        html = page(page_of, what)
        said = "Pinned by YTOPS_TEST_PINNED: change it there. What holds: 7."
        assert said in words(html)
        assert "disabled" in html.partition(f'name="{key}"')[2].partition(">")[0]
        assert save(page_of, what, **{key: "5", "name": "Renamed"}).status_code == 302
        assert settings_of(what) == {key: 3}


class TestHistoryAndViewers:
    def test_the_page_tells_the_changes_of_this_channel(self, page_of: Client) -> None:
        what, other = channel(), channel(name="Baking")
        save(page_of, what, **{POSTS: "0"})
        save(page_of, other, **{POSTS: "9"})
        html = page(page_of, what).partition("History of settings")[2]
        assert "publish.<wbr>posts_<wbr>per_<wbr>day" in html
        said = words(html)
        assert f"{POSTS} inherited → 0 operator, admin" in said
        assert "inherited → 9" not in said

    def test_a_viewer_sees_a_table_and_posts_nothing(self, viewer: Client) -> None:
        what = channel(settings={POSTS: 0, GAP: "long", "no.such_key": 1})
        html = page(viewer, what)
        said = words(html)
        assert f"Posts per day {POSTS} 0 channel" in said
        assert f"Min gap minutes {GAP} 120 Wrong here, so passed over" in said
        assert "no.such_key 1 No setting has this key" in said
        assert f'name="{POSTS}"' not in html
        assert viewer.post(url(what, "change"), {POSTS: "5"}).status_code == 403

    def test_markup_in_an_entry_does_not_reach_the_page(self, page_of: Client) -> None:
        evil = "<script>alert(1)</script>"
        what = channel(settings={evil: evil, POSTS: evil, FOOTER: evil})
        assert evil not in page(page_of, what)


@pytest.mark.parametrize("permission", ["change_channel", "view_channel"])
def test_a_secret_that_somebody_put_into_a_channel_is_not_shown(
    permission: str, client: Client, db: Any
) -> None:
    staff = User.objects.create_user("staff", password="x", is_staff=True)
    names = {permission, "view_channel"}
    staff.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(staff)
    what = channel(settings={"github.token": "plain-of-the-token"})
    html = page(client, what)
    assert "github.token" in words(html)
    assert "plain-of" not in html
