"""Imports beside each other and beside the fleet's own work, in real processes and threads."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection, transaction

from channels_app.models import Channel
from stats_app.importer import WATCH_URL, import_files
from stats_app.models import ChannelStatistics, VideoStatistics
from stats_app.tests.made_up import (
    AT,
    CHANNELS,
    PAN,
    Write,
    answer,
    channel_item,
    kitchen,
    video_item,
)
from videos_app.models import Video

pytestmark = pytest.mark.django_db(transaction=True)


def database_url() -> str:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def start(*arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "ytops.settings",
        "DATABASE_URL": database_url(),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_youtube", *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_exit_code_is_0_only_if_nothing_was_refused(tmp_path: Path) -> None:
    whole, broken = start(CHANNELS), start(CHANNELS, str(tmp_path / "none.json"))
    out, err = whole.communicate()
    assert (whole.returncode, err) == (0, "")
    out, err = broken.communicate()
    assert broken.returncode == 1
    assert out.endswith("refused: 1\n")
    assert err.splitlines() == [
        f"{tmp_path}/none.json: cannot be read: No such file or directory",
        "CommandError: 1 refused, each named above.",
    ]


def test_a_malformed_time_has_exit_code_2() -> None:
    process = start(CHANNELS, "--at", "soon")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("CommandError: --at is 'soon': expected a time")


def feed(path: Path, text: str, reader: "subprocess.Popen[str]") -> None:
    """Write into this pipe as soon as its reader has opened it."""
    while True:
        try:
            pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            if reader.poll() is not None:
                return
            time.sleep(0.005)
        else:
            os.set_blocking(pipe, True)
            with open(pipe, "w") as file:
                file.write(text)
            return


def test_two_processes_at_once_leave_what_one_would(tmp_path: Path) -> None:
    items = [
        video_item(
            f"{number:011}", {"viewCount": "1"}, channelId=f"UC{number % 20:022}", channelTitle="C"
        )
        for number in range(200)
    ]
    text = answer("video", *items)
    pipes = [tmp_path / "one", tmp_path / "two"]
    for pipe in pipes:
        os.mkfifo(pipe)
    processes = [start(str(pipe), "--at", AT) for pipe in pipes]
    feeders = [
        Thread(target=feed, args=(pipe, text, process))
        for pipe, process in zip(pipes, processes, strict=True)
    ]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert Channel.objects.count() == 20
    assert Video.objects.count() == VideoStatistics.objects.count() == 200
    created = [int(out.split("videos: ")[1].split()[0]) for out, _ in ends]
    assert sum(created) == 200


def import_in_thread(path: str) -> Thread:
    def work() -> None:
        try:
            import_files(paths=[path], at=datetime(2026, 11, 20, tzinfo=UTC))
        finally:
            connection.close()

    thread = Thread(target=work)
    thread.start()
    return thread


def test_a_channel_that_another_process_is_just_making_is_taken_as_it_is(write: Write) -> None:
    path = write("channel", channel_item(title="Kitchen on YouTube"))
    with transaction.atomic():
        made = kitchen(name="Ours")
        importing = import_in_thread(path)
        time.sleep(0.4)
    importing.join()
    assert Channel.objects.get() == made
    assert Channel.objects.get().name == "Ours"
    assert ChannelStatistics.objects.get().channel == made


def test_a_video_that_gets_its_id_in_the_very_moment_is_found(write: Write) -> None:
    channel = kitchen()
    video = channel.videos.create(source_url="https://example.com/1", status="publishing")
    path = write("video", video_item())
    with transaction.atomic():
        video.move(Video.Status.PUBLISHED, by="a worker", youtube_video_id=PAN)
        importing = import_in_thread(path)
        time.sleep(0.4)
    importing.join()
    assert Video.objects.get() == video
    assert VideoStatistics.objects.get().video == video


@pytest.mark.parametrize("known_by", ["id", "source"])
def test_what_another_process_writes_into_a_video_meanwhile_is_kept(
    write: Write, known_by: str
) -> None:
    known = {"youtube_video_id": PAN} if known_by == "id" else {"source_url": WATCH_URL + PAN}
    video = kitchen().videos.create(**{"source_url": "x", "status": "published", **known})
    path = write("video", video_item())
    with transaction.atomic():
        locked = Video.objects.select_for_update().get(pk=video.pk)
        importing = import_in_thread(path)
        time.sleep(0.4)
        locked.save_fields(metadata={"note": "ours"})
    importing.join()
    assert Video.objects.get().metadata == {"note": "ours", "youtube": {"title": "Pan"}}


def test_what_another_process_writes_into_a_channel_meanwhile_is_kept(write: Write) -> None:
    channel = kitchen()
    path = write("channel", channel_item(title="Kitchen on YouTube"))
    with transaction.atomic():
        locked = Channel.objects.select_for_update().get(pk=channel.pk)
        importing = import_in_thread(path)
        time.sleep(0.4)
        locked.save_fields(metadata={"note": "ours"})
    importing.join()
    assert Channel.objects.get().metadata == {
        "note": "ours",
        "youtube": {"title": "Kitchen on YouTube"},
    }
