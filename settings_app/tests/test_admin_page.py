"""What the page of a setting says; pinned settings, and the way back to inherited."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import Setting
from settings_app.tests.pages import POSTS, ROWS, field_errors, page, row, said_after, save
from ytops.tests.admin_client import inputs, opened, post, url, words
from ytops.tests.examples import channel

Declare = Callable[..., Setting[Any]]


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
        assert response["Location"] == url(row(POSTS), "change")
        assert f"Changed {POSTS}: 0 → inherited" in said_after(response, page_of)
        assert row(POSTS).value is None
        assert ConfigurationChange.objects.get().old == 0
        assert LogEntry.objects.get().get_change_message() == "Changed Posts per day."

    @pytest.mark.parametrize(
        ("key", "stored"),
        [
            (POSTS, {"value": "many"}),
            (POSTS, {"secret": "kept-encrypted", "encrypted": True}),
            ("publish.description_footer", {"value": ""}),
            ("github.token", {"secret": "plain-token", "encrypted": True}),
            ("github.token", {"value": "plain-token", "encrypted": False}),
        ],
    )
    def test_takes_away_whatever_is_stored(
        self, key: str, stored: dict[str, Any], page_of: Client
    ) -> None:
        ROWS.filter(key=key).update(**stored)
        assert 'name="_inherit"' in page(page_of, key)
        response = save(page_of, key, secret="typed", _inherit="1")
        assert f"Changed {key}" in said_after(response, page_of)
        assert (row(key).value, row(key).secret) == (None, None)
        assert LogEntry.objects.get().get_change_message().startswith("Changed")

    @pytest.mark.parametrize(("key", "name"), [(POSTS, "value"), ("github.token", "secret")])
    def test_overwrites_nobody_unseen(self, key: str, name: str, page_of: Client) -> None:
        what = row(key)
        ROWS.filter(key=key).update(**{name: "3"})
        form = opened(page_of, what)
        ROWS.filter(key=key).update(**{name: "4"})
        refused = post(page_of, what, form, _inherit="1")
        assert "Somebody else changed this" in field_errors(refused, name)
        assert getattr(row(key), name) is not None
        again = inputs(refused.content.decode())
        assert post(page_of, what, again).status_code == 302
        assert getattr(row(key), name) is None

    def test_of_what_inherits_already_is_no_change(self, page_of: Client) -> None:
        assert "Nothing was changed" in said_after(save(page_of, POSTS, _inherit="1"), page_of)
        assert not ConfigurationChange.objects.exists()
        assert LogEntry.objects.get().get_change_message() == "No fields changed."

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

    @pytest.mark.parametrize(
        ("value_type", "default", "holds"),
        [(int, 1, [5, 0]), (str, "x", ["5", "true", ""]), (bool, True, [False, True])],
    )
    def test_counts_the_values_of_the_type_alone(
        self, value_type: Any, default: Any, holds: list[Any], declare: Declare, page_of: Client
    ) -> None:
        setting = declare("test.key", value_type, default=default, per_channel=True)
        values = [5, 0, "5", "true", "", False, True, 5.0, None, [5], {"key": 5}]
        for number, value in enumerate(values):
            channel(name=f"C {number}", settings={setting.key: value})
        channel(name="Another", settings={"test": {"key": holds[0]}})
        assert f"{len(holds)} have values of their own" in words(page(page_of, setting.key))

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
        gone = uuid4()  # a channel without a name: its id stands for it
        ConfigurationChange.objects.bulk_create(
            ConfigurationChange(key=POSTS, by="x", through="command", new=number, channel_id=gone)
            for number in range(25)
        )
        assert words(page(page_of, POSTS)).count(f"{gone} inherited → ") == 20

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
