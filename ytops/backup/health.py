"""Whether there is a backup to go back to, as `check` and the first page of the admin say it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.core.cache import cache
from django.core.checks import CheckMessage, Warning, register
from django.db import connection
from django.http import HttpRequest

from ytops.admin.panels import index_panel
from ytops.backup import storage
from ytops.backup.engine import database_name
from ytops.backup.storage import Backup

REMEMBERED = 300  # seconds
HOW = "manage.py dbbackup makes one; docs/BACKUP.md tells how to have it made daily."


@dataclass(frozen=True)
class Health:
    newest: Backup | None
    problem: str = ""


def health() -> Health:
    """Of the backups of the default database; reads the end of the newest, and no database."""
    try:
        found = storage.listed(database_name(connection))
        own = [one for one in found if one.server == storage.server_name()]
        looked_at = (storage.look_at(name) for name in own)
        newest = next((backup for backup in looked_at if backup), None)
    except Exception as error:  # whatever the library of another storage raises
        return Health(None, f"The backups cannot be listed: {error}")
    hours = settings.BACKUP_MAX_AGE_HOURS
    if not newest:
        return Health(None, "" if folder_is_new() else "There is no backup.")
    if newest.damage:
        return Health(newest, f"The newest backup, {newest.name}, is damaged: {newest.damage}")
    if newest.age > timedelta(hours=hours):
        old = f"{newest.age / timedelta(hours=1):,.0f} hours old"
        return Health(
            newest, f"The newest backup, {newest.name}, is {old}: at most {hours} are wanted."
        )
    return Health(newest)


def folder_is_new() -> bool:
    """Whether the first backup is not due yet: nobody has tried, and there was little time."""
    folder = storage.folder()
    if not folder or not folder.is_dir() or (folder / storage.TRIED).exists():
        return False
    return time.time() - folder.stat().st_mtime < settings.BACKUP_MAX_AGE_HOURS * 3600


@register
def backups_are_in_order(**kwargs: Any) -> list[CheckMessage]:
    try:
        found = misplaced(storage.folder())
    except Exception as error:  # a storage that is not there to be asked
        found = [Warning(f"The storage of the backups cannot be used: {error}", id="ytops.W003")]
    if not found and (problem := health().problem):
        found.append(Warning(problem, hint=HOW, id="ytops.W005"))
    return found


def misplaced(folder: Path | None) -> list[CheckMessage]:
    if not folder:
        return []
    found: list[CheckMessage] = [
        Warning(
            f"The backups are in {folder}, inside {name}, which the web server gives to everybody.",
            hint="Set BACKUP_DIR to a folder of its own.",
            id="ytops.W004",
        )
        for name, public in public_folders()
        if folder.resolve().is_relative_to(public.resolve())
    ]
    if not folder.is_dir():
        hint = "Is its disk there? manage.py setup makes it."
        missing = f"The folder of the backups, {folder}, is missing."
        found.append(Warning(missing, hint=hint, id="ytops.W003"))
    return found


def public_folders() -> Iterator[tuple[str, Path]]:
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        if place := getattr(settings, name):
            yield f"{name} ({place})", Path(place)
    for place in settings.STATICFILES_DIRS:
        yield f"STATICFILES_DIRS ({place})", Path(place)


@index_panel("Backup", "ytops/backup.html", "settings_app.view_systemconfiguration")
def backup_panel(request: HttpRequest) -> dict[str, Any]:
    if settings.BACKUP_STORAGE:  # it may be far away
        found = cast(Health, cache.get_or_set("ytops.backup.health", health, REMEMBERED))
    else:
        found = health()
    facts = found.newest and found.newest.manifest and found.newest.manifest.facts
    return {
        "newest": found.newest,
        "problem": found.problem,
        "rows": facts.total_rows if facts else None,
    }
