"""What is kept of an error: no secret of ours, and not a whole log."""

import json
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

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


QUOTABLE = '1//0g+a/secret=\n"é'


@pytest.mark.parametrize("written", [quote, partial(quote, safe=""), json.dumps])
def test_a_secret_is_masked_as_an_address_or_json_has_it(written: Callable[[str], str]) -> None:
    owner = examples.channel(credentials={"refresh_token": QUOTABLE})
    text = as_reported(f"POST token={written(QUOTABLE)}&a=b", owner)
    assert text.replace('"', "") == "POST token=********&a=b"


def test_a_secret_in_a_result_is_masked_wherever_it_stands() -> None:
    job = queue(examples.video(), "download")
    job = type(job).objects.claim(worker="w1")[0]
    result = {"file": "a", "sizes": [1, None, {"sent": f"key={examples.PLAINTEXTS[0]}"}]}
    words = ("--token", job.lease_token, "--result", json.dumps(result))
    assert jobs("complete", job.pk, *words).code == 0
    assert stored(job).result == {"file": "a", "sizes": [1, None, {"sent": "key=********"}]}


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
