"""`manage.py jobs claim` and `manage.py jobs status`."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.models import Channel, Music, TransformationPreset
from jobs_app import conf
from jobs_app.models import VideoProcessingJob
from jobs_app.tests.command import answer, jobs, refusal
from jobs_app.tests.working import queue, stored
from settings_app import snapshot
from settings_app.models import SystemConfiguration
from ytops.tests import examples

pytestmark = pytest.mark.django_db


class TestClaim:
    def test_tells_all_that_a_worker_needs(self, channel: Channel) -> None:
        preset = TransformationPreset.objects.create(name="Short", parameters={"crop": "9:16"})
        music = Music.objects.create(title="Song", artist="Band", file_path="song.mp3")
        channel.save_fields(
            youtube_channel_id=f"UC{0:022}",
            settings={conf.MAX_CONCURRENT_PER_CHANNEL.key: 7},
        )
        video = examples.video(
            channel=channel, preset=preset, music=music, metadata={"views": 3}, title="Ein Küchlein"
        )
        job = queue(video, "download")
        (told,) = answer("claim", "--worker", "bench")
        token, lease = told.pop("token"), told.pop("lease_expires_at")
        now = stored(job)
        assert now.lease_expires_at
        assert (str(now.lease_token), now.lease_expires_at.isoformat()) == (token, lease)
        settings = told["channel"].pop("settings")
        assert settings["jobs.max_concurrent_per_channel"] == 7
        assert settings["publish.privacy"] == "private"
        assert not {"jobs.paused", "github.token"} & set(settings)
        assert told == {
            "id": str(job.pk),
            "kind": "download",
            "attempt": 1,
            "max_attempts": 5,
            "worker": "bench",
            "video": {
                "id": str(video.pk),
                "title": "Ein Küchlein",
                "source_url": video.source_url,
                "metadata": {"views": 3},
                "status": "downloading",
                "scheduled_for": None,
                "youtube_video_id": None,
            },
            "channel": {
                "id": str(channel.pk),
                "name": "Cooking",
                "youtube_channel_id": f"UC{0:022}",
            },
            "preset": {"name": "Short", "parameters": {"crop": "9:16"}},
            "music": {
                "id": str(music.pk),
                "title": "Song",
                "artist": "Band",
                "spotify_track_id": None,
                "file_path": "song.mp3",
                "metadata": {},
            },
        }

    def test_tells_no_secret(self, queued: VideoProcessingJob) -> None:
        said = jobs("claim", "--format", "json")
        assert str(queued.pk) in said.out
        assert not any(text in said.out for text in ("credentials", *examples.PLAINTEXTS))

    @pytest.mark.parametrize(
        ("own", "default", "told"),
        [
            ("on", "on", "own"),
            ("off", "on", "default"),
            (None, "on", "default"),
            ("off", "off", None),
            (None, None, None),
        ],
    )
    def test_a_preset_that_is_switched_off_counts_as_none(
        self, channel: Channel, own: str | None, default: str | None, told: str | None
    ) -> None:
        own_preset, default_preset = (
            state and TransformationPreset.objects.create(name=name, is_active=state == "on")
            for name, state in (("own", own), ("default", default))
        )
        channel.save_fields(default_preset=default_preset)
        video = examples.video(channel=channel, preset=own_preset)
        queue(video, "download")
        preset = answer("claim")[0]["preset"]
        assert (preset and preset["name"]) == told

    def test_none_is_an_empty_list(self) -> None:
        assert answer("claim") == []
        assert jobs("claim") == (0, "No job to claim.", "")

    def test_kinds_and_limit(self, channel: Channel) -> None:
        Channel.objects.update(settings={conf.MAX_CONCURRENT_PER_CHANNEL.key: 10})
        kinds = ["download", "transform", "download"]
        for kind, status in zip(kinds, ["scraped", "downloaded", "scraped"], strict=True):
            made = examples.video(channel=channel, status=status)
            queue(made, kind)
        assert [job["kind"] for job in answer("claim", "--kind", "transform")] == ["transform"]
        both = answer("claim", "--kind", "transform", "--kind", "download", "--limit", "5")
        assert [job["kind"] for job in both] == ["download", "download"]
        assert len({job["token"] for job in both}) == 2

    def test_the_worker_is_host_and_process_unless_it_has_a_name(
        self, queued: VideoProcessingJob
    ) -> None:
        assert answer("claim")[0]["worker"].rpartition(":")[2].isdigit()

    def test_as_text_it_has_what_the_next_word_needs(self, queued: VideoProcessingJob) -> None:
        said = jobs("claim")
        job = stored(queued)
        assert said.out.startswith(f"{job.pk}  download  token {job.lease_token}  attempt 1 of 5")
        assert said.out.endswith('"A pie" of Cooking')

    @pytest.mark.parametrize("limit", [1, 4])
    def test_what_is_told_takes_one_statement_whatever_is_claimed(
        self, channel: Channel, limit: int
    ) -> None:
        Channel.objects.update(settings={conf.MAX_CONCURRENT_PER_CHANNEL.key: 10})
        preset = TransformationPreset.objects.create(name="Short")
        for _ in range(4):
            made = examples.video(channel=channel, preset=preset)
            queue(made, "download")
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert len(answer("claim", "--limit", limit)) == limit
        after_the_claim = [
            query["sql"] for query in seen if "transformation_presets" in query["sql"]
        ]
        assert len(after_the_claim) == 1
        assert seen[-1]["sql"] == after_the_claim[0]

    @pytest.mark.parametrize(
        ("args", "expected"),
        [
            (["--kind", "upload"], "invalid choice: 'upload'"),
            (["--limit", "0"], "expected a whole number from 1 to 100, not '0'"),
            (["--limit", "many"], "expected a whole number from 1 to 100, not 'many'"),
            (["--worker", ""], "expected 1 to 200 letters"),
            (["--worker", "w" * 201], "expected 1 to 200 letters"),
            (["--worker", "w\udc80"], "expected 1 to 200 letters"),
        ],
    )
    def test_usage(self, args: list[str], expected: str, queued: VideoProcessingJob) -> None:
        assert expected in refusal("claim", *args, code=2)
        assert stored(queued).status == "queued"


class TestStatus:
    @pytest.fixture
    def some(self, channel: Channel) -> Channel:
        """Of downloads three are due, one is for later, two run, one of them stuck; one failed."""
        other = examples.channel(name="Baking", is_active=False)
        now = timezone.now()
        for values in (
            {"run_at": now - timedelta(seconds=100)},
            {"run_at": now - timedelta(seconds=50)},
            {},
            {"run_at": now + timedelta(hours=1)},
            {"status": "running"},
            {"status": "running", "lease_expires_at": now - timedelta(seconds=1)},
            {"status": "failed"},
            {"status": "succeeded"},
        ):
            examples.job(examples.video(channel=channel), **values)
        examples.job(examples.video(channel=other), kind="transform", run_at=now)
        return channel

    def test_counts_by_channel_and_kind(self, some: Channel) -> None:
        Channel.objects.filter(pk=some.pk).update(settings={"jobs.max_concurrent_per_channel": 3})
        found = answer("status")
        baking, cooking = found["channels"]
        assert 100 <= cooking.pop("oldest_due_seconds") < 160
        assert cooking == {
            "channel": "Cooking",
            "channel_id": str(some.pk),
            "is_active": True,
            "max_concurrent": 3,
            "kind": "download",
            "due": 3,
            "later": 1,
            "running": 2,
            "stuck": 1,
            "failed": 1,
        }
        assert (baking["kind"], baking["due"], baking["is_active"]) == ("transform", 1, False)
        assert [(one["kind"], one["due"]) for one in found["kinds"]] == [
            ("download", 3),
            ("transform", 1),
            ("publish", 0),
        ]
        assert (found["running"], found["max_concurrent"], found["paused"]) == (2, 4, False)

    def test_as_text(self, some: Channel) -> None:
        SystemConfiguration.objects.filter(key="jobs.paused").update(value=True)
        lines = jobs("status").out.splitlines()
        assert lines[0] == "Paused: no job is started (jobs.paused)."
        assert lines[1] == "Running: 2 of at most 4 (jobs.max_concurrent)."
        assert lines[2].split() == [
            *("channel", "kind", "due", "later", "running", "stuck", "failed"),
            *("oldest", "due", "at", "most"),
        ]
        assert lines[-1].split()[:7] == ["Cooking", "download", "3", "1", "2", "1", "1"]
        assert lines[-2].endswith("inactive")

    def test_no_token_is_shown(self, claimed: VideoProcessingJob) -> None:
        token = str(claimed.lease_token)
        assert token not in jobs("status").out + jobs("status", "--format", "json").out

    def test_takes_as_many_statements_for_many_channels(
        self, some: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshot, "LONGEST_AGE", 3600.0)
        conf.PAUSED.get()

        def statements() -> int:
            with CaptureQueriesContext(connection) as seen:
                jobs("status")
            return len(seen)

        assert statements() == 2
        for number in range(20):
            made = examples.channel(name=f"Channel {number}")
            examples.job(examples.video(channel=made))
        assert statements() == 2
