#!/usr/bin/env python
import os
import sys

from ytops.startup import one_line_errors


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytops.settings")
    with one_line_errors(traceback="--traceback" in sys.argv):
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
