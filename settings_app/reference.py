"""`python -m settings_app.reference`: write what the declarations say into the documentation.

It makes docs/SETTINGS.md, and the part of .env.example from the line MARK on.
"""

import os
import textwrap
from itertools import groupby
from pathlib import Path

from settings_app.registry import Setting, registered, text_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "SETTINGS.md"
EXAMPLE = ROOT / ".env.example"
MARK = "# Settings. This part is made by: python -m settings_app.reference\n"
INTRODUCTION = """\
# Settings

Made by `python -m settings_app.reference` from the declarations in each app's `conf.py`; what the
layers are and which one wins stands in [CONFIGURATION.md](CONFIGURATION.md).
"""
ENVIRONMENT = """\
# What is set here is pinned: neither the admin nor the command nor a channel can change it. The
# file that YTOPS_CONFIG_FILE names (TOML; from this folder) gives values that they can change.
#YTOPS_CONFIG_FILE=
"""


def page() -> str:
    parts = [INTRODUCTION]
    for group, settings in groupby(registered().values(), lambda setting: setting.group):
        parts.append(f"\n## {group}\n\n| setting | what it is | expected | default | per channel |")
        parts.append("\n|---|---|---|---|---|\n")
        parts += [row(setting) for setting in settings]
    return "".join(parts)


def row(setting: Setting[object]) -> str:
    names = f"`{setting.key}`<br>`{setting.environment_name}`"
    cells = names, setting.help, setting.expected, default(setting), scope(setting)
    return f"| {' | '.join(cells)} |\n"


def default(setting: Setting[object]) -> str:
    if setting.secret:
        return "not set"
    return f"`{text_of(setting.default)}`" if setting.default != "" else "empty"


def scope(setting: Setting[object]) -> str:
    if setting.secret:
        return "no; a secret"
    return "yes" if setting.per_channel else "no"


def example(present: str) -> str:
    """.env.example with its part on settings made anew."""
    by_hand = present.partition(MARK)[0]
    return by_hand + MARK + ENVIRONMENT + "".join(map(variable, registered().values()))


def variable(setting: Setting[object]) -> str:
    comment = textwrap.fill(
        f"{setting.help} Expected: {setting.expected}.",
        width=100,
        initial_indent="# ",
        subsequent_indent="# ",
    )
    return f"{comment}\n#{setting.environment_name}={text_of(setting.default)}\n"


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytops.tests.settings")
    django.setup()
    PAGE.write_text(page(), encoding="utf-8")
    EXAMPLE.write_text(example(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
