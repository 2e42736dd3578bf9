"""Whose program is at the other end of a TCP connection, by the kernel's table."""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import ip_address

import pytest
import trio

from mission_control.gateway_bridge import bind, connect
from mission_control.gateway_bridge._tcp_table import End, Entry, parse, read_table, servers
from mission_control.storage import Forbidden

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a table")

CLIENT, SERVER = End(ip_address("127.0.0.1"), 40000), End(ip_address("127.0.0.1"), 18700)
NOBODY = End(ip_address("0.0.0.0"), 0)  # noqa: S104 - what a table says of a listener
ANY, ANY6 = (End(ip_address(text), 18700) for text in ("0.0.0.0", "::"))  # noqa: S104

LITTLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:490C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0
   1: 0100007F:490C 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0
"""
LITTLE6 = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:490C 00000000000000000000000000000000:0000 0A 0:0 0:0 0 7 0 3
   1: 0000000000000000FFFF00000100007F:490C 0000000000000000FFFF00000100007F:9C40 01 0:0 0:0 0 8 0 4
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="these lines are of such a host")
def test_a_table_is_read_with_its_words_in_the_hosts_order() -> None:
    assert list(parse(LITTLE)) == [
        Entry(SERVER, NOBODY, listens=True, uid=1000),
        Entry(SERVER, CLIENT, listens=False, uid=1001),
    ]
    listener, mapped = parse(LITTLE6)
    assert (listener.local, listener.listens, listener.uid) == (
        End(ip_address("::1"), 18700),
        True,
        7,
    )
    assert mapped == Entry(SERVER, CLIENT, listens=False, uid=8)


def listener(at: End, uid: int) -> Entry:
    return Entry(at, NOBODY, listens=True, uid=uid)


def taken(uid: int) -> Entry:
    return Entry(SERVER, CLIENT, listens=False, uid=uid)


@pytest.mark.parametrize(
    ("table", "uids"),
    [
        ([listener(SERVER, 5)], {5}),
        ([listener(SERVER, 5), listener(ANY, 6), listener(ANY6, 7)], {5}),
        ([listener(ANY, 6), listener(ANY6, 7)], {6, 7}),
        ([listener(SERVER, 5), taken(0)], {0, 5}),
        # It took the connection and listens no more, and another one listens since.
        ([listener(SERVER, 5), taken(6)], {5, 6}),
        ([taken(6)], {6}),
        # Neither another port, nor another connection, nor our own end.
        ([listener(CLIENT, 5), Entry(SERVER, SERVER, listens=False, uid=6)], set()),
        ([Entry(CLIENT, SERVER, listens=False, uid=7)], set()),
    ],
)
def test_who_listens_and_who_took_the_connection_count(table: list[Entry], uids: set[int]) -> None:
    assert servers(table, CLIENT, SERVER) == uids


@linux
def test_the_kernel_tells_whose_a_server_is() -> None:
    with bind("127.0.0.1", 0) as listening, socket.socket() as client:
        client.connect(listening.getsockname())
        ends = End.of(client.getsockname()), End.of(client.getpeername())
        assert os.geteuid() in servers(read_table(), *ends)
        taken, _ = listening.accept()
        listening.close()
        with taken:
            assert servers(read_table(), *ends) == {os.geteuid()}


@linux
async def test_a_server_of_another_user_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._client.may_be_told", lambda _: False)
    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(Forbidden, match="it gets no token of yours"):
            async with connect(f"ws://127.0.0.1:{port}/rpc", "secret"):
                pass
        theirs, _ = await trio.socket.from_stdlib_socket(listening).accept()
        with theirs:
            assert await theirs.recv(100) == b""
