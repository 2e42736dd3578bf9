"""Where a Gateway is, and what we show it and expect of it there."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import ssl
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

import attrs
import trio

from ..storage import Invalid
from ._device import Device
from ._refusals import GatewayRefused

WebStream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

_PORTS = {"ws": 80, "wss": 443}


def _bare(fingerprint: str) -> str:
    return fingerprint.replace(":", "").strip().lower()


@attrs.frozen
class GatewayAddress:
    """One Gateway.

    Raises:
        Invalid: *url* is none, or would send the token in the clear to another host.
    """

    url: str
    token: str = attrs.field(repr=False)
    device: Device | None = None
    """Shown beside the token, for Gateways that ask for a paired device."""
    fingerprint: str = attrs.field(default="", converter=_bare)
    """SHA-256 of the certificate in hex, colons or not; no authority is asked then."""
    plaintext: bool = False
    """Whether `ws://` may leave this host: a container network, a tunnel."""

    def __attrs_post_init__(self) -> None:
        parts = self.parts
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Invalid(f"{self.url!r} is no ws:// or wss:// address", field="gateway.url")
        if parts.scheme == "ws" and not (self.plaintext or self.is_local):
            raise Invalid(
                f"{self.url} would send the Gateway's token unencrypted: use wss://, a tunnel to"
                " 127.0.0.1, or set gateway.allow_plaintext where the network is your own",
                field="gateway.url",
            )
        if self.fingerprint and len(self.fingerprint) != 64:
            raise Invalid(
                "gateway.tls_fingerprint must be a SHA-256 in hex (64 digits)",
                field="gateway.tls_fingerprint",
            )

    @property
    def is_local(self) -> bool:
        """Whether it is on this host, as far as the URL says."""
        return _is_local(self.parts.hostname or "")

    @property
    def parts(self) -> SplitResult:
        """The parts of the URL."""
        return urlsplit(self.url)

    async def reach(self) -> WebStream:
        """Open a connection, encrypted where the URL says so.

        Raises:
            OSError: nobody listens there.
            GatewayRefused: its certificate is not the one that we expect.
        """
        parts = self.parts
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        stream = await trio.open_tcp_stream(host, port)
        if parts.scheme == "ws":
            return stream
        return await self._encrypted(stream, host)

    async def _encrypted(self, stream: trio.SocketStream, host: str) -> WebStream:
        context = ssl.create_default_context()
        if self.fingerprint:
            # The certificate itself is compared: whoever signed it says nothing more.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        secure = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
        try:
            await secure.do_handshake()
            self._check(secure.getpeercert(binary_form=True) or b"")
        except trio.BrokenResourceError as broken:
            await trio.aclose_forcefully(secure)
            raise self._not_trusted(broken) from broken
        except BaseException:  # a refusal or cancellation: nobody else would close it
            await trio.aclose_forcefully(secure)
            raise
        return secure

    def _check(self, certificate: bytes) -> None:
        found = hashlib.sha256(certificate).hexdigest()
        if self.fingerprint and not hmac.compare_digest(found, self.fingerprint):
            raise GatewayRefused(
                f"the Gateway at {self.url} shows another certificate than the pinned one (SHA-256"
                f" {found}): check who answers there, then gateway.tls_fingerprint"
            )

    def _not_trusted(self, broken: trio.BrokenResourceError) -> Exception:
        cause = broken.__cause__
        if not isinstance(cause, ssl.SSLCertVerificationError):
            return OSError(f"no TLS with it: {cause or broken}")
        return GatewayRefused(
            f"the certificate of the Gateway at {self.url} is not trusted"
            f" ({cause.verify_message}): give its SHA-256 as gateway.tls_fingerprint"
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
