from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from channels_app.models import Channel
from jobs_app.conf import GITHUB_TOKEN, MAX_CONCURRENT
from settings_app import changes
from settings_app.models import ConfigurationChange, SystemConfiguration
from settings_app.registry import UNSET, Setting
from videos_app.conf import MIN_GAP_MINUTES, POSTS_PER_DAY, PRIVACY


def change(setting: Setting[Any], value: Any, **channel: Any) -> ConfigurationChange | None:
    return changes.change(setting, value, by="anna", through="admin", **channel)


def history() -> list[tuple[Any, Any]]:
    """The old and new values, the oldest first."""
    return list(ConfigurationChange.objects.order_by("id").values_list("old", "new"))


@pytest.mark.django_db
class TestOneChange:
    def test_only_what_changed_is_written(self) -> None:
        made = Channel.objects.create(name="Cooking", settings={PRIVACY.key: "public"})
        Channel.objects.update(name="Renamed meanwhile")
        change(POSTS_PER_DAY, 0, channel=made)
        stored = Channel.objects.get()
        assert stored.name == "Renamed meanwhile"
        assert stored.settings == {PRIVACY.key: "public", POSTS_PER_DAY.key: 0}

    def test_an_override_equal_to_what_is_inherited_is_one(self) -> None:
        made = Channel.objects.create(name="Cooking")
        assert change(POSTS_PER_DAY, POSTS_PER_DAY.default, channel=made)
        assert Channel.objects.get().settings == {POSTS_PER_DAY.key: POSTS_PER_DAY.default}

    def test_what_stood_there_wrong_is_recorded_and_replaced(self) -> None:
        rows = SystemConfiguration.objects.filter(key=MAX_CONCURRENT.key)
        rows.update(value=True)
        assert change(MAX_CONCURRENT, 1)
        assert type(rows.get().value) is int
        assert history() == [(True, 1)]

    def test_a_secret_in_clear_is_encrypted_and_not_recorded(self) -> None:
        rows = SystemConfiguration.objects.filter(key=GITHUB_TOKEN.key)
        rows.update(value="plain-text", encrypted=False)
        change(GITHUB_TOKEN, "plain-text")
        assert (rows.get().value, rows.get().encrypted) == (None, True)
        assert history() == [(None, None)]
        assert ConfigurationChange.objects.get().old_fingerprint == "in clear"

    def test_a_secret_that_cannot_be_decrypted_is_replaced(self, settings: Any) -> None:
        change(GITHUB_TOKEN, "one")
        settings.FERNET_KEYS = ["another-key-for-tests-only-0123456789"]
        assert change(GITHUB_TOKEN, "one")
        assert ConfigurationChange.objects.latest("id").old_fingerprint == "unknown"

    def test_unset_of_what_is_not_set_is_no_change(self) -> None:
        made = Channel.objects.create(name="Cooking")
        assert change(POSTS_PER_DAY, UNSET) is None
        assert change(POSTS_PER_DAY, UNSET, channel=made) is None
        assert history() == []

    def test_is_rolled_back_with_its_history(self) -> None:
        with transaction.atomic():
            change(POSTS_PER_DAY, 3)
            transaction.set_rollback(True)
        assert history() == []
        assert POSTS_PER_DAY.get() == 2

    @pytest.mark.parametrize("value", [51, True, "3", None])
    def test_a_value_that_does_not_fit_is_refused(self, value: Any) -> None:
        with pytest.raises(ValidationError):
            change(POSTS_PER_DAY, value)
        assert history() == []


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def together(self, *works: Callable[[], Any]) -> None:
        barrier = Barrier(len(works))

        def run(work: Callable[[], Any]) -> None:
            try:
                barrier.wait(timeout=30)
                work()
            finally:
                connection.close()

        with ThreadPoolExecutor(len(works)) as pool:
            list(pool.map(run, works))

    def test_no_override_of_one_channel_is_lost(self) -> None:
        made = Channel.objects.create(name="Cooking")
        wanted: dict[Setting[Any], Any] = {POSTS_PER_DAY: 5, MIN_GAP_MINUTES: 7, PRIVACY: "public"}
        self.together(
            *(
                lambda setting=setting, value=value: change(setting, value, channel=made)
                for setting, value in wanted.items()
            )
        )
        assert Channel.objects.get().settings == {
            setting.key: value for setting, value in wanted.items()
        }

    def test_each_change_finds_what_the_one_before_it_left(self) -> None:
        SystemConfiguration.objects.all().delete()  # they also race for the row
        values = [1, 3, 4, 5]
        self.together(*(lambda value=value: change(POSTS_PER_DAY, value) for value in values))
        news = {new: old for old, new in history()}
        assert sorted(news) == values
        chain = [SystemConfiguration.objects.get(key=POSTS_PER_DAY.key).value]
        while chain[-1] is not None:
            chain.append(news[chain[-1]])
        assert len(chain) == len(values) + 1
