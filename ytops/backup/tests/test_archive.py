"""The file of a backup: what goes in comes out, with our code and with `age` and `zstd` alone."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyrage
import pytest
import zstandard
from hypothesis import HealthCheck, example, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from ytops.backup import archive
from ytops.backup.refusals import DoesNotFit
from ytops.backup.tests.files import (
    KEY,
    OTHER_KEY,
    RECIPIENTS,
    manifest_of,
    noise,
    packed,
    unpacked,
)

pytestmark = pytest.mark.once

PROVE = os.environ.get("YTOPS_PROVE") == "1"
KINDS = list(RECIPIENTS)
PAYLOADS = {
    "empty": b"",
    "one byte": b"x",
    "a block": noise(archive.BLOCK),
    "a block and one": noise(archive.BLOCK + 1),
    "noise": noise(5_000_000),
    "zeros": bytes(20_000_000),
    "a file of zstd": packed(b"inner"),
    "a file of age": packed(b"inner", "encrypted"),
}
has = shutil.which


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAYLOADS)
def test_what_goes_in_comes_out(name: str, kind: str) -> None:
    payload = PAYLOADS[name]
    file = packed(payload, kind)
    assert unpacked(file) == (payload, manifest_of(payload))
    assert len(file) < len(payload) + 5000
    if name == "zeros":
        assert len(file) < 10_000


@pytest.mark.parametrize("kind", KINDS)
@given(payload=st.binary(max_size=3000), times=st.integers(1, 300))
@example(payload=archive.ZSTD * 700, times=100)
@with_settings(
    max_examples=1000 if PROVE else 15,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors],
)
def test_any_bytes_come_out(kind: str, payload: bytes, times: int) -> None:
    assert unpacked(packed(payload * times, kind))[0] == payload * times


def test_a_source_that_gives_less_than_asked_is_read_to_its_end() -> None:
    class Slow(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            return super().read(min(size, 777))

    file, payload = io.BytesIO(), noise(300_000)
    archive.pack(archive.Hashed(Slow(payload)), lambda sha256, size: manifest_of(payload), file, [])
    assert unpacked(file.getvalue())[0] == payload


def test_nothing_of_the_payload_or_the_manifest_can_be_read_in_an_encrypted_one() -> None:
    payload = b"nobody is to read this " * 20
    assert b"videos_app" in packed(payload)
    assert b"videos_app" not in packed(payload, "encrypted")
    inside = zstandard.ZstdCompressor().compress(payload)
    assert b"nobody is" in inside
    assert b"nobody is" not in packed(payload, "encrypted")


def test_two_encryptions_have_nothing_in_common() -> None:
    one, other = (packed(noise(1000), "encrypted") for _ in range(2))
    assert one[200:] != other[200:]


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_manifest_is_read_without_the_rest(name: str) -> None:
    payload = PAYLOADS[name]
    assert archive.read_manifest(io.BytesIO(packed(payload))) == manifest_of(payload)
    assert archive.read_manifest(io.BytesIO(packed(payload, "encrypted"))) is None


@pytest.mark.skipif(not has("zstd"), reason="zstd is not installed")
@pytest.mark.parametrize("name", PAYLOADS)
def test_zstd_alone_gives_the_payload(name: str, tmp_path: Path) -> None:
    (file := tmp_path / "backup.zst").write_bytes(packed(PAYLOADS[name]))
    done = subprocess.run(["zstd", "-dc", file], capture_output=True, check=True)
    assert done.stdout == PAYLOADS[name]
    subprocess.run(["zstd", "--test", "--quiet", file], check=True)


@pytest.mark.skipif(not has("age") or not has("zstd"), reason="age or zstd is not installed")
def test_age_and_zstd_alone_give_the_payload(tmp_path: Path) -> None:
    (file := tmp_path / "backup.zst.age").write_bytes(packed(noise(300_000), "encrypted"))
    (key := tmp_path / "key").write_text(f"# a comment\n{KEY}\n")
    decrypted = subprocess.run(["age", "-d", "-i", key, file], capture_output=True, check=True)
    done = subprocess.run(["zstd", "-dc"], input=decrypted.stdout, capture_output=True, check=True)
    assert done.stdout == noise(300_000)


def test_an_encrypted_one_is_the_plain_one_in_the_age_format() -> None:
    """What `age -d` gives, by the library alone."""
    payload = noise(300_000)
    assert pyrage.decrypt(packed(payload, "encrypted"), [KEY]) == packed(payload)


@pytest.mark.parametrize(
    ("identities", "words"),
    [((), "BACKUP_IDENTITY_FILE must name"), ((OTHER_KEY,), "to other keys than that of")],
)
def test_it_opens_for_its_key_alone(identities: Any, words: str) -> None:
    with pytest.raises(DoesNotFit, match=words):
        unpacked(packed(b"payload", "encrypted"), identities)


def test_it_opens_for_each_of_its_keys_and_with_others_beside() -> None:
    file, both = io.BytesIO(), [KEY.to_public(), OTHER_KEY.to_public()]
    archive.pack(
        archive.Hashed(io.BytesIO(b"payload")), lambda *_: manifest_of(b"payload"), file, both
    )
    for identities in ((KEY,), (OTHER_KEY,), (pyrage.x25519.Identity.generate(), KEY)):
        assert unpacked(file.getvalue(), identities)[0] == b"payload"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_disk_is_told_as_such(kind: str) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    file = io.BytesIO(packed(noise(300_000), kind))
    with pytest.raises(OSError, match="No space left"):
        archive.unpack(file, Full(), [KEY])
    source = archive.Hashed(io.BytesIO(noise(300_000)))
    with pytest.raises(OSError, match="No space left"):
        archive.pack(source, lambda *_: manifest_of(b""), Full(), RECIPIENTS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_source_is_told_as_such(kind: str) -> None:
    class Broken(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            if self.tell() > 200_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        archive.pack(
            archive.Hashed(Broken(noise(300_000))),
            lambda *_: manifest_of(b""),
            io.BytesIO(),
            RECIPIENTS[kind],
        )
    with pytest.raises(OSError, match="Input/output"):
        archive.unpack(Broken(packed(noise(300_000), kind)), io.BytesIO(), [KEY])


MEMORY = """
import io, resource, sys
from ytops.backup import archive
from ytops.backup.tests.files import KEY, RECIPIENTS, manifest_of, noise

