"""`python -m ytops.make_env FILE`: make .env from .env.example, with fresh keys, once.

Standard library only: it runs before Django can, which needs the keys.
"""

import os
import secrets
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"


def content() -> str:
    text = EXAMPLE.read_text(encoding="utf-8")
    for name in ("SECRET_KEY", "FERNET_KEYS"):
        text = text.replace(f"\n{name}=\n", f"\n{name}={secrets.token_urlsafe(48)}\n")
    return text


def make_env(path: Path) -> bool:
    """Make the file, mode 0600, whole or not at all; False if there is one already."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content())
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails if another process was quicker: its keys then stand.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m ytops.make_env FILE")
    try:
        made = make_env(Path(sys.argv[1]))
    except OSError as error:
        sys.exit(f"ytops: cannot make {sys.argv[1]}: {error}")
    if made:
        print(f"Made {sys.argv[1]} with fresh keys. Keep a copy of FERNET_KEYS in a safe place.")
