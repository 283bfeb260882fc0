import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db.models import F

from channels_app.filters import refusal
from channels_app.models import Channel, ChannelQuerySet, Music, TransformationPreset
from jobs_app.conf import MAX_CONCURRENT
from jobs_app.models import VideoProcessingJob
from settings_app.models import SystemConfiguration
from stats_app.models import ChannelStatistics, VideoStatistics
from videos_app.life import MOVES, RESTING, VideoStatus
from videos_app.models import Video, VideoQuerySet
from ytops.management.fixtures import load_missing

EIGHT = (
    Channel,
    TransformationPreset,
    Music,
    Video,
    VideoProcessingJob,
    ChannelStatistics,
    VideoStatistics,
    SystemConfiguration,
)
PROVE = os.environ.get("YTOPS_PROVE") == "1"
FOLDER = settings.BASE_DIR / "fixtures"


def load(name: str) -> None:
    call_command("loaddata", name, verbosity=0)


def counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in (*EIGHT, Group)}


def codes(group: str) -> set[str]:
    permissions = Group.objects.get(name=group).permissions
    return set(permissions.values_list("codename", flat=True))


def every(*actions: str, of: tuple[Any, ...] = EIGHT) -> set[str]:
    return {f"{action}_{model._meta.model_name}" for action in actions for model in of}


def test_the_demo_is_what_its_generator_makes() -> None:
    command = [sys.executable, str(FOLDER / "make_demo.py")]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    shipped = (FOLDER / "demo.json").read_bytes()
    # Not `==` in the assert: pytest would take minutes to tell the difference.
    same = made == shipped
    assert same, "run: python fixtures/make_demo.py > fixtures/demo.json"
    assert len(shipped) < 2_500_000


def test_the_fixtures_carry_no_secret() -> None:
    for name in ("defaults", "demo"):
        rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert not [row for row in rows if {"credentials", "secret"} & set(row["fields"])]


def loads_again_to_the_same(name: str) -> None:
    before = counts()
    preset = TransformationPreset.objects.get(name="Square 1:1")
    preset.save_fields(parameters={"width": 1})
    load(name)
    assert counts() == before
    preset.refresh_from_db()
    assert preset.parameters["width"] == 1080


def excerpt(name: str, folder: Path) -> str:
    """A fixture of a tenth of the rows, and of all that the others refer to."""
    rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    owners = ("channels_app.", "videos_app.")
    kept = [row for row in rows if row["model"].startswith(owners)] + rows[::10]
    path = folder / f"{name}.json"
    path.write_text(json.dumps(kept), encoding="utf-8")
    return str(path)


@pytest.mark.django_db
def test_loading_the_defaults_again_restores_them_and_doubles_nothing() -> None:
    load("defaults")
    loads_again_to_the_same("defaults")


@pytest.mark.django_db
def test_groups() -> None:
    load("defaults")
    edited = (Channel, TransformationPreset, Music, Video, VideoProcessingJob)
    assert codes("Viewers") == every("view")
    assert codes("Operators") == (
        every("view")
        | every("add", "change", "delete", of=edited)
        | every("delete", of=(ChannelStatistics, VideoStatistics))
        | every("change", of=(SystemConfiguration,))
    )
    assert Permission.objects.count() > len(codes("Operators"))


@pytest.mark.django_db
def test_load_missing_adds_what_is_missing_and_leaves_the_rest_alone() -> None:
    shipped = load_missing("defaults")
    assert shipped == TransformationPreset.objects.count() + Group.objects.count()
    assert load_missing("defaults") == 0

    edited = TransformationPreset.objects.get(name="Square 1:1")
    edited.save_fields(parameters={"width": 640}, is_active=False)
    Group.objects.get(name="Viewers").permissions.clear()
    TransformationPreset.objects.get(name="Landscape 1080p").delete()
    before = TransformationPreset.objects.filter(pk=edited.pk).values().get()

    assert load_missing("defaults") == 1
    assert TransformationPreset.objects.filter(pk=edited.pk).values().get() == before
    assert codes("Viewers") == set()
    assert TransformationPreset.objects.filter(name="Landscape 1080p").exists()


def every_row_passes_its_own_validation() -> None:
    for model in EIGHT:
        relations = {field.name for field in model._meta.fields if field.is_relation}
        for row in model._default_manager.all():
            # The database has checked the rest; a query for each would take a minute.
            row.full_clean(relations, validate_unique=False, validate_constraints=False)


