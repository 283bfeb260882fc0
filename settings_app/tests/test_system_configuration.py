from typing import Any

import pytest
from django.db import connection
from django.db.models import JSONField, Value

from settings_app.models import SystemConfiguration
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

KEY = "example.of_a_key"


def row(**values: Any) -> SystemConfiguration:
    return SystemConfiguration.objects.create(**{"key": KEY, **values})


def stored() -> SystemConfiguration:
    return SystemConfiguration.objects.get(key=KEY)


class TestTheKey:
    def test_is_there_once(self) -> None:
        row()
        assert "already exists" in said_of(SystemConfiguration(key=KEY), "key")
        with refused_by_the_database():
            row()

    @pytest.mark.parametrize("key", ["a.b", "a.b.c", "a1.b_2"])
    def test_is_words_joined_by_dots(self, key: str) -> None:
        assert problems(row(key=key)) == {}

    @pytest.mark.parametrize(
        "key",
        ["", "a", ".a", "a.", "a..b", "A.b", "a.b-c", "1.a", "a.b\n", "ä.b", "a.b\x00"],
    )
    def test_of_another_shape_is_refused_when_entered(self, key: str) -> None:
        assert said_of(SystemConfiguration(key=key), "key")

    @pytest.mark.parametrize("key", ["", "a." + "b" * 199, "a.b\x00"])
    def test_out_of_bounds_is_refused(self, key: str) -> None:
        assert_not_storable(row(), key=key)

    def test_is_found_by_its_natural_key(self) -> None:
        made = row()
        assert SystemConfiguration.objects.get_by_natural_key(*made.natural_key()) == made
        assert str(made) == KEY


class TestTheValue:
    @pytest.mark.parametrize(
        "value", [0, 1, -1.5, 10**30, True, False, "", "null", "text", [], [None], {}, {"a": None}]
    )
    def test_of_any_kind_but_null_comes_back(self, value: Any) -> None:
        assert problems(row(value=value)) == {}
        assert stored().value == value
        assert type(stored().value) is type(value)

    def test_none_is_sql_null_and_means_inherit(self) -> None:
        for value in (None, Value(None, JSONField())):
            SystemConfiguration.objects.filter(key=KEY).delete()
            row(value=value)
            assert SystemConfiguration.objects.filter(key=KEY, value__isnull=True).exists()
            assert stored().value is None
            assert problems(stored()) == {}

    def test_is_emptied_by_every_kind_of_write(self) -> None:
        made = row(value=5)
        made.value = None
        rows = SystemConfiguration.objects.filter(key=KEY)
        for write in (
            made.save,
            lambda: rows.update(value=None),
            lambda: SystemConfiguration.objects.bulk_update([made], ["value"]),
        ):
            rows.update(value=5)
            write()
            assert SystemConfiguration.objects.filter(key=KEY, value__isnull=True).exists()

    def test_of_json_null_is_refused_by_the_table(self) -> None:
        row(value=5)
        with refused_by_the_database(), connection.cursor() as cursor:
            cursor.execute("UPDATE system_configuration SET value = 'null' WHERE key = %s", [KEY])

    def test_that_is_no_json_is_refused_by_the_table(self) -> None:
        row(value=5)
        with refused_by_the_database(), connection.cursor() as cursor:
            cursor.execute("UPDATE system_configuration SET value = '{' WHERE key = %s", [KEY])


class TestTheSecret:
    def test_stands_alone(self) -> None:
        made = row(encrypted=True, secret="hunter2")
        assert problems(made) == {}
        assert stored().secret.reveal() == "hunter2"
        assert stored().value is None

    @pytest.mark.parametrize("encrypted", [True, False])
    def test_may_be_missing(self, encrypted: bool) -> None:
        assert problems(row(encrypted=encrypted)) == {}

    @pytest.mark.parametrize(
        "values",
        [
            {"encrypted": True, "value": 5, "secret": "hunter2"},
            {"encrypted": False, "value": 5, "secret": "hunter2"},
            {"encrypted": True, "value": 5},
            {"encrypted": True, "value": ""},
            {"encrypted": False, "secret": "hunter2"},
        ],
        ids=str,
    )
    def test_never_stands_with_a_value_nor_on_the_wrong_side(self, values: dict[str, Any]) -> None:
        wrong = SystemConfiguration(key=KEY, **values)
        assert "A plain value and a secret cannot stand together" in str(problems(wrong))
        assert_not_storable(row(), **values)

    def test_turning_a_secret_into_a_value_takes_one_update(self) -> None:
        row(encrypted=True, secret="hunter2")
        rows = SystemConfiguration.objects.filter(key=KEY)
        rows.update(encrypted=False, secret=None, value="plain")
        assert (stored().secret, stored().value) == (None, "plain")


def test_rows_are_listed_by_key() -> None:
    row(key="z.z")
    row(key="a.a")
    keys = [made.key for made in SystemConfiguration.objects.all()]
    assert keys == sorted(keys)
    assert (keys[0], keys[-1]) == ("a.a", "z.z")
