"""Who we are to a Gateway on another host: an Ed25519 key of our own.

The Gateway lets a person approve the key once (*pairing*); on loopback the token is enough.  The
signed text and the encodings are those of OpenClaw 2026.9.6.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ..storage import Invalid, read_plain, replace_file
from ._frames import Challenged

MAX_KEY_BYTES = 4096


@attrs.frozen
class Device:
    """A key, and the name that the Gateway knows it by."""

    _key: Ed25519PrivateKey = attrs.field(repr=False)

    @property
    def _public_bytes(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def id(self) -> str:
        """What operators see in `openclaw devices list`."""
        return hashlib.sha256(self._public_bytes).hexdigest()

    def proof(self, connect: Mapping[str, Any], challenge: Challenged) -> dict[str, Any]:
        """Return the `device` member that proves who sends the params *connect*."""
        client = connect["client"]
        signed = "|".join(
            [
                "v3",
                self.id,
                client["id"],
                client["mode"],
                connect["role"],
                ",".join(connect["scopes"]),
                str(challenge.at_ms),
                connect["auth"]["token"],
                challenge.nonce,
                client["platform"].lower(),
                "",  # the family of the device: we have none
            ]
        )
        return {
            "id": self.id,
            "publicKey": _base64url(self._public_bytes),
            "signature": _base64url(self._key.sign(signed.encode())),
            "signedAt": challenge.at_ms,
            "nonce": challenge.nonce,
        }


def read_or_make_device(path: Path) -> Device:
    """Return the device whose key is in *path* (PEM, mode 0600), making it on the first call.

    Raises:
        Invalid: the file holds something else.  It is never replaced: a new key would have to be
            paired anew.
    """
    known = read_plain(path, MAX_KEY_BYTES)
    if known:
        return Device(_parse(path, known))
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(path, pem.decode("ascii"))
    return Device(key)


def _parse(path: Path, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_a_key(path)
    return key


def _not_a_key(path: Path) -> Invalid:
    return Invalid(
        f"{path} holds no Ed25519 key in PEM: restore it from a backup, or move it away and pair"
        " this host with the Gateway anew",
        field="gateway.device",
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
