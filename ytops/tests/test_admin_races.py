"""Two operators who press "Save" at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client

from channels_app.models import Channel
from videos_app.models import Video
from ytops.tests.admin_client import opened, post
from ytops.tests.examples import channel

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5
POSTS, GAP = "publish.posts_per_day", "publish.min_gap_minutes"
Save = Callable[[Client], int]


def at_once(operator: User, *saves: Save) -> list[int]:
    """Run each save in a thread of its own, all released together; their status codes."""
    barrier = Barrier(len(saves))

    def run(save: Save) -> int:
        client = Client()
        client.force_login(operator)
        barrier.wait()
        try:
            return save(client)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(saves)) as threads:
        return list(threads.map(run, saves))


def saving(what: Model | type[Model], form: dict[str, str], **changes: str) -> Save:
    return lambda client: post(client, what, form, **changes).status_code


def test_different_fields_saved_at_once_both_stay(operator: User, page_of: Client) -> None:
    for _ in range(ROUNDS):
        row = channel()
        form = opened(page_of, row)
        saves = saving(row, form, name="Ours"), saving(row, form, **{POSTS: "5"})
        assert at_once(operator, *saves) == [302, 302]
        row.refresh_from_db()
        assert (row.name, row.settings) == ("Ours", {POSTS: 5})


def test_one_field_saved_at_once_is_saved_by_one_and_refused_to_the_other(
    operator: User, page_of: Client
) -> None:
    for _ in range(ROUNDS):
        row = channel()
        form = opened(page_of, row)
        codes = at_once(operator, saving(row, form, name="One"), saving(row, form, name="Two"))
        assert sorted(codes) == [200, 302]
        assert Channel.objects.get(pk=row.pk).name == ("One" if codes[0] == 302 else "Two")


def test_two_overrides_saved_at_once_both_stay_and_one_is_refused_to_the_second(
    operator: User, page_of: Client
) -> None:
    for _ in range(ROUNDS):
        row = channel()
        form = opened(page_of, row)
        saves = saving(row, form, **{POSTS: "5"}), saving(row, form, **{GAP: "0"})
        assert at_once(operator, *saves) == [302, 302]
        row.refresh_from_db()
        assert row.settings == {POSTS: 5, GAP: 0}
        form = opened(page_of, row)
        saves = saving(row, form, **{POSTS: "6"}), saving(row, form, **{POSTS: "7"})
        codes = at_once(operator, *saves)
        assert sorted(codes) == [200, 302]
        row.refresh_from_db()
        assert row.settings == {POSTS: 6 if codes[0] == 302 else 7, GAP: 0}


def test_the_same_row_added_at_once_is_added_once_and_refused_in_words(
    operator: User, page_of: Client
) -> None:
    owner = channel()
    form = opened(page_of, Video)
    for number in range(ROUNDS):
        source = f"https://example.org/{number}"
        add = saving(Video, form, channel=str(owner.pk), source_url=source)
        assert sorted(at_once(operator, add, add)) == [200, 302]
        assert Video.objects.filter(source_url=source).count() == 1
