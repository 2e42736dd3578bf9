"""Who is let in, as whom, and what they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.actors import AgentIdentity, AgentTokens
from mission_control.gateway_bridge._callers import (
    OPERATOR,
    Access,
    Caller,
    Doorkeeper,
    of_gateway_scopes,
    read_or_make_token,
)
from mission_control.storage import Forbidden, Unauthenticated

SHURI = AgentIdentity("shuri:p", "p", "pulse-1", "t1")


def test_operators_come_in_with_their_token() -> None:
    door = Doorkeeper.of("secret", AgentTokens())
    for header in ("Bearer secret", "bearer secret", "Bearer  secret "):
        assert door.admit(header) is OPERATOR


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Basic secret",
        "secret",
        "Bearer wrong",
        "Bearer \t",
    ],
)
@pytest.mark.parametrize("token", ["secret", ""])
def test_nobody_else_does(header: str | None, token: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        Doorkeeper.of(token, AgentTokens()).admit(header)
    assert "secret" not in refusal.value.message


def test_an_agent_comes_in_as_itself_while_its_pulse_runs() -> None:
    tokens = AgentTokens()
    door = Doorkeeper.of("secret", tokens)
    token = tokens.issue(SHURI)
    caller = door.admit(f"Bearer {token}")
    assert (caller.name, caller.access, caller.identity) == ("shuri:p", Access.WRITE, SHURI)
    assert tokens.of_pulse("pulse-1") == tokens.of_agent("shuri:p") == SHURI
    tokens.revoke(token)
    tokens.revoke(token)
    with pytest.raises(Unauthenticated, match="ends with its pulse"):
        door.admit(f"Bearer {token}")
    assert tokens.of_agent("shuri:p") is None


def test_each_access_includes_those_below() -> None:
    reader = Caller("maria", Access.READ)
    reader.require(Access.READ)
    with pytest.raises(Forbidden, match=r"operator\.write.*maria has operator\.read"):
        reader.require(Access.WRITE)
    for access in Access:
        OPERATOR.require(access)


def test_an_agent_stays_in_its_project() -> None:
    agent = Caller("shuri:p", Access.WRITE, SHURI)
    agent.require_project("p")
    with pytest.raises(Forbidden, match="works in p, not in q"):
        agent.require_project("q")
    OPERATOR.require_project("q")


@pytest.mark.parametrize(
    ("scopes", "access"),
    [
        (["operator.read"], Access.READ),
        (["operator.read", "operator.write"], Access.WRITE),
        (["operator.admin", "other"], Access.ADMIN),
    ],
)
def test_the_gateways_highest_scope_counts(scopes: list[str], access: Access) -> None:
    assert of_gateway_scopes("maria", scopes) == Caller("maria", access)


@pytest.mark.parametrize("scopes", [[], ["operator"], ["OPERATOR.READ"], ["node.read"]])
def test_a_client_without_a_scope_is_refused(scopes: list[str]) -> None:
    with pytest.raises(Forbidden):
        of_gateway_scopes("maria", scopes)


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "mission-control.token"
    token = read_or_make_token(path)
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_token(path) == token


def test_an_empty_token_file_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "mission-control.token"
    path.write_text("\n")
    token = read_or_make_token(path)
    assert token
    assert read_or_make_token(path) == token
