"""A backup that is restored into another database."""

from pathlib import Path

from ytops.tests.processes import manage, scratch_database

FILLED = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from channels_app.models import Channel
from videos_app.models import Video
channel = Channel.objects.create(name="Cooking", credentials={"refresh_token": "plain-text"})
Video.objects.create(channel=channel, source_url="https://example.org/1", title="😀")
"""
SHOWN = """
from videos_app.models import Video
video = Video.objects.select_related("channel").get()
print(video.pk, video.title, video.channel.name, video.channel.credentials.reveal())
"""


def run(*args: str, url: str) -> str:
    done = manage(*args, DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def filled(url: str) -> str:
    """Fill an empty database; what its one video shows."""
    return run("shell", "--no-imports", "-c", FILLED + SHOWN, url=url)


def shown(url: str) -> str:
    return run("shell", "--no-imports", "-c", SHOWN, url=url)


def test_a_backup_restored_into_an_empty_database_brings_everything_back(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with scratch_database(tmp_path) as old, scratch_database(tmp_path) as new:
        before = filled(old)
        run("dbbackup", "-O", str(copy), url=old)
        assert b"plain-text" not in copy.read_bytes()
        run("dbrestore", "-I", str(copy), "--noinput", url=new)
        assert shown(new) == before