def every_state_is_there() -> None:
    jobs = VideoProcessingJob.objects
    assert set(Video.objects.values_list("status", flat=True)) == set(Video.Status)
    assert set(jobs.values_list("status", flat=True)) == set(VideoProcessingJob.Status)
    assert set(jobs.values_list("kind", flat=True)) == set(VideoProcessingJob.Kind)
    assert Channel.objects.filter(is_active=False).count() == 2
    assert ChannelStatistics.objects.filter(subscriber_count=None).exists()
    assert VideoStatistics.objects.filter(like_count=None).exists()
    assert jobs.filter(github_workflow_run_id__gt=2**32).exists()
    titles = Video.objects.values_list("title", flat=True)
    assert {"=", "-", "+", "@"} <= {title[0] for title in titles}
    assert any(len(title) > 250 for title in titles)


def the_history_of_a_video_leads_to_its_status() -> None:
    for video in Video.objects.all():
        moves = video.processing_history
        states = ["scraped", *(move["to"] for move in moves)]
        times = [datetime.fromisoformat(move["at"]) for move in moves]
        assert [move["from"] for move in moves] == states[:-1]
        assert states[-1] == video.status
        assert [video.created_at, *times] == sorted([video.created_at, *times])
        assert [video.created_at, *times][-1] == video.updated_at
        assert all(set(move) == {"from", "to", "at", "by", "why"} for move in moves)
        for move in moves:
            assert VideoStatus(move["to"]) in MOVES[VideoStatus(move["from"])]


def every_video_qualifies_for_its_channel() -> None:
    for video in Video.objects.select_related("channel"):
        assert refusal(video.channel.filters, video.title, video.metadata) is None


def a_published_video_is_known_to_youtube_and_no_other_is() -> None:
    published = Video.objects.published()
    assert not published.filter(youtube_video_id=None).exists()
    assert not published.exclude(published_at__gte=F("scheduled_for")).exists()
    others = Video.objects.exclude(status=Video.Status.PUBLISHED)
    assert not others.exclude(youtube_video_id=None, published_at=None).exists()


def running_jobs_are_those_of_the_videos_in_work() -> None:
    kinds = {"downloading": "download", "transforming": "transform", "publishing": "publish"}
    in_work = Video.objects.filter(status__in=kinds)
    running = VideoProcessingJob.objects.running()
    assert {(video.pk, kinds[video.status]) for video in in_work} == set(
        running.values_list("video_id", "kind")
    )
    assert not running.filter(lease_token=None).exists()
    assert not running.filter(lease_expires_at=None).exists()
    assert not running.filter(worker="").exists()
    assert not running.filter(channel__is_active=False).exists()
    assert running.count() <= MAX_CONCURRENT.default
    assert max(Counter(running.values_list("channel_id", flat=True)).values()) == 1


def jobs_are_at_peace_with_their_videos() -> None:
    jobs = VideoProcessingJob.objects
    assert not jobs.exclude(channel=F("video__channel")).exists()
    assert not jobs.exclude(status="running").exclude(lease_token=None).exists()
    assert not jobs.failed().filter(error_message="").exists()
    waiting = set(jobs.queued().values_list("kind", "video__status"))
    assert waiting == {
        ("download", "scraped"),
        ("transform", "downloaded"),
        ("publish", "transformed"),
    }
    resting = Video.objects.filter(status__in=RESTING[1:], channel__is_active=True)
    assert not resting.exclude(jobs__status="queued").exists()
    assert set(jobs.failed().values_list("video__status", flat=True)) == {
        "failed",
        "needs_review",
    }


def remembering(get: Callable[..., Any]) -> Callable[..., Any]:
    found: dict[Any, Any] = {}

    def remembered(queryset: Any, *key: Any) -> Any:
        if key not in found:
            found[key] = get(queryset, *key)
        return found[key]

    return remembered


@pytest.mark.django_db
def test_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test: it takes long to load, most of all to look up what its rows refer to."""
    for queryset in (ChannelQuerySet, VideoQuerySet):
        get = queryset.get_by_natural_key
        monkeypatch.setattr(queryset, "get_by_natural_key", remembering(get))
    load("demo")
    every_row_passes_its_own_validation()
    every_state_is_there()
    the_history_of_a_video_leads_to_its_status()
    every_video_qualifies_for_its_channel()
    a_published_video_is_known_to_youtube_and_no_other_is()
    running_jobs_are_those_of_the_videos_in_work()
    jobs_are_at_peace_with_their_videos()
    loads_again_to_the_same("demo" if PROVE else excerpt("demo", tmp_path))
