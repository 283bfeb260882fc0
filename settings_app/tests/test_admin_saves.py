"""Saves of the system configuration: typed, compared, recorded."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.pages import POSTS, ROWS, field_errors, page, row, said_after, save
from ytops.db.secrets import Secret
from ytops.tests.admin_client import inputs, opened, post, url, words
from ytops.tests.examples import channel

Declare = Callable[..., Setting[Any]]


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
            ({"value_type": int, "default": 5}, '<input type="text" name="value" inputmode="num'),
            ({"value_type": int, "default": 5, "max": 9}, "A whole number of at most 9."),
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
        [("51", "from 0 to 50"), ("2.5", "whole number"), ("5e", "whole number")],
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

    @pytest.mark.parametrize("wrong", ["yes", "true", 1, "", "x\ny" * 99])
    @pytest.mark.parametrize(
        "declared",
        [
            {"value_type": bool, "default": True},
            {"value_type": int, "default": 7, "choices": (7, 8)},
            {"value_type": str, "default": "1", "choices": ("1", '"yes"')},
        ],
    )
    def test_of_a_choice_is_one_more_choice(
        self, wrong: Any, declared: dict[str, Any], declare: Declare, page_of: Client
    ) -> None:
        declare("test.key", **declared)
        what = ROWS.create(key="test.key", value=wrong)
        form = opened(page_of, what)
        assert form["value"].startswith("leave as it is: ")
        assert post(page_of, what, form).status_code == 302
        assert repr(row("test.key").value) == repr(wrong)
        ROWS.filter(key="test.key").update(value="another")
        assert post(page_of, what, form).status_code == 302
        right = str(declared["default"]).lower()
        assert "It is now" in field_errors(post(page_of, what, form, value=right))
        assert row("test.key").value == "another"
        assert save(page_of, "test.key", value=right).status_code == 302
        assert repr(row("test.key").value) == repr(declared["default"])

    def test_of_a_choice_is_still_the_choice_when_the_form_is_drawn_again(
        self, page_of: Client
    ) -> None:
        what = channel(settings={"publish.privacy": "secret", POSTS: 1})
        form = opened(page_of, what)
        refused = post(page_of, what, form, **{POSTS: "abc"})
        again = inputs(refused.content.decode())
        assert again["publish.privacy"] == 'leave as it is: "secret"'
        assert again[POSTS] == "abc"
        type(what).objects.update(settings={"publish.privacy": "public", POSTS: 1})
        refused = post(page_of, what, form, **{POSTS: "abc"})
        assert inputs(refused.content.decode())["publish.privacy"] == "public"

    @pytest.mark.parametrize("wrong", ['"quoted"\n' * 12, "", "a\\n" * 40])
    def test_of_a_text_that_is_a_text_is_mended_as_it_is(
        self, wrong: str, declare: Declare, page_of: Client
    ) -> None:
        declare("test.key", str, default="x", min=1, max=100)
        what = ROWS.create(key="test.key", value=wrong)
        form = opened(page_of, what)
        assert form["value"] == wrong
        assert post(page_of, what, form).status_code == 302
        assert row("test.key").value == wrong
        mended = wrong[:50] or "text"
        save(page_of, "test.key", **{"value": mended, "value-empty": None})
        assert row("test.key").value == mended

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

    def test_of_two_lines_is_kept_with_plain_line_ends(self, page_of: Client) -> None:
        save(page_of, "github.token", secret="one\ntwo")
        assert row("github.token").secret.reveal() == "one\ntwo"

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
