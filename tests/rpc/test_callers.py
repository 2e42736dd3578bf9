"""What callers may do."""

from __future__ import annotations

import pytest

from mission_control.actors import AgentIdentity
from mission_control.gateway_bridge import OPERATOR, Access, Caller
from mission_control.gateway_bridge._callers import of_gateway_scopes
from mission_control.gateway_bridge._limits import Allowance
from mission_control.storage import Forbidden, Limited

SHURI = AgentIdentity("shuri:p", "p", "pulse-1", "t1")


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


async def test_who_calls_too_often_is_told_when_to_come_back() -> None:
    busy = Caller("maria", Access.READ, allowance=Allowance(per_s=0.001, burst=2))
    busy.spend()
    busy.spend()
    with pytest.raises(Limited, match=r"maria makes more than 0\.001 calls a second") as refusal:
        busy.spend()
    assert 900_000 < (refusal.value.retry_after_ms or 0) <= 1_000_000
    for _ in range(10):
        OPERATOR.spend()  # the embedding program has no limit
