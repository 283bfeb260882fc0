"""Secrets in a form: write-only, and what was typed is neither shown nor lost."""

import html
import json
import re
from typing import Any

import pytest
from django import forms
from django.core.validators import MinLengthValidator

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db.forms import SecretFormField
from ytops.db.secrets import JSONSecret, Secret
from ytops.tests import examples
from ytops.tests.test_secrets import lose_the_keys, raw_columns

pytestmark = pytest.mark.django_db

TYPED = {**examples.CREDENTIALS, "refresh_token": "typed-in-clear"}


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Channel
        fields = ["name", "credentials"]


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SystemConfiguration
        fields = ["key", "encrypted", "secret"]


def posted(channel: Any = None, **data: Any) -> ChannelForm:
    return ChannelForm({"name": "Cooking", **data}, instance=channel or Channel())


def shown(form: Any) -> str:
    page = html.unescape(str(form))
    for plain in (*examples.PLAINTEXTS, "typed-in-clear", "an-id-of-a-client"):
        assert plain not in page
    return page


class TestShown:
    def test_a_stored_secret_is_not_in_the_page(self) -> None:
        page = shown(ChannelForm(instance=examples.channel()))
        assert re.search(r"<textarea name=.credentials.[^>]*></textarea>", page)
        assert "gAAAA" not in page

    def test_says_by_which_key_it_is_encrypted(self) -> None:
        channel = examples.channel()
        assert channel.credentials.key_fingerprint() in shown(ChannelForm(instance=channel))

    def test_says_that_none_is_set(self) -> None:
        assert "Not set." in shown(ChannelForm(instance=examples.channel(credentials=None)))

    def test_a_secret_whose_key_is_gone_says_so(self) -> None:
        channel = examples.channel()
        with lose_the_keys():
            page = shown(ChannelForm(instance=channel))
        assert "cannot decrypt: its key is not in FERNET_KEYS" in page


class TestSaved:
    def test_a_first_value(self) -> None:
        channel = posted(credentials=json.dumps(TYPED)).save()
        channel.refresh_from_db()
        assert channel.credentials.reveal() == TYPED

    def test_blank_keeps(self) -> None:
        channel = examples.channel()
        before = raw_columns()
        form = posted(channel, name="Baking", credentials=" \n")
        form.save()
        assert form.changed_data == ["name"]
        assert raw_columns() == before

    def test_blank_keeps_what_cannot_be_decrypted(self) -> None:
        channel = examples.channel()
        before = raw_columns()
        with lose_the_keys():
            posted(channel, name="Baking").save()
        assert raw_columns() == before

    def test_replace(self) -> None:
        form = posted(examples.channel(), credentials=json.dumps(TYPED))
        form.save()
        assert "credentials" in form.changed_data
        assert Channel.objects.get().credentials.reveal() == TYPED

    def test_replace_what_cannot_be_decrypted(self) -> None:
        channel = examples.channel()
        with lose_the_keys():
            posted(channel, credentials=json.dumps(TYPED)).save()
            assert Channel.objects.get().credentials.reveal() == TYPED

    def test_remove(self) -> None:
        form = posted(examples.channel(), **{"credentials-remove": "on"})
        form.save()
        assert "credentials" in form.changed_data
        assert Channel.objects.get().credentials is None

    def test_remove_where_nothing_is_set_is_no_change(self) -> None:
        form = posted(examples.channel(credentials=None), **{"credentials-remove": "on"})
        assert form.is_valid()
        assert "credentials" not in form.changed_data

    def test_what_is_typed_wins_over_remove(self) -> None:
        data = {"credentials": json.dumps(TYPED), "credentials-remove": "on"}
        posted(examples.channel(), **data).save()
        assert Channel.objects.get().credentials.reveal() == TYPED

    def test_with_a_prefix(self) -> None:
        data = {"row-name": "Cooking", "row-credentials": json.dumps(TYPED)}
        ChannelForm(data, prefix="row").save()
        assert Channel.objects.get().credentials.reveal() == TYPED

    def test_a_plain_text_without_the_space_around_it(self) -> None:
        data = {"key": "example.token", "encrypted": "on", "secret": " typed-in-clear\n"}
        assert TokenForm(data).save().secret.reveal() == "typed-in-clear"


