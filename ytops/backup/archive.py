"""The file of a backup: a zstd frame with the payload, then a skippable frame with the manifest,
the whole of it encrypted in the age format if there are recipients.

`age -d` and `zstd -d` alone give the payload. The skippable frame holds the manifest, its length
(4 bytes) and the SHA-256 of all that stands before that, so that no bit can change unseen.
https://github.com/facebook/zstd/blob/dev/doc/zstd_compression_format.md
https://age-encryption.org/v1
"""

import hashlib
import os
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO, Protocol, Self

import pyrage
import zstandard

from ytops.backup.manifest import Manifest, load
from ytops.backup.refusals import Damaged, DoesNotFit, Refusal

BLOCK = 1 << 17
# Level 1 makes these as small as level 3 does, in two thirds of the time. One thread beside ours,
# with jobs so short that it takes 8 MB and not 50; a second one would wait for the database.
PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    1, threads=1, job_size=1 << 20, overlap_log=1, write_checksum=True
)
LARGEST_WINDOW = 8 << 20
AGE = b"age-encryption.org/v1\n"
ZSTD = b"\x28\xb5\x2f\xfd"
FRAME = struct.Struct("<II")  # of a skippable frame: magic number, length of its content
MAGIC = 0x184D2A50
LENGTH = struct.Struct("<I")
DIGEST = hashlib.sha256().digest_size
LONGEST_MANIFEST = 1 << 18
LONGEST_TAIL = FRAME.size + LONGEST_MANIFEST + LENGTH.size + DIGEST


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Seekable(Readable, Protocol):
    def seek(self, offset: int, whence: int = ..., /) -> int: ...


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Hashed:
    """Knows the SHA-256 and the number of the bytes that went through it."""

    def __init__(self, stream: Readable, progress: Callable[[int], None] = lambda done: None):
        self.stream, self.progress = stream, progress
        self.sha256, self.size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(BLOCK if size < 0 else size)
        self.sha256.update(block)
        self.size += len(block)
        self.progress(self.size)
        return block


class Growing:
    """A file that another thread writes until the end of the `with`: until then it goes on."""

    def __init__(self, file: BinaryIO):
        self.file, self.ended = file, threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()

    def read(self, size: int = BLOCK) -> bytes:
        read = b""
        while len(read) < size:
            ended = self.ended.is_set()  # asked before: what comes between is read then
            block = self.file.read(size - len(read))
            read += block
            if ended and not block:
                break
            if not block:
                self.ended.wait(0.01)  # no call tells that a file has grown
        return read

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)


class Packing:
    """Reads as the file of a backup before its encryption."""

    def __init__(self, payload: Hashed, manifest: Callable[[str, int], Manifest]):
        self.payload, self.manifest = payload, manifest
        compressor = zstandard.ZstdCompressor(compression_params=PARAMETERS)
        self.frame = compressor.stream_reader(payload, read_size=BLOCK)  # type: ignore[arg-type]
        self.sha256 = hashlib.sha256()
        self.end: bytes | None = None

    def read(self, size: int = -1) -> bytes:
        if self.end is None:
            if block := self.frame.read(BLOCK if size < 0 else size):
                self.sha256.update(block)
                return block
            self.end = self.last_frame()
        block, self.end = self.end[:size], self.end[size:]
        return block

    def last_frame(self) -> bytes:
        text = self.manifest(self.payload.sha256.hexdigest(), self.payload.size).dump()
        if len(text) > LONGEST_MANIFEST:
            raise Refusal(f"It has too many tables: {len(text)} bytes of manifest.")
        content = text + LENGTH.pack(len(text))
        frame = FRAME.pack(MAGIC, len(content) + DIGEST) + content
        self.sha256.update(frame)
        return frame + self.sha256.digest()


def pack(
    payload: Hashed,
    manifest: Callable[[str, int], Manifest],
    file: BinaryIO,
    recipients: Sequence[pyrage.x25519.Recipient],
) -> None:
    """Write the file of a backup; `manifest` gets SHA-256 and size when the payload has ended."""
    packing = Packing(payload, manifest)
    if recipients:
        source, target = Remembering(packing), Remembering(file)
        try:
            pyrage.encrypt_io(source, target, recipients)
        except pyrage.EncryptError as error:
            raise source.error or target.error or error from None
    else:
        copyfileobj(packing, file, BLOCK)


class Remembering:
    """A stream that knows the error of its last call: pyrage gives it on as a text alone."""

    def __init__(self, stream: Any):
        self.stream = stream
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        return bytes(self.remember(self.stream.read, size))

    def write(self, block: bytes) -> int:
        return int(self.remember(self.stream.write, block))

    def flush(self) -> None:
        self.remember(self.stream.flush)

    def remember(self, call: Callable[..., Any], *given: Any) -> Any:
        try:
            return call(*given)
        except BaseException as error:
            self.error = error
            raise


