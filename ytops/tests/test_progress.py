"""What a terminal shows of a long command."""

import sys

import pytest

from ytops.management import progress
from ytops.management.progress import Progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setattr(progress, "SHOWN_EVERY", 0)


def test_a_line_is_written_over_and_taken_away(
    terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress()
    shown("migrating")
    shown("Copying page", 1024, 104612)
    shown("Packing byte", 5)
    shown.end()
    assert capsys.readouterr().err.split("\r") == [
        *("", "migrating", "Copying page 1,024 of 104,612", "Packing byte 5".ljust(29)),
        *(" " * 14, ""),
    ]


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress()
    shown("Copying page", 1, 2)
    shown.end()
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_when_quiet(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(quiet=True)
    shown("Copying page", 1, 2)
    shown.end()
    assert capsys.readouterr().err == ""
