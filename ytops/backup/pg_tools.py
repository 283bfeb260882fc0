"""pg_dump and pg_restore as child processes that do not outlive this one."""

import ctypes
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from ytops.backup.refusals import DoesNotFit, Refusal

PR_SET_PDEATHSIG = 1  # prctl(2)
PIPE = 1 << 20  # bytes; Linux gives 65,536, and both ends would wait for each other often


class ToolFailed(Refusal):
    """With what the tool said."""

    tool = ""


def check_version(tool: str, server: int) -> None:
    """DoesNotFit if the tool is missing or older than the server (180001 is 18.1)."""
    wanted = f"the server is PostgreSQL {server // 10000}.{server % 10000}"
    try:
        told = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        said = told.stdout.strip()
        version = re.search(r"\d+(\.\d+)*", said)
    except FileNotFoundError:
        raise DoesNotFit(
            f"{tool} is not installed, and {wanted}: install its client tools."
        ) from None
    except subprocess.CalledProcessError as error:
        raise DoesNotFit(f"{tool} --version failed: {one_line(error.stderr)}") from None
    if version is None or int(version[0].split(".")[0]) < server // 10000:
        raise DoesNotFit(f"{tool} is {said!r}, and {wanted}: the tool must not be older.")


def die_with(parent: int) -> None:
    """In the child, before it becomes the tool: killed when we are, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we are gone already
            os._exit(1)


@contextmanager
def running(
    command: list[str], environment: dict[str, str], work: Path, **pipes: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A tool, whose end is awaited; Refusal with what it said if it failed."""
    said = work / f"{command[0]}.said"
    with said.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603
            command,
            env=os.environ | environment,
            stderr=errors,
            preexec_fn=partial(die_with, os.getpid()),
            **{"stdin": subprocess.DEVNULL, **pipes},
        )
    try:
        widen(process.stdin or process.stdout)
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()
    if process.returncode:
        told = one_line(said.read_text(errors="replace"))
        ended = (
            f"exit code {process.returncode}"
            if process.returncode > 0
            else (f"killed by {signal.Signals(-process.returncode).name}")
        )
        failure = ToolFailed(f"{command[0]} failed: {told or ended}")
        failure.tool = command[0]
        raise failure


def widen(pipe: IO[bytes] | None) -> None:
    if pipe and sys.platform == "linux":
        with suppress(OSError):  # more than this system gives
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)


def one_line(text: str) -> str:
    return " ".join(text.split())[:1000]
