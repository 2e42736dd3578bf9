"""Random trees of supervisors, and random trouble for them, as records of `otp_records`."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import attrs
from hypothesis import strategies as st

from otp_records import Plan, Rules

End: TypeAlias = Literal["crash", "finish", "shutdown", "kill"]
Verb: TypeAlias = Literal["start", "again", "terminate", "restart", "delete"]

ENDS = get_args(End)
CALLS = get_args(Verb)


@attrs.frozen
class Burst:
    """Ends of children of one supervisor, and calls to it, all at one instant.

    The numbers choose among those that there are then, and are taken modulo their count.
    """

    supervisor: int
    acts: tuple[tuple[End | Verb, int], ...]
    newcomer: Plan


@attrs.frozen
class Wait:
    """Let time pass."""

    seconds: float


@attrs.frozen
class Spoil:
    """Let the next *times* starts of a child fail; 0 has it ignore the next one."""

    child: int
    times: int


Step: TypeAlias = Burst | Wait | Spoil

number = st.integers(0, 11)


@st.composite
def plans(draw: Any, parent: Rules, *, depth: int) -> Plan:
    """Draw a child of a supervisor with the flags *parent*; ids come later."""
    restart = draw(st.sampled_from(["permanent", "permanent", "transient", "temporary"]))
    minds = parent.auto_shutdown != "never" and restart != "permanent"
    return Plan(
        id="",
        restart=restart,
        significant=minds and draw(st.booleans()),
        brutal=draw(st.sampled_from([False, False, False, True])),
        bare=draw(st.booleans()),
        shared=draw(st.booleans()),
        delay=draw(st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5])),
        rules=draw(families(depth=depth - 1)) if depth and draw(st.booleans()) else None,
    )


@st.composite
def families(draw: Any, *, depth: int) -> Rules:
    """Draw a supervisor's flags and first children."""
    flags = Rules(
        strategy=draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
        intensity=draw(st.sampled_from([2, 3, 1, 0, 5])),
        period=draw(st.sampled_from([5.0, 1.0])),
        auto_shutdown=draw(
            st.sampled_from(["never", "never", "any_significant", "all_significant"])
        ),
    )
    if draw(st.sampled_from([False, False, False, True])):
        template = draw(plans(flags, depth=0))
        return attrs.evolve(flags, strategy="one_for_one", template=template)
    children = draw(st.lists(plans(flags, depth=depth), max_size=4))
    return attrs.evolve(flags, plans=tuple(children))


acts = st.tuples(st.sampled_from(ENDS + CALLS), number)
bursts = st.builds(
    Burst,
    supervisor=st.sampled_from([0, 0, 1, 2, 3]),
    acts=st.lists(acts, min_size=1, max_size=3).map(tuple),
    newcomer=plans(Rules(), depth=1),
)
spoils = st.builds(Spoil, number, st.sampled_from([1, 2, 9, 0]))
steps = st.one_of(
    bursts,
    bursts,
    st.builds(Wait, st.sampled_from([0.5, 1.0, 2.0, 6.0])),
    spoils,
)
trees = families(depth=2).map(lambda rules: named(Plan("", "temporary", rules=rules), "sup"))


def named(plan: Plan, name: str) -> Plan:
    """Give *plan* and those below it their ids."""
    if plan.rules is None:
        return attrs.evolve(plan, id=name)
    below = tuple(named(child, f"{name}.{n}") for n, child in enumerate(plan.rules.plans))
    return attrs.evolve(plan, id=name, rules=attrs.evolve(plan.rules, plans=below))


def workers_of(plan: Plan) -> list[str]:
    """Return the ids of all first workers below *plan*."""
    if plan.rules is None:
        return [plan.id]
    return [worker for child in plan.rules.plans for worker in workers_of(child)]
