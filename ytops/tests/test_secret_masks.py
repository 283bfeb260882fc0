"""Whatever prints, logs, renders or serializes a secret prints a mask."""

import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict
from django.template import Context, Template
from django.utils.html import format_html
from hypothesis import assume, given, settings

from channels_app.models import Channel
from ytops.db.secrets import JSONSecret, Secret
from ytops.tests import examples
from ytops.tests.test_strict_json import TEXT

PLAIN = "hunter2-in-clear"
FORMS: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "f-string": lambda secret: f"{secret} {secret!r} {secret:>20} {secret!s}",
    "format": lambda secret: "{} {!r} {:.3}".format(secret, secret, secret),  # noqa: UP032
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "join": lambda secret: "".join([secret]) + secret[:] + secret.upper(),
    "bytes": lambda secret: secret.encode().decode(),
    "json": lambda secret: json.dumps({"a": [secret]}),
    "json of Django": lambda secret: json.dumps([secret], cls=DjangoJSONEncoder),
    "pprint": lambda secret: pprint.pformat({"a": secret, "b": [secret]}),
    "containers": lambda secret: str([secret]) + str({secret}) + str({"a": secret}),
    "html": lambda secret: format_html("{}", secret),
    "template": lambda secret: Template(
        "{{ s }}{{ s|safe }}{{ s.upper }}{{ s|escapejs }}{% for c in s %}{{ c }}{% endfor %}"
        "{{ d }}{% for k, v in d.items %}{{ v }}{% endfor %}"
    ).render(Context({"s": secret, "d": {"a": secret}})),
    "template that would reveal": lambda secret: Template("{{ s.reveal }}[{{ s.encrypt }}]").render(
        Context({"s": secret})
    ),
}


@pytest.fixture
def secret() -> JSONSecret:
    return JSONSecret.encrypt({"client_secret": PLAIN})


@pytest.mark.parametrize("shown", FORMS.values(), ids=FORMS.keys())
def test_it_shows_as_a_mask(shown: Callable[[Secret], str], secret: JSONSecret) -> None:
    text = shown(secret)
    assert PLAIN not in text
    assert "client_secret" not in text


def test_a_template_shows_the_mask_and_cannot_reveal(secret: JSONSecret) -> None:
    page = Template("{{ s }}|{{ s.reveal }}").render(Context({"s": secret}))
    assert page == "********|"


@settings(max_examples=100, deadline=None)
@given(TEXT.filter(lambda text: len(text) >= 4))
def test_what_is_shown_does_not_depend_on_the_plaintext(plain: str) -> None:
    one, other = Secret.encrypt(plain), Secret.encrypt("something else")
    for shown in FORMS.values():
        assert shown(one) == shown(other)
        assume(plain not in shown(other))
        assert plain not in shown(one)


class TestLogs:
    @pytest.fixture
    def log(self) -> Any:
        stream = io.StringIO()
        logger = logging.getLogger("ytops.tests.masks")
        handler = logging.StreamHandler(stream)
        logger.addHandler(handler)
        yield logger, stream
        logger.removeHandler(handler)

    def test_a_line(self, log: Any, secret: JSONSecret) -> None:
        logger, stream = log
        logger.warning("credentials %s %r", secret, {"a": secret})
        assert "********" in stream.getvalue()
        assert PLAIN not in stream.getvalue()

    def test_an_exception_with_the_secret_in_it(self, log: Any, secret: JSONSecret) -> None:
        logger, stream = log
        try:
            raise ValueError("no good", secret)
        except ValueError:
            logger.exception("failed with %s", secret)
        assert "********" in stream.getvalue()
        assert PLAIN not in stream.getvalue()

    def test_a_traceback_with_local_variables(self, secret: JSONSecret) -> None:
        try:
            secret.no_such_attribute  # type: ignore[attr-defined]  # noqa: B018
        except AttributeError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            text = "".join(told.format())
        assert "********" in text
        assert PLAIN not in text

    @pytest.mark.parametrize(
        "value",
        [{PLAIN: {1, 2}}, {"a": PLAIN, 1: 2}, [PLAIN, float("nan")], f"{PLAIN}\ud800", {PLAIN}],
    )
    def test_a_refusal_to_encrypt(self, value: Any, log: Any) -> None:
        logger, stream = log
        try:
            Channel(name="Cooking", credentials=value)
        except Exception:
            logger.exception("refused")
        assert "refused" in stream.getvalue()
        assert PLAIN not in stream.getvalue()


class TestInstances:
    def test_vars_of_a_model(self) -> None:
        channel = Channel(name="Cooking", credentials={"client_secret": PLAIN})
        for text in (
            repr(vars(channel)),
            repr(channel),
            str(channel),
            repr(model_to_dict(channel)),
        ):
            assert PLAIN not in text

    def test_pickle_of_a_model(self) -> None:
        channel = Channel(name="Cooking", credentials={"client_secret": PLAIN})
        stored = pickle.dumps(channel)
        assert PLAIN.encode() not in stored
        assert pickle.loads(stored).credentials.reveal() == {"client_secret": PLAIN}

    @pytest.mark.django_db
    def test_the_log_of_queries(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1) as queries:
            examples.channel(credentials={"client_secret": PLAIN})
        assert "INSERT" in queries.captured_queries[0]["sql"]
        assert PLAIN not in str(queries.captured_queries)


class TestCopies:
    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda secret: pickle.loads(pickle.dumps(secret))],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_are_the_same_secret(self, copied: Any, secret: JSONSecret) -> None:
        other = copied(secret)
        assert type(other) is JSONSecret
        assert other == secret
        assert other.reveal() == {"client_secret": PLAIN}

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_a_pickle_holds_no_plaintext(self, protocol: int, secret: JSONSecret) -> None:
        stored = pickle.dumps(secret, protocol)
        assert PLAIN.encode() not in stored
        assert pickle.loads(stored) == secret


class TestComparison:
    def test_is_by_ciphertext(self, secret: JSONSecret) -> None:
        same = JSONSecret(secret.ciphertext)
        assert secret == same
        assert (secret != same) is False
        assert hash(secret) == hash(same)
        assert secret != JSONSecret.encrypt(secret.reveal())

    def test_tells_nothing_of_the_plaintext(self) -> None:
        secret = Secret.encrypt(PLAIN)
        assert secret != PLAIN
        assert secret != PLAIN
        assert hash(secret) != hash(PLAIN)
        assert PLAIN not in {secret}

    def test_is_not_the_mask(self, secret: JSONSecret) -> None:
        assert secret != "********"
        assert secret != "********"
