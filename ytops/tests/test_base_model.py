"""What all eight tables have in common: key, timestamps, create, read, update, delete."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from channels_app.models import Channel, TransformationPreset
from ytops.tests import examples

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MODELS = [
    "Channel",
    "TransformationPreset",
    "Music",
    "Video",
    "VideoProcessingJob",
    "ChannelStatistics",
    "VideoStatistics",
    "SystemConfiguration",
]
CHANGE: dict[str, dict[str, Any]] = {
    "Channel": {"name": "Baking"},
    "TransformationPreset": {"description": "Cut to 60 s"},
    "Music": {"artist": "Somebody"},
    "Video": {"title": "A cake"},
    "VideoProcessingJob": {"worker": "worker-2"},
    "ChannelStatistics": {"view_count": 5},
    "VideoStatistics": {"like_count": 5},
    "SystemConfiguration": {"value": "changed"},
}


@pytest.fixture(params=MODELS)
def row(request: pytest.FixtureRequest) -> Any:
    rows: dict[str, Any] = {model.__name__: one for model, one in examples.one_of_each().items()}
    assert sorted(rows) == sorted(MODELS)
    return rows[request.param]


def changes(row: Any) -> dict[str, Any]:
    return CHANGE[type(row).__name__]


def stored(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


class TestEveryModel:
    def test_is_read_as_it_was_created(self, row: Any) -> None:
        again = stored(row)
        assert again == row
        for field in row._meta.concrete_fields:
            assert getattr(again, field.attname) == getattr(row, field.attname)

    def test_is_valid_as_the_examples_make_it(self, row: Any) -> None:
        row.full_clean()

    def test_is_updated(self, row: Any) -> None:
        for name, value in changes(row).items():
            setattr(row, name, value)
        row.save()
        assert {name: getattr(stored(row), name) for name in changes(row)} == changes(row)

    def test_is_deleted(self, row: Any) -> None:
        row.delete()
        assert not type(row).objects.filter(pk=row.pk).exists()

    def test_says_what_it_is(self, row: Any) -> None:
        assert str(row).strip()
        assert "object (" not in str(row)


class TestKeys:
    def test_are_uuids_of_version_7_with_the_time_in_front(self, row: Any) -> None:
        assert type(row.pk) is UUID
        assert row.pk.version == 7
        assert abs((row.pk.int >> 80) / 1000 - timezone.now().timestamp()) < 60
        assert stored(row).pk == row.pk

    def test_grow_with_time_in_the_database_too(self) -> None:
        made = [Channel(name=str(number)) for number in range(200)]
        Channel.objects.bulk_create(reversed(made))
        ordered = Channel.objects.order_by("pk").values_list("name", flat=True)
        assert list(ordered) == [channel.name for channel in made]

    def test_are_found_as_text_as_well(self, row: Any) -> None:
        for text in (str(row.pk), row.pk.hex, str(row.pk).upper()):
            assert type(row).objects.get(pk=text) == row


class TestUpdatedAt:
    @pytest.fixture(autouse=True)
    def _long_ago(self, row: Any) -> None:
        type(row).objects.update(updated_at=LONG_AGO, created_at=LONG_AGO)
        row.refresh_from_db()

    def assert_moved(self, row: Any) -> None:
        assert timezone.now() - stored(row).updated_at < timedelta(minutes=1)
        assert stored(row).created_at == LONG_AGO

    def test_moves_on_save(self, row: Any) -> None:
        row.save()
        self.assert_moved(row)
        assert row.updated_at == stored(row).updated_at

    def test_moves_on_save_of_some_fields(self, row: Any) -> None:
        row.save(update_fields=list(changes(row)))
        self.assert_moved(row)

    def test_moves_on_save_of_a_row_read_in_part(self, row: Any) -> None:
        type(row).objects.only("pk", *changes(row)).get(pk=row.pk).save()
        self.assert_moved(row)

    def test_moves_on_update(self, row: Any) -> None:
        type(row).objects.filter(pk=row.pk).update(**changes(row))
        self.assert_moved(row)

    def test_moves_on_bulk_update(self, row: Any) -> None:
        type(row).objects.bulk_update([row], list(changes(row)))
        self.assert_moved(row)

    def test_moves_on_save_fields(self, row: Any) -> None:
        assert row.save_fields(**changes(row)) is row
        self.assert_moved(row)

    def test_stays_when_save_fields_has_nothing_to_change(self, row: Any) -> None:
        row.save_fields(**{name: getattr(row, name) for name in changes(row)})
        assert stored(row).updated_at == LONG_AGO

    def test_stays_when_the_row_is_only_read(self, row: Any) -> None:
        row.refresh_from_db()
        row.full_clean()
        list(type(row).objects.all())
        assert stored(row).updated_at == LONG_AGO

    def test_stays_as_told_when_update_is_told(self, row: Any) -> None:
        told = LONG_AGO + timedelta(days=1)
        type(row).objects.filter(pk=row.pk).update(updated_at=told)
        assert stored(row).updated_at == told


class TestSaveFields:
    def test_writes_these_fields_alone(self) -> None:
        channel = examples.channel()
        Channel.objects.update(is_active=False)
        channel.save_fields(name="Baking")
        assert (stored(channel).name, stored(channel).is_active) == ("Baking", False)

    def test_writes_nothing_when_nothing_differs(self, django_assert_num_queries: Any) -> None:
        channel = examples.channel()
        with django_assert_num_queries(0):
            channel.save_fields(name=channel.name, is_active=True)

    def test_sets_a_relation(self) -> None:
        channel = examples.channel()
        preset = TransformationPreset.objects.create(name="Short")
        channel.save_fields(default_preset=preset)
        assert stored(channel).default_preset == preset


class TestTimes:
    def test_microseconds_are_kept(self) -> None:
        at = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
        channel = examples.channel(created_at=at)
        assert stored(channel).created_at == at

    def test_another_offset_is_the_same_instant(self) -> None:
        at = datetime.fromisoformat("2026-03-29T03:30:00+02:00")
        channel = examples.channel(created_at=at)
        assert stored(channel).created_at == at
        assert stored(channel).created_at.utcoffset() == timedelta(0)
        assert Channel.objects.filter(created_at=at).exists()

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(RuntimeWarning, match="received a naive datetime"), transaction.atomic():
            examples.channel(created_at=datetime(2026, 3, 29, 3, 30))
