"""Secrets: text that is encrypted in the database and opaque in Python until it is asked for."""

import hashlib
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Sequence
from functools import lru_cache
from hmac import compare_digest, digest
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.crypto import salted_hmac
from fernet_fields.hkdf import derive_fernet_key

from ytops.db import strict_json

MASK = "********"
TAG = "fernet:"
DAMAGED_TAG = "fernet-damaged:"
# Version byte 0x80, then at least timestamp, IV, one block and HMAC, in base64url.
# https://github.com/fernet/spec/blob/master/Spec.md
TOKEN = re.compile(rb"gAAAA[A-Za-z0-9_-]{91,}={0,2}")
VERSION, SIGNATURE = b"\x80", 32  # bytes


class CannotDecrypt(Exception):
    """None of FERNET_KEYS opens this secret."""

    def __init__(self) -> None:
        super().__init__("cannot decrypt: its key is not in FERNET_KEYS")


@lru_cache(maxsize=4)
def _fernets(keys: tuple[str, ...]) -> dict[str, Fernet]:
    """Key fingerprint → cipher, newest first. The cache is by value: new settings, new ciphers."""
    return {fingerprint(key): Fernet(derive_fernet_key(key)) for key in keys}


def fingerprint(key: str) -> str:
    """Eight hex digits that name a key of FERNET_KEYS without telling anything about it."""
    return hashlib.sha256(b"ytops key " + key.encode()).hexdigest()[:8]


def _keys() -> tuple[str, ...]:
    keys: Sequence[str] = getattr(settings, "FERNET_KEYS", ())
    if not keys:
        raise ImproperlyConfigured("FERNET_KEYS is not set: credentials are encrypted with it.")
    return tuple(keys)


def ciphers() -> dict[str, Fernet]:
    return _fernets(_keys())


@lru_cache(maxsize=4)
def _signing_keys(keys: tuple[str, ...]) -> dict[str, bytes]:
    return {fingerprint(key): urlsafe_b64decode(derive_fernet_key(key))[:16] for key in keys}


def signing_keys() -> dict[str, bytes]:
    """Key fingerprint → what its tokens are signed with, newest first."""
    return _signing_keys(_keys())


def opened_by(content: bytes, keys: dict[str, bytes]) -> tuple[str | None, int]:
    """Fingerprint of the key that opens it, and when it was encrypted, in seconds since 1970.

    The signature tells: nothing is decrypted. None if no key opens it.
    """
    try:
        token = urlsafe_b64decode(content)
    except ValueError:
        return None, 0
    signed, signature = token[:-SIGNATURE], token[-SIGNATURE:]
    for name, key in keys.items():
        if signed[:1] == VERSION and compare_digest(digest(key, signed, "sha256"), signature):
            return name, int.from_bytes(signed[1:9], "big")
    return None, 0


class Secret(str):
    """A handle on ciphertext. As a string it is a mask, so that whatever prints, logs or
    serializes it prints the mask; only `reveal()` decrypts."""

    __slots__ = ("ciphertext",)
    ciphertext: bytes

    def __new__(cls, ciphertext: bytes) -> Self:
        """ValueError for what is no Fernet token: plaintext, most likely."""
        if not TOKEN.fullmatch(ciphertext):
            raise ValueError(
                f"{cls.__name__}() takes ciphertext; {cls.__name__}.encrypt() makes it"
            )
        return cls.stored(ciphertext)

    @classmethod
    def stored(cls, content: bytes) -> Self:
        """The handle on whatever a column holds, be it damaged."""
        self = super().__new__(cls, MASK)
        self.ciphertext = content
        return self

    @classmethod
    def encrypt(cls, value: Any) -> Self:
        """ValidationError for what would not come back as it was, the mask among it."""
        if isinstance(value, Secret) or value == MASK:
            raise ValidationError("This is the mask of a secret, not the secret.", code="mask")
        strict_json.validate_storable(value)
        newest = next(iter(ciphers().values()))
        return cls(newest.encrypt(cls._dump(value).encode()))

    @classmethod
    def of(cls, value: Any) -> Self:
        """The handle for a handle, for tagged ciphertext as dumpdata writes it, or for plaintext.

        ValueError for text that is tagged as ciphertext and is none: taking it for plaintext
        would encrypt it a second time. What dumpdata found damaged comes back as it was.
        """
        if isinstance(value, Secret):
            return cls.stored(value.ciphertext)
        if isinstance(value, str) and value.startswith((TAG, DAMAGED_TAG)):
            tag, _, text = value.partition(":")
            try:
                if tag + ":" == TAG:
                    return cls(text.encode())
                return cls.stored(b64decode(text, validate=True))
            except ValueError:
                raise ValueError(
                    f"begins with {tag!r} but is not the ciphertext that dumpdata writes"
                ) from None
        return cls.encrypt(value)

    @staticmethod
    def _dump(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"a secret text must be a str, not {type(value).__name__}")
        return value

    def _decrypted(self) -> str:
        try:
            return MultiFernet(list(ciphers().values())).decrypt(self.ciphertext).decode()
        except InvalidToken:
            raise CannotDecrypt from None

    def reveal(self) -> Any:
        """The plaintext, a str; CannotDecrypt if its key is not in FERNET_KEYS."""
        return self._decrypted()

    reveal.alters_data = True  # type: ignore[attr-defined]  # a template cannot call it

    def tagged(self) -> str:
        """The ciphertext as text, for dumps: `Secret.of` takes it back."""
        if TOKEN.fullmatch(self.ciphertext):
            return TAG + self.ciphertext.decode()
        return DAMAGED_TAG + b64encode(self.ciphertext).decode()

    def key_fingerprint(self) -> str:
        """Which key of FERNET_KEYS opens it; CannotDecrypt if none does."""
        name, _ = opened_by(self.ciphertext, signing_keys())
        if name is None:
            raise CannotDecrypt
        return name

    def identity(self) -> str:
        """Stays the same until it is set anew, whatever key it comes under meanwhile.

        It tells nothing without SECRET_KEY, not even that two secrets are equal.
        """
        _, time = opened_by(self.ciphertext, signing_keys())
        try:
            text = f"{time} {self._decrypted()}"
        except CannotDecrypt:
            text = self.tagged()
        return salted_hmac(__name__, text, algorithm="sha256").hexdigest()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {MASK}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.ciphertext == other.ciphertext

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).stored, (self.ciphertext,)


class JSONSecret(Secret):
    """A secret JSON value: takes and reveals what `json` can carry."""

    __slots__ = ()

    @staticmethod
    def _dump(value: Any) -> str:
        return json.dumps(value)

    def reveal(self) -> Any:
        """The JSON value; CannotDecrypt if its key is not in FERNET_KEYS."""
        return strict_json.parse(self._decrypted())

    reveal.alters_data = True  # type: ignore[attr-defined]