class TestPending:
    """An error elsewhere in the form must not cost what was typed."""

    def first_post(self, channel: Channel | None = None) -> tuple[str, str]:
        form = posted(channel, name="", credentials=json.dumps(TYPED))
        assert not form.is_valid()
        page = shown(form)
        found = re.search(r'name="credentials-pending" value="([^"]*)"', page)
        assert found
        return page, found[1]

    def test_waits_as_ciphertext(self) -> None:
        page, pending = self.first_post()
        assert pending.startswith("fernet:gAAAA")
        assert "waiting to be saved" in page

    def test_is_saved_on_the_second_post(self) -> None:
        channel = examples.channel()
        _, pending = self.first_post(channel)
        posted(channel, **{"credentials-pending": pending}).save()
        assert Channel.objects.get().credentials.reveal() == TYPED

    def test_waits_on_after_a_second_error(self) -> None:
        _, pending = self.first_post()
        form = posted(name="", **{"credentials-pending": pending})
        assert "credentials-pending" in shown(form)

    def test_gives_way_to_what_is_typed(self) -> None:
        _, pending = self.first_post()
        data = {"credentials-pending": pending, "credentials": json.dumps(examples.CREDENTIALS)}
        posted(**data).save()
        assert Channel.objects.get().credentials.reveal() == examples.CREDENTIALS

    def test_gives_way_to_remove(self) -> None:
        channel = examples.channel()
        _, pending = self.first_post(channel)
        posted(channel, **{"credentials-pending": pending, "credentials-remove": "on"}).save()
        assert Channel.objects.get().credentials is None

    @pytest.mark.parametrize("forged", ["fernet:", "fernet:gAAAAA", f"fernet:gAAAA{'A' * 120}"])
    def test_one_that_cannot_be_read_is_an_error_and_not_left_out(self, forged: str) -> None:
        form = posted(examples.channel(), **{"credentials-pending": forged})
        assert "enter it again" in str(form.errors["credentials"])

    def test_is_checked_like_what_is_typed(self) -> None:
        forged = Secret.encrypt('{"type": "service_account"}').tagged()
        assert "credentials" in posted(**{"credentials-pending": forged}).errors

    def test_a_removal_waits_too(self) -> None:
        form = posted(examples.channel(), name="", **{"credentials-remove": "on"})
        assert not form.is_valid()
        assert 'name="credentials-remove" checked' in str(form["credentials"])


class TestErrors:
    @pytest.mark.parametrize(
        ("typed", "message"),
        [
            ('{"refresh_token": "typed-in-clear"', "not valid JSON at line 1, column 35"),
            ("typed-in-clear", "not valid JSON at line 1, column 1"),
            ('{"refresh_token": "typed-in-clear", "client_id": "x"}', "client_secret"),
            ('{"type": "typed-in-clear"}', "expected “type”: “authorized_user”"),
            ('{"installed": "typed-in-clear"}', "must be an object"),
            ('{"typed": "typed-in-clear"}', "no credentials that ytops knows"),
            ('["typed-in-clear"]', "Expected Google's JSON: an object"),
            ('"typed-in-clear"', "Expected Google's JSON: an object"),
            ("null", "Expected Google's JSON: an object"),
            ("{}", "no credentials that ytops knows"),
            ("[]", "Expected Google's JSON: an object"),
            ('""', "Expected Google's JSON: an object"),
            ('{"a": NaN}', "NaN is not JSON"),
            ('{"a": 1, "a": "typed-in-clear"}', "stands twice"),
            ("[" * 200 + "]" * 200, "Expected Google's JSON: an object"),
            ("[" * 5000, "nested deeper"),
        ],
    )
    def test_say_what_is_wrong_and_never_quote(self, typed: str, message: str) -> None:
        form = posted(credentials=typed)
        assert message in str(form.errors["credentials"][0])
        assert "credentials-pending" not in shown(form)

    def test_leave_what_is_stored(self) -> None:
        channel = examples.channel()
        assert not posted(channel, credentials="typed-in-clear").is_valid()
        assert Channel.objects.get().credentials.reveal() == examples.CREDENTIALS

    def test_a_character_that_cannot_be_stored(self) -> None:
        data = {"key": "example.token", "encrypted": "on", "secret": "typed-in-clear\x00"}
        form = TokenForm(data)
        assert "Character 15 is U+0000" in form.errors["secret"][0]
        shown(form)

    def test_the_mask_is_not_taken_for_the_secret(self) -> None:
        form = TokenForm({"key": "example.token", "encrypted": "on", "secret": "********"})
        assert "the mask of a secret" in form.errors["secret"][0]


class TestTheField:
    def test_required_is_kept_by_what_is_stored(self) -> None:
        class Form(forms.Form):
            token = SecretFormField(required=True)

        stored = {"token": Secret.encrypt("a")}
        assert Form({"token": ""}, initial=stored).is_valid()
        assert Form({"token": ""}).errors["token"] == ["This field is required."]
        assert Form({"token-remove": "on"}, initial=stored).errors["token"]

    def test_validators_see_the_plaintext(self) -> None:
        class Form(forms.Form):
            token = SecretFormField(validators=[MinLengthValidator(5)])

        assert Form({"token": "long enough"}).is_valid()
        assert not Form({"token": "four"}).is_valid()

    def test_disabled_keeps_what_is_stored_whatever_is_posted(self) -> None:
        class Form(forms.Form):
            token = SecretFormField(disabled=True)

        stored = Secret.encrypt("a")
        for data in ({"token": "typed-in-clear"}, {"token-remove": "on"}, {}):
            form = Form(data, initial={"token": stored})
            assert form.is_valid()
            assert form.cleaned_data["token"] == stored
            assert not form.has_changed()
            assert "pending" not in shown(form)

    def test_a_cleaned_value_is_a_handle(self) -> None:
        form = posted(credentials=json.dumps(TYPED))
        assert form.is_valid()
        assert isinstance(form.cleaned_data["credentials"], JSONSecret)
        assert "typed-in-clear" not in repr(form.cleaned_data)
