"""docs/KEYS.md: each command of it, as written and in its order."""

import re
import shlex

import pytest
from django.conf import settings as project
from django.core.management import call_command
from pytest_django import Settings

from channels_app.models import Channel
from ytops import checks
from ytops.db.secrets import fingerprint
from ytops.management.commands import rotate_keys
from ytops.tests import examples

OLD = "old-key-for-tests-only-0123456789abc"
COMMAND = re.compile(r"^ *\.venv/bin/python manage\.py (.+)$", re.MULTILINE)


@pytest.mark.django_db
def test_the_commands_bring_every_secret_under_a_new_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (rotate_keys, checks):
        monkeypatch.setattr(module, "stored", list)
        monkeypatch.setattr(module, "folder", lambda: None)
    settings.FERNET_KEYS = [OLD]
    examples.channel()
    lines = COMMAND.findall((project.BASE_DIR / "docs/KEYS.md").read_text())
    said = []
    for line in lines:
        call_command(*shlex.split(line))
        said.append(capsys.readouterr())
        if line.endswith("--generate"):
            settings.FERNET_KEYS = [said[-1].out.strip(), OLD]
    generated, dry, rotated, again, checked = said
    old = fingerprint(OLD)
    assert len(generated.out.split()) == 1
    assert f"Key {old} is needed, for 1 secret" in dry.out
    assert f"Nothing in the database needs key {old}" in rotated.out
    assert f"Nothing in the database needs key {old}" in again.out
    assert f"FERNET_KEYS holds key {old}, which neither" in checked.err
    settings.FERNET_KEYS = [generated.out.strip()]
    assert Channel.objects.get().credentials.reveal() == examples.CREDENTIALS
