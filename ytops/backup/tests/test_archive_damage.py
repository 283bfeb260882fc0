"""Files of backups that are cut, altered, put together of others, or made by an enemy: each is
refused with a reason, and none runs code, takes much memory or shows a traceback."""

import hashlib
import io
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import zstandard

from ytops.backup import archive
from ytops.backup.manifest import Manifest
from ytops.backup.refusals import Damaged, DoesNotFit, Refusal
from ytops.backup.tests.files import (
    FACTS,
    KEY,
    RECIPIENTS,
    closed,
    forged,
    manifest_of,
    noise,
    packed,
    sealed,
    unpacked,
)

pytestmark = pytest.mark.once

PROVE = os.environ.get("YTOPS_PROVE") == "1"
KINDS = list(RECIPIENTS)
PAYLOAD = noise(150_000) + bytes(50_000)
FILES = {kind: packed(PAYLOAD, kind) for kind in KINDS}
OTHERS = {kind: packed(noise(150_000, seed=1), kind) for kind in KINDS}
# Of a skippable frame: its magic number and length, the manifest's length, the digest.
AROUND = 4 + 4 + 4 + 32
NEWER = "It was made by a newer ytops"


def refused(file: bytes) -> Refusal:
    with pytest.raises(Refusal) as error:
        unpacked(file)
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 300
    return error.value


def read_or_refused(file: bytes) -> None:
    """As listbackups does it: a manifest or a refusal, whatever it is."""
    try:
        manifest = archive.read_manifest(io.BytesIO(file))
    except Refusal:
        return
    assert manifest is None or isinstance(manifest, Manifest)


