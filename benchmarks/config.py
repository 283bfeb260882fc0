"""`make bench`: what a setting costs to read, beside what one would take instead of ours.

It prints; it asserts nothing. Each number is a median of ROUNDS rounds, in each of which every
reader has its turn. Trust the ratios: nanoseconds are those of this machine on this day.
"""

import os
import sys
from statistics import median
from threading import Thread
from time import perf_counter, thread_time
from timeit import Timer
from typing import Any

import django
from django.db import connection, connections
from django.db.backends.signals import connection_created

from benchmarks.both import on_both

ROUNDS = 21
SETTINGS, CHANNELS = 200, 10_000
STEADY_SECONDS, THREADS = 5, 4
KEY = "publish.posts_per_day"
# timeit turns the garbage collector off; a program has it on.
AS_USUAL = "import gc; gc.enable()"

DICT, CONF = "a dict", "django.conf.settings.X"
MEMORY, CACHED = "constance, memory", "constance, database + locmem"
DATABASE = "constance, database"
SYSTEM = "ytops, system"
OVERRIDE, INHERITED = "ytops, channel with an override", "ytops, channel without"

statements: list[str] = []
gates: list[str] = []


def count(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    statements.append(str(sql))
    return execute(sql, params, many, context)


def count_statements(connection: Any, **kwargs: Any) -> None:
    connection.execute_wrappers.append(count)


def medians(readers: dict[str, tuple[str, int]], names: dict[str, Any]) -> dict[str, float]:
    """Reader → ns per execution of its statement; the number is how often it runs in a round."""
    timers = {who: Timer(code, AS_USUAL, globals=names) for who, (code, _) in readers.items()}
    times: dict[str, list[float]] = {who: [] for who in readers}
    for _ in range(ROUNDS):
        for who, timer in timers.items():
            number = readers[who][1]
            times[who].append(timer.timeit(number) / number * 1e9)
    return {who: median(taken) for who, taken in times.items()}


def gate(what: str, holds: bool, found: str) -> None:
    gates.append(f"gate  {what}: {'holds' if holds else 'DOES NOT HOLD'}: {found}")


def peer(backend: Any) -> Any:
    """`constance.config` on a backend of its own."""
    from constance import LazyConfig

    config = LazyConfig()
    config._backend = backend
    config.POSTS_PER_DAY = 2
    return config


def peers() -> dict[str, Any]:
    from constance.backends.database import DatabaseBackend
    from constance.backends.memory import MemoryBackend
    from django.core.cache import caches

    cached = DatabaseBackend()
    # It refuses locmem, for a value cached there goes stale in other processes; the caches it takes
    # are reached over a socket or a file. So this is the fastest it could be.
    cached._cache = caches["default"]
    return {
        "memory": peer(MemoryBackend()),
        "cached": peer(cached),
        "database": peer(DatabaseBackend()),
    }


def make_channels() -> list[Any]:
    """From the database, each with an override."""
    from channels_app.models import Channel

    Channel.objects.bulk_create(
        (Channel(name=f"Channel {n}", settings={KEY: n % 50}) for n in range(CHANNELS)),
        batch_size=1000,
    )
    return list(Channel.objects.all())


def reads(channel: Any) -> None:
    from django.conf import settings

    from channels_app.models import Channel
    from videos_app.conf import POSTS_PER_DAY

    os.environ["BENCHMARK_POSTS_PER_DAY"] = "2"
    names: dict[str, Any] = peers() | {
        "plain": {"POSTS_PER_DAY": 2},
        "environ": os.environ,
        "settings": settings,
        "ours": POSTS_PER_DAY,
        "channel": channel,
        "inherits": Channel(name="inherits"),
    }
    found = medians(
        {
            DICT: ("plain['POSTS_PER_DAY']", 200_000),
            CONF: ("settings.POSTS_PER_DAY", 100_000),
            "os.environ (text)": ("environ['BENCHMARK_POSTS_PER_DAY']", 100_000),
            MEMORY: ("memory.POSTS_PER_DAY", 20_000),
            CACHED: ("cached.POSTS_PER_DAY", 10_000),
            DATABASE: ("database.POSTS_PER_DAY", 200),
            SYSTEM: ("ours.get()", 100_000),
            OVERRIDE: ("ours.get(channel)", 100_000),
            INHERITED: ("ours.get(inherits)", 100_000),
        },
        names,
    )
    print(f"{'read of an int':32} {'ns':>8} {'of a dict':>12} {'of settings.X':>14}", end="")
    print(f" {'of constance in memory':>23}")
    for who, ns in found.items():
        ratios = f"{ns / found[DICT]:12.1f} {ns / found[CONF]:14.2f} {ns / found[MEMORY]:23.3f}"
        print(f"{who:32} {ns:8.0f} {ratios}")
    for who in (SYSTEM, OVERRIDE, INHERITED):
        ratio = found[who] / found[CONF]
        gate(f"{who}: no slower than {CONF}", ratio <= 1, f"{ratio:.2f} of it")
        times = {peer: found[peer] / found[who] for peer in (MEMORY, CACHED, DATABASE)}
        said = "; ".join(f"{faster:.1f} × {peer}" for peer, faster in times.items())
        gate(f"{who}: 10 times as fast as constance", min(times.values()) >= 10, said)


def many_channels(channels: list[Any]) -> None:
    """A walk over many objects misses the processor's caches, whoever walks: so the control."""
    from videos_app.conf import POSTS_PER_DAY

    codes = {
        "Setting.get(channel)": "for channel in {}: ours.get(channel)",
        "control: channel.settings.get(key)": "for channel in {}: channel.settings.get(key)",
    }
    names = {
        "one": channels[:1] * CHANNELS,
        "hundred": channels[:100] * (CHANNELS // 100),
        "each": channels,
    }
    loops = {
        f"{who}, {name}": (code.format(name), 1) for who, code in codes.items() for name in names
    }
    found = medians(loops, names | {"ours": POSTS_PER_DAY, "key": KEY})
    print(f"\n{'ns per channel':36} {'one again':>10} {'100 in turn':>12} {'10,000 in turn':>15}")
    ratios = {}
    for who in codes:
        one, hundred, each = (found[f"{who}, {name}"] / CHANNELS for name in names)
        ratios[who] = each / one
        print(f"{who:36} {one:10.0f} {hundred:12.0f} {each:15.0f}   {each / one:.2f} of one")
    ours, control = ratios.values()
    gate(
        f"{CHANNELS:,} channels no more per read than one, but for what any walk costs",
        ours <= max(1, control),
        f"{ours:.2f} of one; a bare walk over the same objects is {control:.2f} of one",
    )


def declare_and_set() -> None:
    """SETTINGS settings, each with a row of its own."""
    from settings_app.models import SystemConfiguration
    from settings_app.registry import Setting, registered

    for n in range(SETTINGS - len(registered())):
        Setting(f"benchmark.n{n}", int, default=0, help="One of many.")
    for key, setting in registered().items():
        if not setting.secret:
            SystemConfiguration.objects.update_or_create(
                key=key, defaults={"value": setting.default}
            )


def loads() -> None:
    from settings_app import snapshot
    from videos_app.conf import POSTS_PER_DAY

    def cold() -> float:
        snapshot.forget()
        begun = perf_counter()
        POSTS_PER_DAY.get()
        return (perf_counter() - begun) * 1e3

    statements.clear()
    first = cold()
    one = len(statements)
    ms = median(cold() for _ in range(200))
    bound = ", ≤ 2 ms" if connection.vendor == "sqlite" else ""  # PostgreSQL may be far away
    gate(
        f"a cold load of {SETTINGS} settings is one statement{bound}",
        one == 1 and (ms <= 2 or not bound),
        f"{one} statement, {ms:.2f} ms; the first of the process {first:.2f} ms",
    )
    begun = thread_time()
    for _ in range(200):
        cold()
    share = (thread_time() - begun) / 200
    gates.append(f"      a renewal a second is {share:.2%} of a core")


def steady_state() -> None:
    from videos_app.conf import POSTS_PER_DAY

    done: list[int] = []

    def read() -> None:
        number, until = 0, perf_counter() + STEADY_SECONDS
        while perf_counter() < until:
            for _ in range(1000):
                POSTS_PER_DAY.get()
            number += 1000
        done.append(number)
        connections.close_all()

    POSTS_PER_DAY.get()
    statements.clear()
    threads = [Thread(target=read) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(statements) / STEADY_SECONDS
    gate(
        "no SQL in a read but the renewal; at most one statement a second",
        rate <= 1,
        f"{len(statements)} in {STEADY_SECONDS} s, {sum(done):,} reads, {THREADS} threads",
    )


def measure() -> None:
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    connection_created.connect(count_statements)
    connection.close()
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"--- {connection.vendor}, Python {version}, Django {django.get_version()}", flush=True)
    declare_and_set()
    loads()
    steady_state()
    if connection.vendor == "sqlite":  # a read knows no database
        channels = make_channels()
        reads(channels[0])
        many_channels(channels)
        print()
    print("\n".join(gates), flush=True)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else on_both(
        "benchmarks.config", "benchmarks.settings"
    )
