"""Heads that have one reading, and those that have not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge._head import flaw_of_head, flaw_of_request

GOOD = b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


def flaw(received: bytes) -> int | None:
    return flaw_of_head(received, 100, 1000)


@given(st.integers(0, len(GOOD)), st.binary(max_size=50))
def test_a_good_head_is_good_however_much_of_it_is_there_and_whatever_follows(
    cut: int, body: bytes
) -> None:
    assert flaw(GOOD[:cut]) is None
    assert flaw(GOOD + body) is None


@given(
    st.integers(0, len(GOOD) - 3),
    st.sampled_from([b"\n", b"\n\n", b"\rx", b"\r\n x", b"\r\n\tx", b"x\n"]),
)
def test_a_line_that_ends_otherwise_or_goes_on_is_refused_wherever_it_is(
    at: int, odd: bytes
) -> None:
    completes = GOOD[at - 1 : at] == b"\r" and odd.startswith(b"\n")
    ends_it = GOOD[at - 2 : at] == b"\r\n" and odd.startswith(b"\r\n")
    if not (completes or ends_it):
        assert flaw(GOOD[:at] + odd + GOOD[at:]) == 400


def test_a_return_too_many_before_the_end_is_refused() -> None:
    assert flaw(GOOD[:-4] + b"\r\r\n\r\n") == 400
    assert flaw(GOOD[:-4] + b"\r\r") == 400


def test_a_head_is_neither_too_long_nor_of_too_many_lines() -> None:
    assert flaw_of_head(GOOD, 2, 1000) is None
    assert flaw_of_head(GOOD, 1, 1000) == 431
    assert flaw_of_head(GOOD, 100, 20) == 431
    assert flaw_of_head(GOOD[:-4] + b"x" * 2000, 100, 1000) == 431


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0", b"3.0"])
def test_other_versions_are_refused(version: bytes) -> None:
    assert flaw_of_request(version, b"/rpc", []) == 505
    assert flaw_of_request(b"1.0", b"/rpc", []) is None


@pytest.mark.parametrize("target", [b"*", b"http://127.0.0.1/rpc", b"evil:80", b""])
def test_other_forms_of_a_target_are_refused(target: bytes) -> None:
    assert flaw_of_request(b"1.1", target, []) == 400


def test_a_body_has_one_length() -> None:
    length, coding = (b"content-length", b"2"), (b"transfer-encoding", b"chunked")
    assert flaw_of_request(b"1.1", b"/rpc", [length]) is None
    assert flaw_of_request(b"1.1", b"/rpc", [coding]) is None
    assert flaw_of_request(b"1.1", b"/rpc", [coding, length]) == 400


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket"])
def test_what_asks_for_a_websocket_has_no_body(upgrade: bytes) -> None:
    for field, expected in (
        ((b"content-length", b"0"), None),
        ((b"content-length", b"2"), 400),
        ((b"transfer-encoding", b"chunked"), 400),
    ):
        headers = [(b"upgrade", upgrade), field]
        assert flaw_of_request(b"1.1", b"/bridge", headers) == expected
        headers = [(b"upgrade", b"h2c"), field]
        assert flaw_of_request(b"1.1", b"/rpc", headers) is None
