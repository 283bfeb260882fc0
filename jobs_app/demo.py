"""Handlers that do real work on local files, without a network: to watch videos move.

    JOB_HANDLERS=jobs_app.demo .venv/bin/python manage.py work

The files are in var/demo-work: a folder for each video, and the outbox, which stands for YouTube.
Each file comes to its name when it is whole, so that an attempt that is done again harms nothing.
The videos of the demo come in half way, without files: what is missing is made.
"""

import gzip
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs_app.handlers import Final, Work, handles

FOLDER = settings.VAR_DIR / "demo-work"
CHUNK = 64 * 1024
CHUNKS = 128


@handles("download")
def download(work: Work) -> dict[str, Any]:
    """Makes a file out of the address: always the same."""
    line = f"{work.video.source_url}\n".encode()
    chunks = (hashlib.sha256(line + bytes([number])).digest() * 2048 for number in range(CHUNKS))
    return written(work, source_of(work), chunks)


@handles("transform")
def transform(work: Work) -> dict[str, Any]:
    """Compresses it; `level`, from 1 to 9, among the parameters of the preset says how well."""
    level = work.parameters.get("level", 6)
    if level not in range(1, 10):
        raise Final(f"The preset's level is {level}: expected a whole number from 1 to 9.")
    if not source_of(work).exists():
        download(work)
    with source_of(work).open("rb") as source:
        chunks = (gzip.compress(chunk, level) for chunk in iter(lambda: source.read(CHUNK), b""))
        return written(work, target_of(work), chunks)


@handles("publish")
def publish(work: Work) -> dict[str, Any]:
    """Puts it into the outbox, under an id that is the video's alone."""
    if not target_of(work).exists():
        transform(work)
    digest = hashlib.sha256(work.video.pk.bytes).digest()
    youtube_video_id = urlsafe_b64encode(digest)[:11].decode()
    outbox = FOLDER / "outbox" / f"{youtube_video_id}.gz"
    with target_of(work).open("rb") as target:
        made = written(work, outbox, iter(lambda: target.read(CHUNK), b""))
    return {"youtube_video_id": youtube_video_id, **made}


def source_of(work: Work) -> Path:
    return FOLDER / str(work.video.pk) / "source"


def target_of(work: Work) -> Path:
    return FOLDER / str(work.video.pk) / "target.gz"


def written(work: Work, path: Path, chunks: Iterator[bytes]) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    part, digest, size = path.with_name(f"{path.name}.part"), hashlib.sha256(), 0
    with part.open("wb") as file:
        for number, chunk in enumerate(chunks, 1):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            work.progress(100 * number / CHUNKS)
    part.replace(path)
    return {"file": str(path), "bytes": size, "sha256": digest.hexdigest()}
