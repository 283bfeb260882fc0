"""Expressions and secrets: what could store plaintext is refused, and then nothing is stored."""

from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import transaction
from django.db.models import BinaryField, Case, F, Q, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, Lower
from django.db.models.lookups import Exact

from channels_app.models import Channel
from settings_app.models import SystemConfiguration
from ytops.db.fields import SecretField, SecretJSONField
from ytops.db.secrets import JSONSecret
from ytops.tests import examples
from ytops.tests.test_secrets import assert_encrypted, raw_columns

pytestmark = pytest.mark.django_db

PLAIN = "written-in-clear"
EVERY_ROW = Q(name__isnull=False)
REFUSED = {
    "a bare value": Value(PLAIN),
    "bytes": Value(PLAIN.encode()),
    "a value of another type": Value(PLAIN, output_field=TextField()),
    "a value of the column's type": Value(PLAIN.encode(), output_field=BinaryField()),
    "a value of another kind of secret": Value(PLAIN, output_field=SecretField()),
    "another column": F("name"),
    "a case with a bare value": Case(When(EVERY_ROW, then=Value(PLAIN)), default=None),
    "a case with another column": Case(When(EVERY_ROW, then=F("name")), default=None),
    "a case with a bare default": Case(
        When(name="nobody", then=F("credentials")), default=Value(PLAIN)
    ),
    "a case in a case": Case(When(EVERY_ROW, then=Case(default=Value(PLAIN)))),
    "a case that only says it is a secret": Case(
        When(EVERY_ROW, then=Value(PLAIN)), output_field=SecretJSONField()
    ),
    "concat": Concat(Value(PLAIN), Value("")),
    "concat of the column": Concat(F("credentials"), Value(PLAIN), output_field=TextField()),
    "a function": Lower(Value(PLAIN)),
    "coalesce": Coalesce(F("credentials"), Value(PLAIN), output_field=SecretJSONField()),
    "a cast of a value": Cast(Value(PLAIN), output_field=SecretJSONField()),
    "a cast of the column to text": Cast(F("credentials"), output_field=TextField()),
    "a subquery": Subquery(Channel.objects.values("name")[:1]),
    "a subquery of secrets": Subquery(Channel.objects.values("credentials")[:1]),
    "a condition": Exact(F("name"), Value(PLAIN)),
}


@pytest.mark.parametrize("expression", REFUSED.values(), ids=REFUSED.keys())
class TestRefused:
    def test_in_an_update(self, expression: Any) -> None:
        examples.channel(name=PLAIN)
        before = raw_columns()
        with pytest.raises(FieldError, match="could store plaintext"), transaction.atomic():
            Channel.objects.update(credentials=expression)
        assert raw_columns() == before
        assert_encrypted(PLAIN)

    def test_in_a_save(self, expression: Any) -> None:
        channel = examples.channel(name=PLAIN)
        before = raw_columns()

        def save() -> None:
            channel.credentials = expression
            channel.save()

        with pytest.raises(FieldError, match="could store plaintext"), transaction.atomic():
            save()
        assert raw_columns() == before

    def test_in_a_bulk_update(self, expression: Any) -> None:
        channel = examples.channel(name=PLAIN)
        before = raw_columns()

        def update() -> None:
            channel.credentials = expression
            Channel.objects.bulk_update([channel], ["credentials"])

        with pytest.raises(FieldError, match="could store plaintext"), transaction.atomic():
            update()
        assert raw_columns() == before


@pytest.mark.parametrize(
    "expression",
    [
        Value(PLAIN),
        Value(PLAIN, output_field=TextField()),
        Concat(Value(PLAIN), Value("")),
        Concat(F("name"), Value(PLAIN)),
    ],
)
def test_an_insert_is_refused(expression: Any) -> None:
    for insert in (Channel.objects.create, lambda **v: Channel.objects.bulk_create([Channel(**v)])):
        with pytest.raises(FieldError, match="could store") as raised, transaction.atomic():
            insert(name="Cooking", credentials=expression)
        assert PLAIN not in str(raised.value)
    assert raw_columns() == []


def test_an_annotation_by_another_name_is_refused() -> None:
    examples.channel()
    before = raw_columns()
    for annotation in (Value(PLAIN), F("name"), Concat(F("name"), Value(PLAIN))):
        with pytest.raises(FieldError, match="could store plaintext"), transaction.atomic():
            Channel.objects.annotate(x=annotation).update(credentials=F("x"))
    assert raw_columns() == before


def test_the_refusal_does_not_quote_the_value() -> None:
    examples.channel()
    with pytest.raises(FieldError) as raised, transaction.atomic():
        Channel.objects.update(credentials=Value(PLAIN))
    assert PLAIN not in str(raised.value)


class TestTaken:
    def test_f_on_the_column_itself(self) -> None:
        examples.channel()
        before = raw_columns()
        Channel.objects.update(credentials=F("credentials"))
        assert raw_columns() == before

    def test_a_value_of_this_very_kind_is_encrypted(self) -> None:
        examples.channel()
        Channel.objects.update(credentials=Value({"a": PLAIN}, output_field=SecretJSONField()))
        assert Channel.objects.get().credentials.reveal() == {"a": PLAIN}
        assert_encrypted(PLAIN)

    def test_an_annotation_of_this_very_kind_is_encrypted(self) -> None:
        examples.channel()
        value = Value({"a": PLAIN}, output_field=SecretJSONField())
        Channel.objects.annotate(x=value).update(credentials=F("x"))
        assert Channel.objects.get().credentials.reveal() == {"a": PLAIN}
        assert_encrypted(PLAIN)

    def test_a_value_that_is_null(self) -> None:
        examples.channel()
        Channel.objects.update(credentials=Value(None))
        assert raw_columns() == [None]

    def test_a_case_of_what_is_taken(self) -> None:
        examples.channel()
        examples.channel(name="Baking")
        secret = JSONSecret.encrypt({"a": PLAIN})
        field = Channel._meta.get_field("credentials")
        replaced = When(name="Baking", then=Value(secret, output_field=field))
        Channel.objects.update(credentials=Case(replaced, default=F("credentials")))
        found = [c.credentials.reveal() for c in Channel.objects.order_by("pk")]
        assert found == [examples.CREDENTIALS, {"a": PLAIN}]
        assert_encrypted(PLAIN)

    def test_a_bulk_update_of_many_batches(self) -> None:
        rows = SystemConfiguration.objects.bulk_create(
            SystemConfiguration(key=f"a.b{number}", encrypted=True, secret="old")
            for number in range(25)
        )
        for number, row in enumerate(rows):
            row.secret = f"{PLAIN} {number}"
        SystemConfiguration.objects.bulk_update(rows, ["secret"], batch_size=10)
        stored = SystemConfiguration.objects.filter(key__startswith="a.")
        found = {row.key: row.secret.reveal() for row in stored}
        assert found == {f"a.b{number}": f"{PLAIN} {number}" for number in range(25)}
