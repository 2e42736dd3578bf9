"""A Gateway elsewhere knows us by a key, and we know it by its certificate."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._connection import open_connection
from mission_control.gateway_bridge._device import read_or_make_device
from mission_control.gateway_bridge._frames import Challenged, Conversation
from mission_control.gateway_bridge._refusals import GatewayRefused
from mission_control.storage import Invalid, Unavailable

from .fake_gateway import TOKEN, FakeGateway

CONNECT = {
    "client": {"id": "gateway-client", "mode": "backend", "platform": "linux"},
    "role": "operator",
    "scopes": ["operator.read", "operator.write"],
    "auth": {"token": "t"},
}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_device_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    device = read_or_make_device(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_device(path).id == device.id
    assert read_or_make_device(tmp_path / "other.pem").id != device.id


@pytest.mark.parametrize("content", ["junk", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "\0" * 9000])
def test_a_damaged_key_is_refused_and_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "device.pem"
    path.write_text(content)
    with pytest.raises(Invalid, match="holds no Ed25519 key"):
        read_or_make_device(path)
    assert path.read_text() == content


def test_the_proof_signs_what_the_gateway_checks(tmp_path: Path) -> None:
    device = read_or_make_device(tmp_path / "device.pem")
    proof = device.proof(CONNECT, Challenged("n-1", 1234))
    key = _decoded(proof["publicKey"])
    assert proof["id"] == hashlib.sha256(key).hexdigest() == device.id
    assert (proof["nonce"], proof["signedAt"]) == ("n-1", 1234)
    signed = (
        f"v3|{device.id}|gateway-client|backend|operator|operator.read,operator.write"
        "|1234|t|n-1|linux|"
    )
    public = Ed25519PublicKey.from_public_bytes(key)
    public.verify(_decoded(proof["signature"]), signed.encode())
    with pytest.raises(InvalidSignature):
        public.verify(_decoded(proof["signature"]), signed.replace("n-1", "n-2").encode())


def test_the_greeting_shows_the_device_only_where_there_is_one() -> None:
    challenge = '{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":5}}'
    plain, shown = Conversation(), Conversation()
    assert plain.receive(challenge) == shown.receive(challenge) == Challenged("n", 5)
    assert "device" not in plain.connect("t", version="1")
    assert '"device": {"id": "x"}' in shown.connect("t", version="1", prove=lambda _: {"id": "x"})


async def test_an_unpaired_device_is_told_what_the_operator_has_to_type(tmp_path: Path) -> None:
    device = read_or_make_device(tmp_path / "device.pem")
    fake = FakeGateway(pairing="req-7")
    async with fake.serving():
        with pytest.raises(GatewayRefused, match="run 'openclaw devices approve req-7'"):
            async with open_connection(GatewayAddress(fake.url, TOKEN, device), lambda _: None):
                pass
    assert fake.requests[0]["params"]["device"]["id"] == device.id


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("ws://127.0.0.1:18789", True),
        ("ws://[::1]:18789", True),
        ("ws://localhost:18789", True),
        ("wss://gateway.example", True),
        ("ws://gateway.example:18789", False),
        ("ws://10.0.0.5:18789", False),
        ("http://127.0.0.1", False),
        ("ws://", False),
    ],
)
def test_the_token_leaves_this_host_only_encrypted(url: str, ok: bool) -> None:
    if ok:
        assert GatewayAddress(url, TOKEN).url == url
    else:
        with pytest.raises(Invalid) as refused:
            GatewayAddress(url, TOKEN)
        assert refused.value.details["field"] == "gateway.url"
    assert TOKEN not in repr(GatewayAddress("wss://x", TOKEN))


def test_a_network_of_ones_own_may_be_allowed_plain_text() -> None:
    assert not GatewayAddress("ws://gateway:18789", TOKEN, plaintext=True).is_local


class Secure:
    """A fake Gateway behind TLS, with a certificate that no public authority signed."""

    def __init__(self) -> None:
        certificate = trustme.CA().issue_cert("127.0.0.1")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        pem = certificate.cert_chain_pems[0].bytes().decode()
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        self.fake = FakeGateway(tls=context)


async def test_a_pinned_certificate_is_enough() -> None:
    secure = Secure()
    pin = ":".join(secure.fingerprint.upper()[n : n + 2] for n in range(0, 64, 2))
    async with secure.fake.serving():
        address = GatewayAddress(secure.fake.url, TOKEN, fingerprint=pin)
        async with open_connection(address, lambda _: None) as connection:
            assert connection.hello.boot_id == "boot-1"


async def test_another_certificate_than_the_pinned_one_is_refused_before_the_token_is_sent() -> (
    None
):
    secure = Secure()
    async with secure.fake.serving():
        with pytest.raises(GatewayRefused, match=secure.fingerprint):
            async with open_connection(
                GatewayAddress(secure.fake.url, TOKEN, fingerprint="0" * 64), lambda _: None
            ):
                pass
    assert secure.fake.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_way_out() -> None:
    secure = Secure()
    async with secure.fake.serving():
        with pytest.raises(GatewayRefused, match="tls_fingerprint"):
            async with open_connection(GatewayAddress(secure.fake.url, TOKEN), lambda _: None):
                pass
    assert secure.fake.requests == []


async def test_a_server_without_tls_is_no_gateway() -> None:
    fake = FakeGateway()
    async with fake.serving():
        address = GatewayAddress(f"wss://127.0.0.1:{fake.port}/", TOKEN)
        with pytest.raises(Unavailable, match="no TLS"):
            async with open_connection(address, lambda _: None):
                pass
