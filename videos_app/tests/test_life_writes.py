"""Nothing but a move writes a video's status and history, in none of the ORM's ordinary ways."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError
from django.db import transaction
from django.db.models import F
from django.test import Client

from videos_app.life import VideoStatus
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.admin_client import opened, url

pytestmark = pytest.mark.django_db
S = VideoStatus


def stored(video: Video) -> Video:
    return Video.objects.get(pk=video.pk)


def row(video: Video) -> tuple[Any, ...]:
    return Video.objects.values_list().get(pk=video.pk)


def tampered(video: Video, field: str) -> Video:
    """An instance that holds another status, or a shorter history."""
    setattr(video, field, OTHER[field])
    return video


def run(method: Callable[..., Awaitable[Any]], *args: Any, **values: Any) -> Any:
    async def call() -> Any:
        return await method(*args, **values)

    return async_to_sync(call)()


OTHER: dict[str, Any] = {"status": "published", "processing_history": []}
WAYS: dict[str, Callable[[Video, str], Any]] = {
    "save": lambda video, field: tampered(video, field).save(),
    "save_update_fields": lambda video, field: video.save(update_fields=["title", field]),
    "save_fields": lambda video, field: video.save_fields(**{field: OTHER[field]}),
    "write": lambda video, field: video.write(**{field: OTHER[field]}),
    "save_what_was_not_read": lambda video, field: tampered(
        Video.objects.defer(field).get(pk=video.pk), field
    ).save(),
    "save_only": lambda video, field: tampered(
        Video.objects.only("title").get(pk=video.pk), field
    ).save(),
    "save_after_it_was_read_lazily": lambda video, field: tampered(
        read_lazily(video, field), field
    ).save(),
    "force_update_of_a_made_up_instance": lambda video, field: Video(
        pk=video.pk, channel_id=video.channel_id, source_url=video.source_url
    ).save(force_update=True),
    "update_fields_of_a_made_up_instance": lambda video, field: Video(
        pk=video.pk, **{field: OTHER[field]}
    ).save(update_fields=[field]),
    "update": lambda video, field: Video.objects.update(**{field: OTHER[field]}),
    "update_by_expression": lambda video, field: Video.objects.update(**{field: F(field)}),
    "update_of_a_filter": lambda video, field: Video.objects.published().update(
        **{field: OTHER[field]}
    ),
    "update_of_the_channel_s": lambda video, field: video.channel.videos.update(
        **{field: OTHER[field]}
    ),
    "bulk_update": lambda video, field: Video.objects.bulk_update(
        [tampered(video, field)], ["title", field]
    ),
    "bulk_create": lambda video, field: Video.objects.bulk_create(
        [tampered(video, field)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["title", field],
    ),
    "bulk_create_by_position": lambda video, field: Video.objects.bulk_create(
        [tampered(video, field)], None, False, True, [field], ["id"]
    ),
    "bulk_create_by_position_of_a_tuple": lambda video, field: Video.objects.bulk_create(
        [tampered(video, field)], None, False, True, (field,), ["id"]
    ),
    "update_or_create": lambda video, field: Video.objects.update_or_create(
        {field: OTHER[field]}, pk=video.pk
    ),
    "update_or_create_of_the_channel_s": lambda video, field: video.channel.videos.update_or_create(
        defaults={field: OTHER[field]}, source_url=video.source_url
    ),
    "asave": lambda video, field: run(tampered(video, field).asave),
    "aupdate": lambda video, field: run(Video.objects.aupdate, **{field: OTHER[field]}),
    "abulk_update": lambda video, field: run(
        Video.objects.abulk_update, [tampered(video, field)], [field]
    ),
    "aupdate_or_create": lambda video, field: run(
        Video.objects.aupdate_or_create, {field: OTHER[field]}, pk=video.pk
    ),
}


def read_lazily(video: Video, field: str) -> Video:
    deferred = Video.objects.defer(field).get(pk=video.pk)
    getattr(deferred, field)
    return deferred


class TestStatusAndHistory:
    @pytest.fixture
    def video(self) -> Video:
        video = examples.video()
        video.move(S.DOWNLOADING, by="w")
        video.move(S.DOWNLOADED, by="w")
        return stored(video)

    @pytest.mark.parametrize("field", OTHER)
    @pytest.mark.parametrize("way", WAYS)
    def test_are_refused_in_every_way(self, video: Video, way: str, field: str) -> None:
        before = row(video)
        with pytest.raises(FieldError, match="only move\\(\\) writes"), transaction.atomic():
            WAYS[way](video, field)
        assert row(video) == before

    def test_of_a_copy_under_the_same_key_are_refused(self, video: Video) -> None:
        """Django inserts it, which its key forbids."""
        before = row(video)
        with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
            Video(pk=video.pk, channel=video.channel, source_url="https://example.org/2").save()
        assert row(video) == before

    def test_a_stale_copy_does_not_write_its_own_back(self, video: Video) -> None:
        stale, partial = stored(video), Video.objects.only("title").get(pk=video.pk)
        video.move(S.TRANSFORMING, by="w")
        stale.title = "An apple pie"
        stale.save()
        partial.save()
        run(stale.asave)
        stale.save(update_fields=["title", "metadata"])
        Video.objects.bulk_update([stale], ["title"])
        Video.objects.update_or_create({"metadata": {"a": 1}}, pk=video.pk)
        found = stored(video)
        assert (found.status, len(found.processing_history)) == ("transforming", 3)
        assert found.title == "An apple pie"

    def test_a_list_that_is_changed_in_place_is_not_written(self, video: Video) -> None:
        before = video.processing_history.copy()
        video.processing_history.clear()
        video.processing_history.append({"to": "published"})
        video.title = "An apple pie"
        video.save()
        assert stored(video).title == "An apple pie"
        assert stored(video).processing_history == before
        video.move(S.TRANSFORMING, by="w")
        assert video.processing_history[:2] == before
        assert video.processing_history == stored(video).processing_history

    def test_are_written_by_a_move_although_others_were_not_read(self, video: Video) -> None:
        partial = Video.objects.only("title").get(pk=video.pk)
        partial.move(S.TRANSFORMING, by="w")
        partial.title = "An apple pie"
        partial.save()
        assert stored(video).status == "transforming"
        assert len(stored(video).processing_history) == 3

    def test_can_be_given_to_a_new_video(self) -> None:
        channel = examples.channel()
        made = examples.video(channel=channel, status="transformed")
        history = [{"from": "scraped", "to": "downloading", "at": "2026-01-01T00:00:00+00:00"}]
        bulk = Video(channel=channel, source_url="https://e/1", processing_history=history)
        Video.objects.bulk_create([bulk])
        assert stored(made).status == "transformed"
        assert stored(bulk).processing_history == history
        made.save()  # a video that was just made is saved again

    def test_a_copy_under_a_new_key_is_a_new_video(self, video: Video) -> None:
        copy = stored(video)
        copy.pk, copy.source_url, copy._state.adding = uuid4(), "https://example.org/2", True
        copy.save()
        assert stored(copy).processing_history == stored(video).processing_history

    def test_a_video_that_was_deleted_does_not_come_back(self, video: Video) -> None:
        stale = stored(video)
        video.delete()
        with pytest.raises(Exception, match="did not affect any rows"), transaction.atomic():
            stale.save()
        assert not Video.objects.exists()

    def test_are_refreshed(self, video: Video) -> None:
        stale = stored(video)
        video.move(S.TRANSFORMING, by="w")
        stale.refresh_from_db()
        stale.save()
        assert stale.status == "transforming"
        stale.move(S.TRANSFORMED, by="w")
        assert len(stored(video).processing_history) == 4

    def test_are_read_only_in_the_admin(self, video: Video, page_of: Client) -> None:
        form = opened(page_of, video)
        assert not {"status", "processing_history"} & form.keys()
        data = form | {"status": "published", "processing_history": "[]", "title": "An apple pie"}
        assert page_of.post(url(video, "change"), data).status_code == 302
        found = stored(video)
        assert found.title == "An apple pie"
        assert (found.status, found.processing_history) == ("downloaded", video.processing_history)
