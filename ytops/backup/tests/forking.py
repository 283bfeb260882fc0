"""Runs commands of manage.py in processes that begin at once, to be killed.

`python -m ytops.backup.tests.forking` has everything imported. It reads a command line in JSON,
forks, prints the child's process id, and its exit code when it has ended (-9: killed).
"""

import json
import os
import sys

import django
from django.core.management import execute_from_command_line, load_command_class


def main() -> None:
    django.setup()
    for name in ("dbbackup", "dbrestore"):
        load_command_class("ytops", name)
    for line in sys.stdin:
        process = os.fork()
        if not process:
            run(json.loads(line))
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def run(command: list[str]) -> None:
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        execute_from_command_line(["manage.py", *command])
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
