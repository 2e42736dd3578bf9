"""Who is let in, as whom, and for how long."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from mission_control.actors import (
    AgentIdentity,
    AgentTokens,
    OperatorToken,
    Principals,
    UnfitToken,
    _token_file,
)
from mission_control.gateway_bridge import Access, Doorkeeper, Limits
from mission_control.gateway_bridge._peer import LOOPBACK, OWN_USER
from mission_control.storage import (
    Conflict,
    Invalid,
    Limited,
    NotFound,
    Unauthenticated,
    Unavailable,
)

SHURI = AgentIdentity("shuri:p", "p", "pulse-1", "t1")


@attrs.define
class House:
    """A doorkeeper, and what it knows."""

    folder: Path
    limits: Limits = attrs.field(factory=Limits)
    agents: AgentTokens = attrs.field(factory=AgentTokens)
    principals: Principals = attrs.field(init=False)
    door: Doorkeeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.principals = Principals(self.file, OperatorToken(self.token_file))
        self.door = Doorkeeper(self.principals, self.agents, self.limits)

    @property
    def file(self) -> Path:
        return self.folder / "principals.json"

    @property
    def token_file(self) -> Path:
        return self.folder / "operator.token"

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    async def create(self, name: str, access: Access = Access.WRITE) -> str:
        return await self.principals.create(name, access, at=1_000_000, by="operator")

    async def rotate(self, name: str) -> str | None:
        return await self.principals.rotate(name, at=2_000_000, by="operator")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def is_known(house: House, token: str) -> bool:
    return house.principals.holder(token) is not None


async def test_operators_come_in_with_their_token(house: House) -> None:
    for header in (f"Bearer {house.token}", f"bearer {house.token}", f"Bearer  {house.token} "):
        caller = house.door.admit([header], LOOPBACK).caller
        assert (caller.name, caller.access, caller.identity) == ("operator", Access.ADMIN, None)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Bearer \t"],
        ["Basic TOKEN"],
        ["TOKEN"],
        ["Bearer wrong"],
        ["Bearer TOKEN", "Bearer TOKEN"],
        ["Bearer \ud800"],
    ],
)
async def test_nobody_else_does(house: House, headers: list[str]) -> None:
    shown = [header.replace("TOKEN", house.token) for header in headers]
    with pytest.raises(Unauthenticated) as refusal:
        house.door.admit(shown, LOOPBACK)
    assert house.token not in refusal.value.message


async def test_an_agent_comes_in_as_itself_while_its_pulse_runs(house: House) -> None:
    tokens = house.agents
    token = tokens.issue(SHURI)
    admission = house.door.recognise(token, LOOPBACK)
    caller = admission.caller
    assert (caller.name, caller.access, caller.identity) == ("shuri:p", Access.WRITE, SHURI)
    assert admission.over is not None
    assert not admission.over.is_set()
    assert tokens.of_pulse("pulse-1") == tokens.of_agent("shuri:p") == SHURI
    tokens.revoke(token)
    tokens.revoke(token)
    assert admission.over.is_set()
    with pytest.raises(Unauthenticated, match="ends with its pulse"):
        house.door.recognise(token, LOOPBACK)
    assert tokens.of_agent("shuri:p") is None


async def test_a_principal_comes_in_with_its_scope_until_its_token_is_revoked(
    house: House,
) -> None:
    tokens = {access: await house.create(access.scope, access) for access in Access}
    for access, token in tokens.items():
        admission = house.door.recognise(token, LOOPBACK)
        assert (admission.caller.name, admission.caller.access) == (access.scope, access)
        assert admission.over is not None
        assert not admission.over.is_set()
        await house.principals.revoke(access.scope)
        assert admission.over.is_set()
        assert not is_known(house, token)


async def test_what_is_kept_of_tokens_is_for_the_owner_only_and_opens_nothing(
    house: House,
) -> None:
    token = await house.create("ci")
    text = house.file.read_text()
    (entry,) = json.loads(text)["principals"]
    assert token not in text
    assert not is_known(house, entry["sha256"])
    for path in (house.file, house.token_file):
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 43


async def test_principals_outlive_the_sidecar(house: House) -> None:
    token = await house.create("ci", Access.READ)
    again = House(house.folder)
    assert again.principals.all() == house.principals.all()
    assert again.door.recognise(token, LOOPBACK).caller.access is Access.READ
    assert again.token == house.token


async def test_a_rotated_token_ends_and_the_new_one_has_the_same_scope(house: House) -> None:
    old = await house.create("ci", Access.READ)
    before = house.door.recognise(old, LOOPBACK)
    new = await house.rotate("ci")
    assert new
    assert before.over is not None
    assert before.over.is_set()
    assert not is_known(house, old)
    assert house.door.recognise(new, LOOPBACK).caller.access is Access.READ
    assert not is_known(House(house.folder), old)


async def test_the_operators_token_is_rotated_in_its_file(house: House) -> None:
    old = house.token
    before = house.door.recognise(old, LOOPBACK)
    assert await house.rotate("operator") is None
    assert before.over is not None
    assert before.over.is_set()
    assert house.token != old
    assert not is_known(house, old)
    assert is_known(house, house.token)
    assert house.token_file.stat().st_mode & 0o777 == 0o600


async def test_a_token_that_somebody_puts_into_the_file_counts_at_once(house: House) -> None:
    old = house.token
    mine = "mine" * 8
    house.token_file.write_text(f"{mine}\n")
    assert is_known(house, mine)
    assert not is_known(house, old)


def make_unfit(path: Path, how: str) -> None:
    match how:
        case "open to others":
            path.chmod(0o640)
        case "a link":
            path.symlink_to(path.rename(path.with_name("kept")))
        case "2 names":
            path.with_name("kept").hardlink_to(path)
        case "no regular file":
            path.unlink()
            os.mkfifo(path, 0o600)
        case _:
            path.write_text("x" * 31)


UNFIT = pytest.mark.parametrize(
    "how", ["open to others", "a link", "2 names", "no regular file", "31 characters"]
)


@UNFIT
async def test_a_token_file_that_is_not_to_be_relied_on_is_not_used(
    house: House, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = house.token
    before = house.door.recognise(old, LOOPBACK)
    make_unfit(house.token_file, how)
    assert not is_known(house, old)
    assert how in caplog.text
    assert before.over is not None
    assert before.over.is_set()
    assert house.token not in (old, "x" * 31)
    assert is_known(house, house.token)
    assert house.token_file.lstat().st_mode == stat.S_IFREG | 0o600


@UNFIT
async def test_nor_does_the_next_sidecar_use_it(house: House, how: str) -> None:
    old = house.token
    make_unfit(house.token_file, how)
    again = House(house.folder)
    assert not is_known(again, old)
    assert is_known(again, again.token)


async def test_a_token_file_of_another_user_is_not_used(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    found = os.stat_result((stat.S_IFREG | 0o600, 1, 1, 1, owner + 1, 0, 43, 0, 0, 0))
    monkeypatch.setattr(os, "geteuid", lambda: owner + 2)
    with pytest.raises(UnfitToken, match=f"belongs to user {owner + 1}"):
        _token_file._check(found)
    for may in (0, owner + 1):  # root may do as it likes, and what is root's is nobody else's
        monkeypatch.setattr(os, "geteuid", lambda may=may: may)
        _token_file._check(found)


async def test_a_folder_in_place_of_the_token_file_locks_nobody_out(house: House) -> None:
    token = house.token
    house.token_file.unlink()
    house.token_file.mkdir()
    assert is_known(house, token)
    with pytest.raises(Unavailable, match="see what is there"):
        House(house.folder)


@pytest.mark.parametrize("slip", ["gone", "empty"])
async def test_a_slip_with_the_file_locks_nobody_out(house: House, slip: str) -> None:
    token = house.token
    if slip == "gone":
        house.token_file.unlink()
    else:
        house.token_file.write_text("\n")
    assert is_known(house, token)
    assert not is_known(house, "")
    assert House(house.folder).token  # the next sidecar makes a new one


@pytest.mark.parametrize(
    "name",
    ["", "operator", "local", "gateway", "mission-control", "A", "a b", "-a", "a:b", "x" * 64, "é"],
)
async def test_a_name_that_could_be_taken_for_another_is_refused(house: House, name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await house.create(name)
    assert refusal.value.details["field"] == "name"


async def test_a_name_has_one_token(house: House) -> None:
    await house.create("ci")
    with pytest.raises(Conflict, match="rotate it"):
        await house.create("ci")
    for change in (house.rotate, house.principals.revoke):
        with pytest.raises(NotFound, match="nobody called 'nobody'"):
            await change("nobody")
    with pytest.raises(Invalid, match="rotate it"):
        await house.principals.revoke("operator")


async def test_there_are_not_more_principals_than_a_token_is_compared_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.actors._principals.MAX_PRINCIPALS", 2)
    await house.create("a")
    await house.create("b")
    with pytest.raises(Limited, match="revoke one first"):
        await house.create("c")


async def test_side_by_side_nothing_is_lost(house: House) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(house.create, f"n{number}")
    known = {each.name for each in House(house.folder).principals.all()}
    assert known == {f"n{number}" for number in range(10)}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"principals": [{}]}', '{"principals": 5}'])
async def test_a_damaged_file_is_not_taken_for_an_empty_one(house: House, text: str) -> None:
    house.file.write_text(text)
    with pytest.raises(Unavailable, match="mend it, or remove it"):
        House(house.folder)


async def test_who_guesses_is_told_to_wait_and_keeps_nobody_out(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    house = House(tmp_path, Limits(wrong_tokens_per_min=3))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            house.door.recognise("guess", LOOPBACK)
    with pytest.raises(Limited, match="too many wrong tokens") as refusal:
        house.door.recognise("guess", LOOPBACK)
    assert 19_000 < (refusal.value.retry_after_ms or 0) <= 20_000
    assert house.door.recognise(house.token, LOOPBACK).caller.name == "operator"
    assert house.door.recognise(house.agents.issue(SHURI), LOOPBACK).caller.name == "shuri:p"
    with pytest.raises(Limited):
        house.door.recognise("guess", LOOPBACK)
    mock_clock.jump(20.001)
    with pytest.raises(Unauthenticated):
        house.door.recognise("guess", LOOPBACK)


async def test_whoever_guesses_keeps_nobody_out_of_the_unix_socket(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    house = House(tmp_path, Limits(wrong_tokens_per_min=3))
    for peer in (LOOPBACK, OWN_USER):
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                house.door.recognise("guess", peer)
        with pytest.raises(Limited):
            house.door.recognise("guess", peer)
    assert house.door.recognise(house.token, OWN_USER).caller.name == "operator"


async def test_to_show_no_token_is_no_guess(tmp_path: Path, mock_clock: MockClock) -> None:
    house = House(tmp_path, Limits(wrong_tokens_per_min=1))
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            house.door.admit([], LOOPBACK)
    assert house.door.recognise(house.token, LOOPBACK).caller.name == "operator"


async def test_agents_have_a_smaller_allowance_of_calls(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    house = House(tmp_path, Limits(calls_per_s=5, agent_calls_per_s=2))
    for token, burst in ((house.token, 10), (house.agents.issue(SHURI), 4)):
        # Connections of one caller share it.
        callers = [house.door.recognise(token, peer).caller for peer in (LOOPBACK, OWN_USER)]
        for number in range(burst):
            callers[number % 2].spend()
        for caller in callers:
            with pytest.raises(Limited):
                caller.spend()
