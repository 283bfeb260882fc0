"""The environment and the file: read once, and refused with the name and the place."""

import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from settings_app import static_layers
from settings_app.checks import environment_and_file_are_valid
from settings_app.registry import Setting
from settings_app.static_layers import flattened, key_lines
from ytops.db.secrets import Secret
from ytops.tests.processes import SERVER, finish, manage, start

HIDDEN = "hunter2"
Write = Callable[[str | bytes], Path]


@pytest.fixture(autouse=True)
def _declared(declare: Callable[..., Setting[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("YTOPS_")]:
        monkeypatch.delenv(name)
    declare("test.number", int, default=1, min=0, max=9)
    declare("test.text", str, default="", max=5)
    declare("test.switch", bool, default=False)
    declare("test.secret", Secret, default=None)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    file = tmp_path / "ytops.toml"
    monkeypatch.setenv("YTOPS_CONFIG_FILE", str(file))

    def write(content: str | bytes) -> Path:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def said() -> list[str]:
    """What the check says, in full."""
    static_layers._read.cache_clear()
    messages = [message.msg for message in environment_and_file_are_valid()]
    assert HIDDEN not in "".join(messages)
    if messages:
        with pytest.raises(ImproperlyConfigured) as refused:
            static_layers.valid_static_layers()
        assert str(refused.value) == " ".join(messages)
    return messages


def values(source: str) -> dict[str, Any]:
    assert said() == []
    return {
        key: layer.value for key, layer in getattr(static_layers.static_layers(), source).items()
    }


class TestEnvironment:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("NUMBER", " 7 ", 7),
            ("NUMBER", "0", 0),
            ("NUMBER", "+007", 7),
            ("TEXT", "", ""),
            ("TEXT", " a b ", " a b "),
            ("SWITCH", "on", True),
            ("SWITCH", "FALSE", False),
            ("SWITCH", "0", False),
        ],
    )
    def test_a_value(
        self, name: str, text: str, value: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"YTOPS_TEST_{name}", text)
        read = values("environment")[f"test.{name.lower()}"]
        assert (read, type(read)) == (value, type(value))

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("TEST_NUMBER", "ten", 'expected a whole number from 0 to 9, not "ten".'),
            ("TEST_NUMBER", "", 'expected a whole number from 0 to 9, not "".'),
            ("TEST_NUMBER", "10", "expected a whole number from 0 to 9, not 10."),
            ("TEST_NUMBER", "1.0", 'expected a whole number from 0 to 9, not "1.0".'),
            ("TEST_NUMBER", "٣", 'expected a whole number from 0 to 9, not "٣".'),
            ("TEST_NUMBER", "9" * 5000, "expected a whole number from 0 to 9, not "),
            ("TEST_SWITCH", "maybe", 'expected true or false, not "maybe".'),
            ("TEST_SWITCH", "", 'expected true or false, not "".'),
            ("TEST_TEXT", "123456", 'expected a text of at most 5 characters, not "123456".'),
            ("TEST_TEXT", "\udcff", "expected a text of at most 5 characters, not '\"\\udcff\"'."),
            ("TEST_SECRET", "", "expected a text that is not empty."),
            ("TEST_SECRET", f"{HIDDEN}\udcff", "Character 8 is U+DCFF, which cannot be stored."),
            ("TEST_NUMBR", "1", 'no setting has this variable. Did you mean "YTOPS_TEST_NUMBER"?'),
            ("test_number", "1", 'no setting has this variable. Did you mean "YTOPS_TEST_NUMBER"?'),
            ("CONFIG_FIL", "x", 'no setting has this variable. Did you mean "YTOPS_CONFIG_FILE"?'),
            ("", "x", "no setting has this variable."),
        ],
    )
    def test_what_is_wrong_is_named(
        self, name: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"YTOPS_{name}", text)
        (line,) = said()
        assert line.startswith(f"YTOPS_{name}: {message}")
        assert len(line) < 200

    def test_a_secret_is_a_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YTOPS_TEST_SECRET", HIDDEN)
        secret = values("environment")["test.secret"]
        assert secret.reveal() == HIDDEN
        assert HIDDEN not in repr(static_layers.static_layers())

    def test_names_that_are_no_settings_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YTOPS_PROVE", "1")
        monkeypatch.setenv("YTOPS_CONFIG_FILE", "")
        assert values("environment") == values("file") == {}


