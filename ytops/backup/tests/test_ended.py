"""A backup that is told to end, as a container or systemd tells it."""

import os
import signal
from typing import Any

import pytest
from django.core.management import call_command

from ytops.backup import archive
from ytops.backup.tests.site import Site

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("command", ["dbbackup", "dbrestore"])
def test_sigterm_leaves_nothing_behind(
    command: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("dbbackup", quiet=True)
    before, files, databases = site.content(), site.files(), site.databases()
    unpack = archive.unpack

    def ended_meanwhile(*args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return unpack(*args)

    monkeypatch.setattr(archive, "unpack", ended_meanwhile)
    with pytest.raises(SystemExit) as ended:
        call_command(command, noinput=True)
    assert ended.value.code == 128 + signal.SIGTERM
    assert (site.content(), site.files(), site.databases()) == (before, files, databases)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
