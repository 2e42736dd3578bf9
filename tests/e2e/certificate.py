"""A certificate that no public authority signed, as a Gateway elsewhere usually has."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import attrs
import trustme


@attrs.frozen
class Certificate:
    """For this host's loopback address, in files."""

    chain: Path
    key: Path
    fingerprint: str
    """SHA-256 in hex, as it is pinned."""

    @classmethod
    def made_in(cls, folder: Path) -> Certificate:
        """Make one."""
        folder.mkdir()
        made = trustme.CA().issue_cert("127.0.0.1")
        leaf = made.cert_chain_pems[0].bytes()
        chain, key = folder / "gateway.crt", folder / "gateway.key"
        chain.write_bytes(leaf)
        key.touch(mode=0o600)
        key.write_bytes(made.private_key_pem.bytes())
        return cls(chain, key, hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf.decode())).hexdigest())

    def settings(self) -> dict[str, object]:
        """Return the `gateway.tls` part of a Gateway's settings."""
        return {"enabled": True, "certPath": str(self.chain), "keyPath": str(self.key)}