class TestFile:
    def test_every_spelling_of_toml(self, write: Write) -> None:
        expected = {"test.number": 0, "test.text": "ä\n", "test.switch": False}
        for text in (
            'test.number = 0\ntest.text = "ä\\n"\ntest.switch = false',
            "[test] # all\nnumber = 0\ntext = '''\nä\n'''\nswitch = false\n",
            'test = {number = 0, text = "ä\\n", switch = false}',
            '"test.number" = 0\n[ "test" ]\n\'text\' = "ä\\n"\nswitch = false',
            '\ufeff[test]\r\nnumber = 0\r\ntext = "ä\\n"\r\nswitch = false\r\n[jobs]\r\n# x = 1',
        ):
            write(text)
            assert values("file") == expected

    @pytest.mark.parametrize(
        ("text", "line", "message"),
        [
            (
                "\n[test]\nnumber = '1'",
                3,
                'test.number: expected a whole number from 0 to 9, not "1".',
            ),
            ("test.number = 1.0", 1, "test.number: expected a whole number from 0 to 9, not 1.0."),
            (
                "test.number = true",
                1,
                "test.number: expected a whole number from 0 to 9, not true.",
            ),
            ("test.number = 10", 1, "test.number: expected a whole number from 0 to 9, not 10."),
            ("test.number = {}", 1, "test.number: expected a whole number from 0 to 9, not {}."),
            ("[test.number]\n", 1, "test.number: expected a whole number from 0 to 9, not {}."),
            ("test.number = [1]", 1, "test.number: expected a whole number from 0 to 9, not [1]."),
            (
                "test.text = 2020-01-01",
                1,
                "test.text: expected a text of at most 5 characters, not 2020-01-0",
            ),
            (
                "test.text = '''\n12345\n6'''\n",
                1,
                "test.text: expected a text of at most 5 characters, not ",
            ),
            ("test.switch = 1", 1, "test.switch: expected true or false, not 1."),
            ("\n\ntest.numbr = 1", 3, 'there is no setting "test.numbr". Did you mean "test.numb'),
            ("\n[[test]]\nnumber = 1", 2, 'there is no setting "test".'),
            ("[test.number]\nx = 1", 2, 'there is no setting "test.number.x". Did you mean "test.'),
            ('"test.number" = 1\ntest.number = 2', 1, "test.number is given twice."),
            ("test.number = \n", 1, "not valid TOML: Invalid value."),
            ("\ntest.text = 'a", 2, "not valid TOML: "),
            ("test.text = [\n1,\n", 2, "not valid TOML: "),
            ("test.number = 1\ntest.number = 2", 2, "not valid TOML: Cannot overwrite a value."),
            ("test.number = null", 1, "not valid TOML: Invalid value."),
            ("test.number = " + "9" * 5000, 1, "not valid TOML: Exceeds the limit"),
            ("a = " + "[" * sys.getrecursionlimit(), 1, "not valid TOML: maximum recursion"),
            (b"\n\n# \xff", 3, "is not UTF-8 text."),
            (b"\xff\xfe[\x00", 1, "is not UTF-8 text."),
        ],
    )
    def test_what_is_wrong_is_named_with_its_line(
        self, write: Write, text: str | bytes, line: int, message: str
    ) -> None:
        file = write(text)
        (problem,) = said()
        assert problem.startswith(f"{file}:{line}: {message}")
        assert len(problem) < len(str(file)) + 200

    def test_that_is_missing_or_a_folder(self, write: Write) -> None:
        file = write("")
        file.unlink()
        assert said() == [f"{file}: cannot be read: No such file or directory."]
        file.mkdir()
        assert said() == [f"{file}: cannot be read: Is a directory."]

    def test_a_relative_name_counts_from_the_project(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.BASE_DIR = tmp_path
        monkeypatch.setenv("YTOPS_CONFIG_FILE", "ytops.toml")
        (tmp_path / "ytops.toml").write_text("test.number = 3")
        assert values("file") == {"test.number": 3}

    def test_a_secret_needs_a_file_that_nobody_else_can_read(self, write: Write) -> None:
        file = write(f"\ntest.secret = '{HIDDEN}'")
        for mode in (0o644, 0o640, 0o604, 0o622):
            file.chmod(mode)
            assert said() == [
                f"{file}:2: test.secret is a secret, in a file that others can read: "
                f"chmod 600 {file}"
            ]
        file.chmod(0o600)
        assert values("file")["test.secret"].reveal() == HIDDEN

    @pytest.mark.parametrize("value", [f"['{HIDDEN}']", "5", "''", f"{{a = '{HIDDEN}'}}"])
    def test_a_secret_that_is_wrong_is_not_quoted(self, write: Write, value: str) -> None:
        write(f"test.secret = {value}").chmod(0o600)
        assert len(said()) == 1
        assert HIDDEN not in repr(static_layers.static_layers())

    def test_a_file_that_is_cut_short_in_a_secret(self, write: Write) -> None:
        write(f"test.secret = '{HIDDEN}").chmod(0o600)
        assert len(said()) == 1


def test_all_that_is_wrong_is_named_at_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("test.number = 10\ntest.switch = 1\ntest.numbr = 1\ntest.text = 'fine'")
    monkeypatch.setenv("YTOPS_TEST_NUMBER", "ten")
    monkeypatch.setenv("YTOPS_TEST_NUMBR", "1")
    assert [line.split(": ")[0] for line in said()] == [
        "YTOPS_TEST_NUMBER",
        "YTOPS_TEST_NUMBR",
        f"{file}:1",
        f"{file}:2",
        f"{file}:3",
    ]


SHAPES = [
    "{} = 1",
    '{} = "x" # a = 1',
    "{} = '''\n{} = 2\n[a]\n'''",
    '{} = """\\\n\n  "" x = 1"""',
    "{} = [\n  1, # ]\n  [2],\n]",
    "{} = [ {{a = 1}}, {{b = '['}} ]",
    "{} = 2020-01-01T00:00:00Z",
]
NAMES = st.sampled_from(["k{}", "'k{}'", '"k{}"', "d.k{}", "d . 'k{}'", '"k.{}"', "'[k{}]'"])
HEADERS = st.sampled_from(["[t{}]", "[ t{}.u ]", "[t{}.'u.v'] # [x]", "[t{}]\n[t{}.sub]"])
FILLING = st.sampled_from(["", "\n", "# k = 1\n", "  \n\n", "\t# [t]\n"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[int]]:
    """A TOML text and the lines on which its statements begin, headers left out."""
    text, lines = "", []
    for number in range(draw(st.integers(1, 8))):
        text += draw(FILLING)
        if draw(st.booleans()):
            text += draw(HEADERS).replace("{}", str(number)) + "\n" + draw(FILLING)
        lines.append(text.count("\n") + 1)
        name = draw(NAMES).format(number)
        text += draw(st.sampled_from(SHAPES)).format(name, name) + "\n"
    return text.removesuffix("\n") if draw(st.booleans()) else text, lines


@given(documents())
@examples(max_examples=60, deadline=None)
def test_each_key_has_the_line_where_its_statement_begins(document: tuple[str, list[int]]) -> None:
    text, lines = document
    found = key_lines(text)
    assert dict(flattened(tomllib.loads(text))).keys() <= found.keys()
    assert set(lines) <= set(found.values())
    for key, line in found.items():
        first = text.split("\n")[line - 1].replace('"', "").replace("'", "").replace(" ", "")
        assert first.startswith(("[", "k", "d.k"))
        assert first.startswith("[") or key.endswith(first.partition("=")[0])


def test_a_table_within_a_list_of_tables(write: Write) -> None:
    text = "[[x]]\n[x.y]\nk = 1\n[[x]]\nk = 2\n[test]\nnumber = 99"
    assert key_lines(text)["test.number"] == 7
    write(text)
    assert len(said()) == 2


class TestStarts:
    @pytest.mark.once
    def test_a_command_names_what_is_wrong(self, tmp_path: Path) -> None:
        process = manage("check", YTOPS_PUBLISH_POSTS_PER_DAY="many")
        assert process.returncode == 1
        assert "YTOPS_PUBLISH_POSTS_PER_DAY: expected a whole number" in process.stderr
        assert "Traceback" not in process.stderr

    @pytest.mark.once
    def test_a_server_names_what_is_wrong_and_gives_up(self, tmp_path: Path) -> None:
        (tmp_path / "ytops.toml").write_text("[publish]\nposts_per_dy = 1\n")
        bad = {"YTOPS_JOBS_PAUSED": "maybe", "YTOPS_CONFIG_FILE": str(tmp_path / "ytops.toml")}
        process = finish(start(*SERVER, **bad))
        assert process.returncode == 3
        (line,) = [line for line in process.stderr.splitlines() if line.startswith("ytops: ")]
        assert 'YTOPS_JOBS_PAUSED: expected true or false, not "maybe".' in line
        assert 'ytops.toml:2: there is no setting "publish.posts_per_dy". Did you mean' in line
        assert "Traceback" not in process.stderr

    @pytest.mark.django_db
    def test_a_good_file_starts(self, tmp_path: Path) -> None:
        (tmp_path / "ytops.toml").write_text("[publish]\nposts_per_day = 7\n")
        program = (
            "import django, json; django.setup(); from videos_app.conf import POSTS_PER_DAY as it;"
            "from django.core.management import call_command as call; call('check');"
            "from settings_app.layers import explain; print(json.dumps(explain(it, None).value))"
        )
        file = str(tmp_path / "ytops.toml")
        process = finish(start("-c", program, YTOPS_CONFIG_FILE=file, YTOPS_PROVE="1"))
        assert (process.stderr, process.returncode) == ("", 0)
        assert json.loads(process.stdout.splitlines()[-1]) == 7
