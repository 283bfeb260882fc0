"""Saves of the admin: only what was changed is written, nobody is overwritten unseen."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel, Music, TransformationPreset
from videos_app.models import Video
from ytops.tests.admin_client import inputs, opened, post, url
from ytops.tests.examples import channel, one_of_each, video
from ytops.tests.examples import job as job_of


def form_of(response: Any) -> Any:
    return response.context["adminform"].form


def errors(response: Any) -> str:
    assert response.status_code == 200, "the form was accepted"
    return json.dumps(form_of(response).errors.get_json_data(), ensure_ascii=False)


def test_a_save_writes_only_the_changed_column(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    with CaptureQueriesContext(connection) as captured:
        assert post(page_of, row, form, name="Baking").status_code == 302
    update = next(q["sql"] for q in captured if q["sql"].startswith('UPDATE "channels"'))
    columns = re.findall(r'"(\w+)" = ', update.partition(" WHERE ")[0])
    assert sorted(columns) == ["name", "updated_at"]


def test_a_save_without_a_change_writes_nothing(page_of: Client) -> None:
    row = channel()
    assert post(page_of, row, opened(page_of, row)).status_code == 302
    before = row.updated_at
    row.refresh_from_db()
    assert row.updated_at == before


def test_what_somebody_else_changed_stays(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(
        is_active=False, settings={"publish.privacy": "public"}
    )
    assert post(page_of, row, form, name="Baking").status_code == 302
    row.refresh_from_db()
    assert (row.name, row.is_active, row.settings) == (
        "Baking",
        False,
        {"publish.privacy": "public"},
    )


def test_a_field_that_both_changed_is_refused_with_both_values(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(name="Theirs")
    refused = post(page_of, row, form, name="Ours")
    assert "“Theirs”" in refused.content.decode()
    assert 'value="Ours"' in refused.content.decode()
    assert "changed this while you edited" in errors(refused)
    row.refresh_from_db()
    assert row.name == "Theirs"


def test_a_conflict_refuses_the_whole_save(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(name="Theirs")
    post(page_of, row, form, name="Ours", youtube_channel_id="UC" + "x" * 22)
    row.refresh_from_db()
    assert row.youtube_channel_id is None


def test_saving_again_after_a_conflict_overwrites(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(name="Theirs")
    refused = post(page_of, row, form, name="Ours")
    assert post(page_of, row, inputs(refused.content.decode())).status_code == 302
    row.refresh_from_db()
    assert row.name == "Ours"


def test_a_third_change_after_a_conflict_is_a_conflict_again(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(name="Theirs")
    refused = post(page_of, row, form, name="Ours")
    Channel.objects.filter(pk=row.pk).update(name="A third")
    assert "A third" in errors(post(page_of, row, inputs(refused.content.decode())))


def test_the_same_change_by_both_is_no_conflict(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(name="Same")
    assert post(page_of, row, form, name="Same").status_code == 302


def test_an_error_elsewhere_does_not_forget_what_was_opened(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(is_active=False)
    refused = post(page_of, row, form, name="Baking", schedule="{")
    again = inputs(refused.content.decode()) | {"schedule": form["schedule"]}
    assert post(page_of, row, again).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.is_active) == ("Baking", False)


def test_json_that_both_changed_shows_theirs(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(metadata={"handle": 4})
    refused = post(page_of, row, form, metadata='{"handle": 5}')
    assert "handle" in errors(refused)
    assert "4" in errors(refused)


def test_a_secret_that_both_replaced_is_refused_without_showing_either(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    theirs = {"client_id": "a", "client_secret": "their-plaintext", "refresh_token": "b"}
    Channel.objects.filter(pk=row.pk).update(credentials=theirs)
    ours = json.dumps(theirs | {"client_secret": "our-plaintext"})
    refused = post(page_of, row, form, credentials=ours)
    assert "another secret" in errors(refused)
    assert "our-plaintext" not in refused.content.decode()
    assert "their-plaintext" not in refused.content.decode()


def test_a_relation_that_both_changed_is_refused_by_name(page_of: Client) -> None:
    rows = one_of_each()
    other = TransformationPreset.objects.create(name="Theirs")
    ours = TransformationPreset.objects.create(name="Ours")
    form = opened(page_of, rows[Channel])
    Channel.objects.update(default_preset=other)
    refused = post(page_of, rows[Channel], form, default_preset=str(ours.pk))
    assert "“Theirs”" in refused.content.decode()


def test_times_with_fractions_of_a_second_are_not_taken_for_changed(page_of: Client) -> None:
    row = video(scheduled_for=datetime(2026, 12, 1, 18, 0, 0, 123456, tzinfo=UTC))
    form = opened(page_of, row)
    Video.objects.filter(pk=row.pk).update(title="Theirs")
    assert post(page_of, row, form).status_code == 302
    row.refresh_from_db()
    assert row.title == "Theirs"
    assert row.scheduled_for == datetime(2026, 12, 1, 18, 0, 0, 123456, tzinfo=UTC)


def test_a_row_deleted_meanwhile_says_so(page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row)
    row.delete()
    response = page_of.post(url(row, "change"), form, follow=True)
    assert "doesn’t exist" in response.content.decode()


def test_a_time_entered_beside_a_mistake_is_saved_once_that_is_mended(page_of: Client) -> None:
    job = job_of(video())
    changes = {"run_at_0": "2027-03-03", "run_at_1": "10:00:00", "priority": "9999"}
    refused = post(page_of, job, opened(page_of, job), **changes)
    assert post(page_of, job, inputs(refused.content.decode()), priority="5").status_code == 302
    job.refresh_from_db()
    assert (job.run_at, job.priority) == (datetime(2027, 3, 3, 10, tzinfo=UTC), 5)


def test_the_opened_value_can_be_put_back_after_a_conflict(page_of: Client) -> None:
    row = channel(metadata={"order": 1})
    form = opened(page_of, row)
    Channel.objects.filter(pk=row.pk).update(metadata={"order": 9})
    refused = post(page_of, row, form, metadata='{"order": 2}')
    again = inputs(refused.content.decode())
    assert post(page_of, row, again, metadata='{"order": 1}').status_code == 302
    row.refresh_from_db()
    assert row.metadata == {"order": 1}


@pytest.mark.parametrize("text", ["one\ntwo", " one ", "one\n", "one\rtwo"])
def test_text_that_a_browser_posts_otherwise_is_not_taken_for_changed(
    text: str, page_of: Client
) -> None:
    preset = TransformationPreset.objects.create(name="Short", description=text)
    made = video(title=text)
    for row in (preset, made):
        assert post(page_of, row, opened(page_of, row)).status_code == 302
    preset.refresh_from_db()
    made.refresh_from_db()
    assert (preset.description, made.title) == (text, text)
    assert LogEntry.objects.filter(change_message__contains="fields").count() == 0


def test_outer_spaces_can_be_taken_away(page_of: Client) -> None:
    row = channel(name=" Cooking ")
    post(page_of, row, opened(page_of, row), name="Cooking")
    row.refresh_from_db()
    assert row.name == "Cooking"


@pytest.mark.parametrize(
    ("stored", "entered"), [("x ", "x"), ("a\nb", "ab"), ("x", "a\r\nb"), (1, True), (0, False)]
)
def test_a_json_value_is_taken_to_the_letter(stored: Any, entered: Any, page_of: Client) -> None:
    row = channel(metadata={"a": stored})
    post(page_of, row, opened(page_of, row), metadata=json.dumps({"a": entered}))
    row.refresh_from_db()
    assert repr(row.metadata) == repr({"a": entered})


def test_an_empty_unique_id_stays_empty(page_of: Client) -> None:
    row = channel()
    post(page_of, row, opened(page_of, row), name="Renamed")
    row.refresh_from_db()
    assert (row.name, row.youtube_channel_id) == ("Renamed", None)
    post(page_of, row, opened(page_of, row), youtube_channel_id="UC" + "x" * 22)
    post(page_of, row, opened(page_of, row), youtube_channel_id="")
    row.refresh_from_db()
    assert row.youtube_channel_id is None


def test_a_text_box_is_saved_with_plain_line_ends(page_of: Client) -> None:
    preset = TransformationPreset.objects.create(name="Short", description="one")
    post(page_of, preset, opened(page_of, preset), description="one\ntwo")
    preset.refresh_from_db()
    assert preset.description == "one\ntwo"


def test_a_long_json_does_not_keep_the_name_from_being_changed(page_of: Client) -> None:
    row = channel(metadata={"long": "x" * 1_400_000})
    assert post(page_of, row, opened(page_of, row), name="Renamed").status_code == 302


@pytest.mark.parametrize("posted", ["[" * 200_000, "{", "[]", "3", '{"name": 3, "x": {}}'])
def test_a_broken_token_of_the_opened_values_is_no_error(posted: str, page_of: Client) -> None:
    row = channel()
    form = opened(page_of, row) | {"_opened": posted}
    assert post(page_of, row, form, name="Renamed").status_code in (200, 302)


BAD = {
    "schedule": [
        ("{", "not valid JSON at line 1, column 2"),
        ('{"timezone": "Europe/Berln", "slots": {}}', "Europe/Berlin"),
        ('{"timezone": "UTC", "slots": {"tue": ["25:00"]}}', "25:00"),
        ('{"timezone": "UTC", "slots": {}, "jiter": 3}', "jiter"),
        ("[]", "Expected an object"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": "\\u0000"}', "U+0000"),
        ('{"a": "\\ud800"}', "U+D800"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "deeper than"),
        ('{"a": ' + "1" * 5000 + "}", "digits"),
    ],
    "filters": [("null", "null is no value"), ("3", "Expected an object")],
    "youtube_channel_id": [("UCshort", "22 letters"), ("UC" + "é" * 22, "22 letters")],
    "credentials": [
        ("{", "not valid JSON"),
        ('{"client_id": "a", "client_secret": "b"}', "refresh_token"),
        ('{"type": "service_account"}', "authorized_user"),
        ('{"unsupported": {}}', "no credentials that ytops knows"),
    ],
}


@pytest.mark.parametrize(
    ("field", "typed", "expected"),
    [(field, typed, words) for field, cases in BAD.items() for typed, words in cases],
)
def test_bad_input_gets_a_message_beside_its_field_and_stays(
    field: str, typed: str, expected: str, page_of: Client
) -> None:
    row = channel()
    refused = post(page_of, row, opened(page_of, row), **{field: typed, "name": "Kept"})
    assert expected in str(form_of(refused).errors[field])
    shown = inputs(refused.content.decode())
    assert shown["name"] == "Kept"
    assert shown[field] == ("" if field == "credentials" else typed)
    row.refresh_from_db()
    assert row.name == "Cooking"


def test_every_table_can_be_added_to_by_form(page_of: Client) -> None:
    rows = one_of_each()
    added = {
        Channel: {"name": "New"},
        TransformationPreset: {"name": "New", "is_active": "on"},
        Music: {"title": "New"},
        Video: {"channel": str(rows[Channel].pk), "source_url": "example.org/new"},
    }
    for model, values in added.items():
        response = post(page_of, model, opened(page_of, model), **values)
        assert response.status_code == 302, errors(response)
        assert model._default_manager.count() == 2
    assert Video.objects.filter(source_url="https://example.org/new").exists()


def test_actions_switch_channels_and_leave_history_of_what_changed(page_of: Client) -> None:
    rows = [channel(), channel(is_active=False)]
    for action, active in (("deactivate", False), ("activate", True)):
        data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
        page_of.post(url(Channel, "changelist"), data)
        assert set(Channel.objects.values_list("is_active", flat=True)) == {active}
    assert LogEntry.objects.filter(object_id=str(rows[0].pk)).count() == 2
    assert LogEntry.objects.filter(object_id=str(rows[1].pk)).count() == 1


def test_a_deletion_names_its_object_to_the_letter(page_of: Client) -> None:
    row = channel(name="BBC News ÄÖ")
    assert "Channel: BBC News ÄÖ" in page_of.get(url(row, "delete")).content.decode()


def test_many_videos_are_deleted_by_action(page_of: Client) -> None:
    row = one_of_each()[Video]
    data = {"action": "delete_selected", "_selected_action": [str(row.pk)]}
    assert "Processing jobs: 1" in page_of.post(url(Video, "changelist"), data).content.decode()
    page_of.post(url(Video, "changelist"), data | {"post": "yes"})
    assert not Video.objects.exists()