class Unpacking:
    """Takes the file of a backup, decrypted, and writes its payload."""

    def __init__(self, payload: Writable):
        self.payload, self.payload_sha256, self.size = payload, hashlib.sha256(), 0
        self.sha256, self.tail = hashlib.sha256(), b""
        decompressor = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
        self.frame = decompressor.stream_writer(Sink(self.take), write_size=BLOCK)  # type: ignore[arg-type]

    def take(self, block: bytes) -> None:
        self.payload_sha256.update(block)
        self.size += len(block)
        self.payload.write(block)

    def write(self, block: bytes) -> int:
        self.frame.write(block)
        self.tail += block
        if len(self.tail) > 2 * LONGEST_TAIL:
            self.sha256.update(self.tail[:-LONGEST_TAIL])
            self.tail = self.tail[-LONGEST_TAIL:]
        return len(block)

    def flush(self) -> None:
        """What pyrage asks of a file."""

    def end(self) -> Manifest:
        self.sha256.update(self.tail[:-DIGEST])
        if self.sha256.digest() != self.tail[-DIGEST:]:
            raise Damaged("Its checksum does not match: it is cut short or was altered.")
        manifest = manifest_in(self.tail)
        if (self.payload_sha256.hexdigest(), self.size) != (manifest.sha256, manifest.size):
            raise Damaged("Its payload is not the one of its manifest.")
        return manifest


class Sink:
    """A file that gives what is written to a function."""

    def __init__(self, take: Callable[[bytes], object] = lambda block: None):
        self.take = take

    def write(self, block: bytes) -> int:
        self.take(block)
        return len(block)


def unpack(
    file: Seekable, payload: Writable, identities: Sequence[pyrage.x25519.Identity]
) -> Manifest:
    """Write the payload of a backup and return its manifest.

    Damaged for every file in which one bit is not as it was written; DoesNotFit for an encrypted
    one that these identities do not open.
    """
    unpacking = Unpacking(payload)
    start = file.read(len(AGE))
    file.seek(0)
    try:
        if start == AGE:
            decrypt(file, unpacking, identities)
        elif start.startswith(ZSTD):
            copyfileobj(file, unpacking, BLOCK)
        else:
            raise Damaged("It does not begin as a backup of ytops does.")
    except zstandard.ZstdError:
        raise Damaged("It cannot be decompressed: it is cut short or was altered.") from None
    return unpacking.end()


def decrypt(
    file: Seekable, unpacking: Unpacking, identities: Sequence[pyrage.x25519.Identity]
) -> None:
    if not identities:
        raise DoesNotFit(
            "It is encrypted: BACKUP_IDENTITY_FILE must name the file with the private key."
        )
    source, target = Remembering(file), Remembering(unpacking)
    try:
        pyrage.decrypt_io(source, target, identities)
    except (pyrage.DecryptError, OSError) as error:  # an OSError of its own for a damaged body
        if source.error or target.error:
            raise
        if "matching keys" in str(error):
            raise DoesNotFit(
                "It is encrypted to other keys than that of BACKUP_IDENTITY_FILE."
            ) from None
        raise Damaged("It cannot be decrypted: it is cut short or was altered.") from None


def manifest_in(tail: bytes) -> Manifest:
    """Of the end of a backup that is not, or no longer, encrypted."""
    try:
        (length,) = LENGTH.unpack(tail[-DIGEST - LENGTH.size : -DIGEST])
        content = length + LENGTH.size + DIGEST
        frame = tail[-content - FRAME.size :]
        whole = length <= LONGEST_MANIFEST and FRAME.unpack(frame[: FRAME.size]) == (MAGIC, content)
    except struct.error:
        whole = False
    if not whole:
        raise Damaged("It has no manifest at its end: it is cut short, or no backup of ytops.")
    return load(frame[FRAME.size :][:length])


def read_manifest(file: Seekable) -> Manifest | None:
    """The manifest alone, without a look at the rest; None if it is encrypted."""
    if file.read(len(AGE)) == AGE:
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_TAIL))
    return manifest_in(file.read(LONGEST_TAIL))


def recipients_of(keys: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """DoesNotFit for what is no public key."""
    try:
        return [pyrage.x25519.Recipient.from_str(key) for key in keys]
    except pyrage.RecipientError:
        raise DoesNotFit(
            "BACKUP_RECIPIENTS: expected public keys of age, such as age1…, behind commas."
        ) from None


def identities_of(name: str) -> list[pyrage.x25519.Identity]:
    """The private keys in a file such as age-keygen writes; none if it has no name."""
    if not name:
        return []
    try:
        lines = Path(name).read_text().splitlines()
        keys = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        if keys:
            return [pyrage.x25519.Identity.from_str(key) for key in keys]
    except OSError as error:
        raise DoesNotFit(
            f"BACKUP_IDENTITY_FILE: {name} cannot be read: {error.strerror}."
        ) from None
    except (pyrage.IdentityError, UnicodeDecodeError):
        pass
    raise DoesNotFit(
        f"BACKUP_IDENTITY_FILE: {name} is no file of private keys (AGE-SECRET-KEY-1…)."
    )