class Long:
    left = 0
    def read(self, size=-1):
        block = noise(archive.BLOCK)[: min(size, self.left)]
        self.left -= len(block)
        return block

for size in (1 << 20, int(sys.argv[2])):
    source = Long()
    source.left = size
    with open(sys.argv[3], "w+b") as file:
        archive.pack(
            archive.Hashed(source),
            lambda sha256, size: manifest_of(b"", sha256=sha256, size=size),
            file,
            RECIPIENTS[sys.argv[1]],
        )
        file.seek(0)
        archive.unpack(file, archive.Sink(), [KEY])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(not PROVE, reason="make prove runs it")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_payload(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEMORY, kind, str(1 << 30), str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())  # kB
    assert large - small < 30_000


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}",
        f"# created: 2026-11-22\n# public key: {KEY.to_public()}\n{KEY}\n",
        f"\r\n  {KEY}  \r\n",
        f"{OTHER_KEY}\n{KEY}\n",
    ],
    ids=["bare", "of age-keygen", "with white space", "two"],
)
def test_the_private_keys_of_a_file(text: str, tmp_path: Path) -> None:
    (file := tmp_path / "key").write_text(text)
    assert unpacked(packed(b"payload", "encrypted"), archive.identities_of(str(file)))[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing but words\n",
        b"\xff\xfe\x00",
        b"AGE-SECRET-KEY-1WRONG",
        str(KEY).lower().encode()[:-1],
        str(KEY.to_public()).encode(),
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n",
        f"{KEY}\nand more".encode(),
    ],
    ids=["empty", "words", "binary", "wrong", "cut", "public", "of ssh", "and more"],
)
def test_a_file_without_private_keys_is_refused_by_name_alone(
    content: bytes, tmp_path: Path
) -> None:
    (file := tmp_path / "key").write_bytes(content)
    with pytest.raises(DoesNotFit) as error:
        archive.identities_of(str(file))
    assert str(error.value) == (
        f"BACKUP_IDENTITY_FILE: {file} is no file of private keys (AGE-SECRET-KEY-1…)."
    )


def test_a_file_of_private_keys_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match="none cannot be read: No such file or directory"):
        archive.identities_of(str(tmp_path / "none"))
    with pytest.raises(DoesNotFit, match="cannot be read: Is a directory"):
        archive.identities_of(str(tmp_path))


def test_no_file_of_private_keys_is_no_private_key() -> None:
    assert archive.identities_of("") == []


@pytest.mark.parametrize(
    "wrong",
    ["age1", "age1qqqq", str(KEY), "ssh-ed25519 AAAA", "a@b.example"],
    ids=["head", "wrong", "private", "of ssh", "address"],
)
def test_a_public_key_that_is_none_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(DoesNotFit, match="BACKUP_RECIPIENTS: expected public keys") as error:
        archive.recipients_of([str(KEY.to_public()), wrong])
    assert wrong == "age1" or wrong not in str(error.value)
