"""Files of backups without a database, whole and forged."""

import hashlib
import io
import json
import struct
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

import pyrage
import zstandard

from ytops.backup import archive
from ytops.backup.manifest import Facts, Manifest

FACTS = Facts({"videos_app": ["0001_initial"]}, {"videos": 3, "ta\"b'le;": 0}, ["0123abcd"], 0)
KEY = pyrage.x25519.Identity.generate()
OTHER_KEY = pyrage.x25519.Identity.generate()
RECIPIENTS = {"plain": [], "encrypted": [KEY.to_public()]}


def manifest_of(payload: bytes, **values: Any) -> Manifest:
    given = {
        "created": datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC),
        "ytops": "1.0",
        "engine": "sqlite",
        "engine_version": "3.40.1",
        "facts": FACTS,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "size": len(payload),
    }
    return Manifest(**{**given, **values})


def packed(payload: bytes, kind: str = "plain") -> bytes:
    """The file of a backup with this payload."""
    file = io.BytesIO()
    source = archive.Hashed(io.BytesIO(payload))

    def manifest(sha256: str, size: int) -> Manifest:
        return manifest_of(payload, sha256=sha256, size=size)

    archive.pack(source, manifest, file, RECIPIENTS[kind])
    return file.getvalue()


@lru_cache
def noise(size: int, seed: int = 0) -> bytes:
    return Random(seed).randbytes(size)


def forged(payload: bytes, manifest: bytes | dict[str, Any], kind: str = "plain") -> bytes:
    """With a manifest of somebody's own and checksums that match."""
    frame = zstandard.ZstdCompressor(level=3).compress(payload)
    return sealed(frame, manifest, kind)


def sealed(frame: bytes, manifest: bytes | dict[str, Any], kind: str = "plain") -> bytes:
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    size = len(text) + 4 + 32
    before = frame + struct.pack("<II", 0x184D2A50, size) + text + struct.pack("<I", len(text))
    return closed(before + hashlib.sha256(before).digest(), kind)


def closed(file: bytes, kind: str) -> bytes:
    return file if kind == "plain" else pyrage.encrypt(file, RECIPIENTS[kind])


def unpacked(file: bytes, identities: Any = (KEY,)) -> tuple[bytes, Manifest]:
    payload = io.BytesIO()
    manifest = archive.unpack(io.BytesIO(file), payload, list(identities))
    return payload.getvalue(), manifest
