"""The commands of the queue, called in this process and ended as in one of their own."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple
from unittest.mock import patch

from django.core.management import load_command_class

from ytops.startup import one_line_errors


class Said(NamedTuple):
    code: int
    out: str
    err: str


def said_by(command: str, *args: object, stdin: str = "") -> Said:
    """Its exit code and its output. The connection of the test stays open."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = ["manage.py", command, *map(str, args)]
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch("django.core.management.base.connections.close_all"),
    ):
        try:
            with one_line_errors():
                load_command_class("jobs_app", command).run_from_argv(argv)
        except SystemExit as exit:
            code = int(exit.code or 0)
    return Said(code, out.getvalue().rstrip("\n"), err.getvalue().rstrip("\n"))


def jobs(*args: object, stdin: str = "") -> Said:
    return said_by("jobs", *args, stdin=stdin)


def answer(*args: object) -> Any:
    said = jobs(*args, "--format", "json")
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


def refusal(*args: object, code: int = 1, stdin: str = "") -> str:
    """The one line that it says on stderr; nothing stands on stdout."""
    said = jobs(*args, stdin=stdin)
    assert (said.code, said.out) == (code, ""), said
    *usage, line = said.err.splitlines()
    assert bool(usage) == (code == 2 and "error:" in line), said.err
    return line
