"""What is kept of an error: no secret of ours, and not a whole log."""

import pytest
from django.conf import settings

from jobs_app import conf
from jobs_app.reports import LONGEST, as_reported
from jobs_app.tests.command import jobs
from jobs_app.tests.working import queue, stored
from settings_app.models import SystemConfiguration
from ytops.db.secrets import Secret
from ytops.tests import examples

pytestmark = pytest.mark.django_db
CLIENT_FILE = {"installed": {**examples.CREDENTIALS, "token_uri": "https://oauth2.example.org"}}


@pytest.mark.parametrize("credentials", [examples.CREDENTIALS, CLIENT_FILE])
def test_secrets_are_masked_and_the_rest_stays(credentials: object) -> None:
    SystemConfiguration.objects.filter(key=conf.GITHUB_TOKEN.key).update(
        secret=Secret.encrypt("token-of-github"), encrypted=True
    )
    owner = examples.channel(credentials=credentials)
    ours = (*examples.PLAINTEXTS, "token-of-github", settings.FERNET_KEYS[0], settings.SECRET_KEY)
    for secret in ours:
        text = as_reported(f"GET https://example.org/?key={secret}&a=b: 403", owner)
        assert text == "GET https://example.org/?key=********&a=b: 403"
    assert as_reported("an-id-of-a-client was refused", owner) == "an-id-of-a-client was refused"


def test_a_channel_without_credentials_or_with_some_that_nobody_can_read() -> None:
    owner = examples.channel(credentials=None)
    assert as_reported("no disk", owner) == "no disk"
    owner = examples.channel(name="Baking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "FERNET_KEYS", ["a-key-that-came-later-0123456789abcdef"])
        assert as_reported("no disk", owner) == "no disk"


def test_a_long_text_is_cut() -> None:
    text = as_reported("x" * (LONGEST + 1), examples.channel())
    assert text == "x" * LONGEST + "…"


def test_what_a_worker_says_from_elsewhere_is_masked_too() -> None:
    job = queue(examples.video(), "download")
    job = type(job).objects.claim(worker="w1")[0]
    error = f"refused {examples.PLAINTEXTS[0]} \udcff"
    said = jobs("fail", job.pk, "--token", job.lease_token, f"--error={error}")
    assert said.code == 0, said
    now = stored(job)
    assert now.error_message.startswith("refused ******** ")
    assert not any(text in str(now.video.processing_history) for text in examples.PLAINTEXTS)
