"""Whom the Gateway lets in, and what it says to them."""

from __future__ import annotations

import attrs

from ._peer import Frame, Refusal

TRUSTED = {("gateway-client", "backend"), ("cli", "cli")}
"""Clients that keep the scopes they ask for without showing a device, over loopback."""


@attrs.frozen
class Rejection:
    """Why somebody is not let in, and how the connection is closed."""

    refusal: Refusal
    code: int
    reason: str


STARTING = Rejection(
    Refusal(
        "UNAVAILABLE",
        "gateway starting; retry shortly",
        {"reason": "startup-sidecars"},
        retryable=True,
        retry_after_ms=1,
    ),
    1013,
    "gateway starting",
)
"""The real one advises half a second."""


def misfit(params: Frame, protocol: int) -> Rejection | None:
    """Return what is said to a client that speaks another protocol."""
    if params["minProtocol"] <= protocol <= params["maxProtocol"]:
        return None
    details = {
        "code": "PROTOCOL_MISMATCH",
        "clientMinProtocol": params["minProtocol"],
        "clientMaxProtocol": params["maxProtocol"],
        "expectedProtocol": protocol,
    }
    refusal = Refusal("INVALID_REQUEST", "protocol mismatch", details)
    return Rejection(refusal, 1002, "protocol mismatch")


def stranger(params: Frame, token: str) -> Rejection | None:
    """Return what is said to a client without the right token."""
    auth = params.get("auth") or {}
    shown = auth.get("token") or auth.get("password")
    if shown == token:
        return None
    if shown is None:
        missing = {"code": "DEVICE_IDENTITY_REQUIRED"}
        return Rejection(Refusal("NOT_PAIRED", "device identity required", missing), 1008, "")
    message = "unauthorized: gateway token mismatch (provide gateway auth token)"
    details = {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"}
    return Rejection(Refusal("INVALID_REQUEST", message, details), 1008, message)


def unpaired(request_id: str) -> Rejection:
    """Return what is said to a device that nobody has approved yet."""
    details = {"code": "PAIRING_REQUIRED", "requestId": request_id}
    return Rejection(Refusal("NOT_PAIRED", "pairing required", details), 1008, "pairing required")


def granted(params: Frame) -> list[str]:
    """Return the scopes that a client gets."""
    client = params.get("client") or {}
    trusted = (client.get("id"), client.get("mode")) in TRUSTED or "device" in params
    return list(params.get("scopes") or ()) if trusted else []
