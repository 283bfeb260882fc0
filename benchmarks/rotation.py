"""`make bench`: `rotate_keys` brings every secret under a new key.

From the first row read to the last one counted anew: what the command does, without its start. Each
round fills the table under the old key. It prints; it asserts nothing.
"""

import io
import os
import sys
from time import perf_counter

import django
from django.db import connection

from benchmarks.both import KEY, on_both
from benchmarks.rows import insert

ROUNDS, ROWS = 3, 100_000
GATE = 20_000  # rows a second, on SQLite
NEW = f"new-{KEY}"
CREDENTIALS = {
    **{
        "type": "authorized_user",
        "client_id": "0123456789.apps.example",
        "client_secret": "s" * 35,
    },
    **{"refresh_token": "t" * 103, "token_uri": "https://oauth2.example.com/token"},
}


def fill() -> None:
    """Channels, each with a token of its own as long as Google's credentials make it."""
    from django.test import override_settings
    from django.utils import timezone
    from uuid_utils.compat import uuid7

    from channels_app.models import Channel
    from ytops.db.secrets import JSONSecret

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM channels")
    now = timezone.now()
    row = {
        **{
            "id": None,
            "created_at": now,
            "updated_at": now,
            "name": "A channel",
            "credentials": None,
        },
        **{
            "is_active": True,
            "settings": "{}",
            "schedule": "{}",
            "filters": "{}",
            "metadata": "{}",
        },
    }
    with override_settings(FERNET_KEYS=[KEY]):
        insert(
            Channel._meta.db_table,
            row,
            (
                {"id": uuid7(), "credentials": JSONSecret.encrypt(CREDENTIALS).ciphertext}
                for _ in range(ROWS)
            ),
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def rate() -> float:
    """Rows a second."""
    from django.core.management import call_command

    fill()
    said = io.StringIO()
    began = perf_counter()
    call_command("rotate_keys", stdout=said)
    taken = perf_counter() - began
    if f"Rotated: {ROWS:,} secrets." not in said.getvalue():
        raise SystemExit(said.getvalue())
    return ROWS / taken


def measure() -> None:
    from django.core.management import call_command

    os.environ["FERNET_KEYS"] = f"{NEW},{KEY}"
    django.setup()
    call_command("migrate", verbosity=0)
    rates = [rate() for _ in range(ROUNDS)]
    best = max(rates)
    spread = f"{min(rates):,.0f} to {best:,.0f}"
    said = f"{best:,.0f} rows a second ({ROWS:,} rows; {ROUNDS} rounds: {spread})"
    if connection.vendor == "sqlite":
        holds = "holds" if best >= GATE else "FAILS"
        print(f"{holds} sqlite: rotate_keys, {GATE:,} rows a second or more: {said}", flush=True)
    else:
        print(f"      {connection.vendor}: rotate_keys: {said}", flush=True)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else on_both("benchmarks.rotation", "ytops.settings")