def frame_length(file: bytes) -> int:
    """Of the zstd frame of a plain backup: what follows is the skippable one."""
    return file.rindex(struct.pack("<I", 0x184D2A50))


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_it_is_refused(kind: str) -> None:
    file = FILES[kind]
    length = len(file)
    cuts = {length * percent // 100 for percent in range(100)}
    cuts |= set(range(40)) | {length - left for left in range(1, 300 if PROVE else 60)}
    if kind == "plain":
        end = frame_length(file)
        cuts |= set(range(end - 10, end + 20))
    else:
        header = file.index(b"\n---") + 48  # then a nonce of 16 bytes, then chunks
        cuts |= {header + 16 + number * (65536 + 16) for number in range(3)}
    for cut in sorted(cuts):
        assert isinstance(refused(file[:cut]), Damaged), cut
        read_or_refused(file[:cut])


def flipped(file: bytes, random: Random) -> bytes:
    bit = random.randrange(len(file) * 8)
    changed = bytearray(file)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def overwritten(file: bytes, random: Random) -> bytes:
    place, size = random.randrange(len(file)), random.randint(1, 5000)
    return file[:place] + bytes(len(file[place : place + size])) + file[place + size :]


def longer(file: bytes, random: Random) -> bytes:
    place = random.randint(0, len(file))
    return file[:place] + random.randbytes(random.randint(1, 100)) + file[place:]


def shorter(file: bytes, random: Random) -> bytes:
    place, size = random.randrange(len(file)), random.randint(1, 5000)
    return file[:place] + file[place + size :]


def exchanged(file: bytes, random: Random) -> bytes:
    """Two pieces of the same length, as a disk or a download mixes them up."""
    size = random.choice([16, 512, 4096, 65536 + 16])
    one, other = sorted(random.sample(range(len(file) // size), 2))
    pieces = [file[at * size : (at + 1) * size] for at in range(len(file) // size + 1)]
    pieces[one], pieces[other] = pieces[other], pieces[one]
    return b"".join(pieces)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [flipped, overwritten, longer, shorter, exchanged])
def test_altered_in_whatever_way_it_is_refused(
    damage: Callable[[bytes, Random], bytes], kind: str
) -> None:
    for seed in range(2000 if PROVE else 12):
        altered = damage(FILES[kind], Random(seed))
        if altered != FILES[kind]:
            refused(altered)
            read_or_refused(altered)


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_of_its_ends_counts(kind: str) -> None:
    file = FILES[kind]
    ends = [*range(300), *range(len(file) - 400, len(file))]
    for place in ends if PROVE else Random(1).sample(ends, 10):
        for bit in range(8):
            altered = file[:place] + bytes([file[place] ^ 1 << bit]) + file[place + 1 :]
            refused(altered)
            read_or_refused(altered)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "more",
    [b"\0", b"\n", bytes(4096), FILES["plain"], FILES["encrypted"], OTHERS["plain"][-600:]],
    ids=["zero", "newline", "zeros", "plain", "encrypted", "another's end"],
)
def test_more_behind_its_end_is_refused(more: bytes, kind: str) -> None:
    assert isinstance(refused(FILES[kind] + more), Damaged)
    read_or_refused(FILES[kind] + more)


@pytest.mark.parametrize("kind", KINDS)
def test_more_behind_its_end_inside_the_encryption_is_refused(kind: str) -> None:
    empty = zstandard.ZstdCompressor().compress(b"")
    for more in (b"\0", empty, struct.pack("<II", 0x184D2A53, 3) + b"abc", OTHERS["plain"]):
        assert isinstance(refused(closed(FILES["plain"] + more, kind)), Damaged)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin"),
        (b"a text that somebody wrote\n", "does not begin"),
        (b"\x1f\x8b\x08" + bytes(100), "does not begin"),
        (b"SQLite format 3\0" + bytes(4080), "does not begin"),
        (b"PGDMP\x01\x0e\0" + bytes(100), "does not begin"),
        (b"age-encryption.org/v2\n" + bytes(100), "does not begin"),
        (archive.AGE, "cannot be decrypted"),
        (archive.AGE + noise(1000), "cannot be decrypted"),
        (archive.ZSTD, "does not match"),
        (archive.ZSTD + noise(1000), "cannot be decompressed"),
        (zstandard.ZstdCompressor().compress(PAYLOAD), "does not match"),
    ],
)
def test_what_is_no_backup_is_refused(content: bytes, words: str) -> None:
    error = refused(content)
    assert isinstance(error, Damaged)
    assert words in str(error)
    read_or_refused(content)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_of_another_backup_is_refused(kind: str) -> None:
    own, other = FILES["plain"], OTHERS["plain"]
    frame = own[: frame_length(own)]
    spliced = frame + other[frame_length(other) :]
    assert "does not match" in str(refused(closed(spliced, kind)))
    # An enemy counts the checksum anew.
    text = other[frame_length(other) + 8 : -36]
    assert "not the one of its manifest" in str(refused(sealed(frame, text, kind)))


def test_the_head_of_another_encrypted_backup_is_refused() -> None:
    own, other = FILES["encrypted"], OTHERS["encrypted"]
    heads = [file.index(b"\n---") + 48 for file in (own, other)]
    assert isinstance(refused(other[: heads[1]] + own[heads[0] :]), Damaged)
    assert isinstance(refused(own[: heads[0]] + other[heads[1] :]), Damaged)
    assert unpacked(own[: heads[0]] + own[heads[0] :])[0] == PAYLOAD


def test_an_encrypted_file_under_the_head_of_a_plain_one_is_refused() -> None:
    for head, body in (("plain", "encrypted"), ("encrypted", "plain")):
        assert isinstance(refused(FILES[head][:200] + FILES[body][200:]), Damaged)


def wrong(**values: Any) -> dict[str, Any]:
    """A manifest with these values; an Ellipsis takes one away."""
    given = {**manifest_of(PAYLOAD).as_json(), **values}
    return {name: value for name, value in given.items() if value is not ...}


def wrong_facts(**values: Any) -> dict[str, Any]:
    return wrong(facts={**wrong()["facts"], **values})


NESTED = b"[" * 300_000
HOSTILE: dict[str, bytes | dict[str, Any]] = {
    "nothing": b"",
    "no JSON": b"{",
    "not in UTF-8": b'{"format": "\xff"}',
    "a text": b'"format"',
    "a list": b'["format"]',
    "a number": b"1",
    "nested": NESTED,
    "nested inside": b'{"format": 1, "facts": ' + NESTED,
    "nested in names": b'{"a":' * 100_000,
    "twice": json.dumps(wrong()).encode() * 2,
    "without a format": wrong(format=...),
    "a format that is no number": wrong(format="1"),
    "a format that is nothing": wrong(format=None),
    "without a size": wrong(size=...),
    "without facts": wrong(facts=...),
    "a size with many digits": json.dumps(wrong())
    .replace(f'"size": {len(PAYLOAD)}', '"size": ' + "9" * 100_000)
    .encode(),
    "an infinite size": wrong(size=float("inf")),
    "a size that is no number": wrong(size=float("nan")),
    "a size in a text": wrong(size=str(len(PAYLOAD))),
    "the size as a fraction": wrong(size=len(PAYLOAD) + 0.0),
    "no size": wrong(size=None),
    "a wrong size": wrong(size=-1),
    "a size larger than any disk": wrong(size=1 << 62),
    "a list as checksum": wrong(sha256=[hashlib.sha256(PAYLOAD).hexdigest()]),
    "another checksum": wrong(sha256="0" * 64),
    "no time": wrong(created=None),
    "a number as time": wrong(created=1),
    "a time that is none": wrong(created="yesterday"),
    "a time before all time": wrong(created="0001-01-01T00:00:00+14:00"),
    "a time after all time": wrong(created="9999-12-31T23:59:59-14:00"),
    "a connector": wrong(connector="hostile_module.Connector"),
    "a connector in the facts": wrong_facts(connector="hostile_module.Connector"),
    "a class": wrong(__class__="hostile_module.Connector"),
    "facts as a list": wrong(facts=[]),
    "keys as a text": wrong_facts(keys="0123abcd"),
    "keys as numbers": wrong_facts(keys=[1]),
    "rows as a list": wrong_facts(rows=[["videos", 3]]),
    "rows as texts": wrong_facts(rows={"videos": "3"}),
    "rows as lists": wrong_facts(rows={"videos": [3]}),
    "migrations as a list": wrong_facts(migrations=["0001"]),
    "migrations as texts": wrong_facts(migrations={"videos_app": "0001"}),
    "migrations as lists": wrong_facts(migrations={"videos_app": [["0001"]]}),
    "unreadable secrets as a text": wrong_facts(unreadable_secrets="0"),
    "an engine of two lines": wrong(engine="sqlite\nCommandError: all is well"),
    "an engine that moves the cursor": wrong(engine="\x1b[2J\x1b[1;1H"),
    "a version that moves the cursor": wrong(ytops="\x1b]0;title\x07"),
    "a key of two lines": wrong_facts(keys=["0123\nabcd"]),
    "a table that moves the cursor": wrong_facts(rows={"\x1b[2J": 1}),
    "an app that moves the cursor": wrong_facts(migrations={"\x1b[2J": ["0001"]}),
    "a migration of two lines": wrong_facts(migrations={"app": ["0001\n"]}),
    "a damage of two lines": wrong(damage="page 2\npage 3"),
    "a format to come": wrong(format=2),
    "a format to come, of two lines": wrong(format=2, ytops="2.0\nx"),
    "a format to come, of a version in a list": wrong(format=2, ytops=["2.0"]),
    "a format to come, without a version": wrong(format=2, ytops=...),
    "longer than a manifest may be": json.dumps(wrong()).encode() + b" " * (1 << 20),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_refused(name: str, kind: str) -> None:
    file = forged(PAYLOAD, HOSTILE[name], kind)
    error = refused(file)
    assert isinstance(error, (Damaged, DoesNotFit))
    assert str(error).startswith(NEWER) == (name == "a format to come")
    read_or_refused(file)


def test_a_manifest_s_connector_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_module.py").write_text("def Connector(*given): raise SystemExit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_module = __import__
    assert import_module("hostile_module")  # it could be
    del sys.modules["hostile_module"]
    for name in ("a connector", "a connector in the facts", "a class"):
        refused(forged(PAYLOAD, HOSTILE[name]))
    assert "hostile_module" not in sys.modules


def test_what_is_made_for_these_tests_is_a_backup_but_for_its_manifest() -> None:
    for kind in KINDS:
        assert unpacked(forged(PAYLOAD, wrong(), kind)) == (PAYLOAD, manifest_of(PAYLOAD))


def test_names_in_a_manifest_are_only_names() -> None:
    rows = {"../../etc/passwd": 1, "videos; DROP TABLE videos": 2, "'\"": 3, "{0.__class__}": 4}
    manifest = unpacked(forged(PAYLOAD, wrong_facts(rows=rows)))[1]
    assert manifest.facts.rows == rows
    assert manifest.facts.differences(FACTS)[0].startswith("'\" has no rows instead of 3")


class Measuring:
    """Takes a payload and forgets it."""

    longest = 0

    def write(self, block: bytes) -> int:
        self.longest = max(self.longest, len(block))
        return len(block)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_comes_in_small_pieces_and_is_refused(kind: str) -> None:
    size = 100_000_000
    bomb = b"".join(zstandard.ZstdCompressor().compress(bytes(size // 4)) for _ in range(4))
    assert len(bomb) < 50_000
    payload = Measuring()
    with pytest.raises(Damaged):
        archive.unpack(io.BytesIO(sealed(bomb, wrong(), kind)), payload, [KEY])
    assert payload.longest <= archive.BLOCK


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("long", [24, 27, 31])
def test_a_window_that_would_take_much_memory_is_refused(long: int, kind: str) -> None:
    # A frame of no content whose head asks for a window of 1 << long bytes.
    frame = archive.ZSTD + bytes([0, (long - 10) << 3]) + b"\x01\0\0"
    error = refused(sealed(frame, manifest_of(b"").as_json(), kind))
    assert "cannot be decompressed" in str(error)
    small = archive.ZSTD + bytes([0, (20 - 10) << 3]) + b"\x01\0\0"
    assert unpacked(sealed(small, manifest_of(b"").as_json(), kind))[0] == b""
