"""OTP's rules of supervision, without tasks and without a clock.

Written from the rules (`supervisor`'s manual and source), not from our code, of which nothing
is imported.  A process here is a record; a supervisor has an inbox, as in OTP, into which ends
of children, retries and calls come, and handles one message after the other.  Where the rules
leave open what comes first, the caller tries every order, each in a copy of the world.

Ours and not OTP's, on purpose: `delay` (a back-off) puts off a restart, and an attempt counts
towards the intensity when it is made; the window is exact, not in whole seconds; incarnations
number the attempts to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from otp_records import Act, Call, Child, Ended, Noted, Plan, Process, Retry, Rules

Outcome: TypeAlias = Literal["ok", "ignored", "failed"]


class World:
    """A tree, and what can be seen of it since :meth:`forget`."""

    def __init__(self, plan: Plan) -> None:
        self.now = 0.0
        self.top = Child(plan)
        self.failing: dict[str, int] = {}
        """How many of the next starts fail, by id."""
        self.ignoring: set[str] = set()
        self.tangled = False
        """Several supervisors had to act at one instant: no order is the right one."""
        self._timers: list[tuple[float, int, Process, Retry]] = []
        self._announced = 0
        self.forget()

    def forget(self) -> None:
        """Begin new notes."""
        self.journal: list[Noted] = []
        self.reports: list[str] = []
        self.answers: dict[int, str] = {}

    # What happens from outside.

    def open(self) -> bool:
        """Start the tree; False if it does not."""
        return self._try(self.top, None) == "ok"

    def close(self) -> None:
        """Have whoever is above stop the tree."""
        self._stop(self.top)

    def spoil(self, child_id: str, times: int) -> None:
        """Let the next starts of a worker fail, or have it ignore the next one: with 0."""
        self.failing[child_id] = times
        self.ignoring -= {child_id}
        self.ignoring |= set() if times else {child_id}

    def happen(self, supervisor: str, acts: Sequence[Act], turns: Sequence[bool]) -> None:
        """Let children of one supervisor end, and calls reach it, in this order.

        *turns* tells after which acts the supervisor handles one message already.
        """
        target = next(p for p in self.supervisors() if p.child.plan.id == supervisor)
        for act, turn in zip(acts, turns, strict=True):
            match act:
                case Call() if target.reason is not None:
                    self.answers[act.number] = "ActorDead"
                case Call():
                    target.inbox.append(act)
                case child_id, how:
                    child = target.children.get(child_id)
                    if child and child.process and child.process.reason is None:
                        self._end(child.process, how)
            if turn and target.reason is None and target.inbox:
                self._handle_next(target)
        self._run()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._timers and min(self._timers)[0] <= until:
            self.now = min(self._timers)[0]
            due = sorted(timer for timer in self._timers if timer[0] == self.now)
            self._timers = [timer for timer in self._timers if timer[0] > self.now]
            valid = [(p, r) for _, _, p, r in due if p.reason is None and self._counts(r)]
            self.tangled |= len({id(process) for process, _ in valid}) > 1
            for process, retry in valid:
                process.inbox.append(retry)
            self._run()
        self.now = until

    def supervisors(self, top: Child | None = None) -> Iterator[Process]:
        """Yield those that live, from above."""
        process = (top or self.top).process
        if process is not None and process.reason is None and process.child.plan.rules:
            yield process
            for child in list(process.children.values()):
                yield from self.supervisors(child)

    def secrets(self) -> str:
        """Describe what cannot be seen: worlds that look alike may differ in it."""
        stamps = [(p.child.plan.id, p.stamps) for p in self.supervisors()]
        timers = [(t[0], t[3].child.plan.id) for t in sorted(self._timers) if self._counts(t[3])]
        return repr((stamps, timers, self.failing, self.ignoring))

    # Processes.

    def _start(self, child: Child, parent: Process | None) -> Outcome:
        child.ticket += 1
        child.incarnation += 1
        process = Process(child, parent)
        outcome = self._bring_up(process)
        child.process = process if outcome == "ok" else None
        child.state = "running" if outcome == "ok" else "stopped"
        return outcome

    def _bring_up(self, process: Process) -> Outcome:
        plan = process.child.plan
        if plan.rules is not None:
            return self._bring_up_family(process, plan.rules)
        if self.failing.get(plan.id):
            self.failing[plan.id] -= 1
            self.journal.append(f"fail {plan.id}")
            return "failed"
        if plan.id in self.ignoring and not plan.bare:
            self.ignoring.discard(plan.id)
            self.journal.append(f"ignore {plan.id}")
            return "ignored"
        self.journal.append(f"start {plan.id}")
        return "ok"

    def _bring_up_family(self, process: Process, rules: Rules) -> Outcome:
        for plan in rules.plans:
            child = process.children[plan.id] = Child(plan)
            if self._try(child, process) == "failed":
                self._stop_all(process)
                return "failed"
        return "ok"

    def _try(self, child: Child, sup: Process | None) -> Outcome:
        """Start a child, as its supervisor does."""
        outcome = self._start(child, sup)
        if outcome == "failed":
            self.reports.append(f"{child.plan.id} did not start")
        elif outcome == "ignored" and sup is not None:
            self._forget_if_so(sup, child)
        return outcome

    def _stop(self, child: Child) -> None:
        """As its supervisor has it: awaited, and without a restart."""
        child.ticket += 1
        child.state = "stopped"
        process, child.process = child.process, None
        if process is None:
            return
        if process.reason is None:
            self._end(process, "kill" if child.plan.brutal else "shutdown", tell=False)
        good = {"shutdown"}
        good |= {"kill"} if child.plan.brutal else set()
        good |= {"finish"} if child.plan.restart != "permanent" else set()
        if process.reason not in good:
            self.reports.append(f"{child.plan.id} stopped badly: {process.reason}")

    def _stop_all(self, process: Process) -> None:
        if process.rules.template is None:
            for child in reversed(process.children.values()):
                self._stop(child)
            return
        before, self.journal = self.journal, []
        for child in process.children.values():
            self._stop(child)
        self.journal = [*before, tuple(sorted(str(line) for line in self.journal))]

    def _end(self, process: Process, how: str, *, tell: bool = True) -> None:
        """End a process: killed ones run no stop hook, and nothing below them does."""
        process.reason = how
        if process.child.plan.rules is None:
            if how != "kill" and not process.child.plan.bare:
                self.journal.append(f"stop {process.child.plan.id}")
        elif how == "kill":
            for child in process.children.values():
                if child.process is not None and child.process.reason is None:
                    self._end(child.process, "kill", tell=False)
        else:
            self._stop_all(process)
        for message in process.inbox:
            if isinstance(message, Call):
                self.answers[message.number] = "ActorDead"
        if tell and process.parent is not None:
            process.parent.inbox.append(Ended(process))

    # Supervisors.

    def _run(self) -> None:
        while (busy := next((p for p in self.supervisors() if p.inbox), None)) is not None:
            self._handle_next(busy)

    def _handle_next(self, sup: Process) -> None:
        match sup.inbox.popleft():
            case Ended(process) if process.child.process is process:
                self._judge(sup, process)
            case Retry() as retry if self._counts(retry):
                self._restart(sup, retry.child)
            case Call() as call:
                self.answers[call.number] = self._answer(sup, call)
            case _:
                pass  # it was dealt with when the child was stopped
        if sup.leaving:
            self._end(sup, "shutdown")

    def _counts(self, retry: Retry) -> bool:
        return retry.child.state == "restarting" and retry.child.ticket == retry.ticket

    def _judge(self, sup: Process, process: Process) -> None:
        child, plan, badly = process.child, process.child.plan, process.reason in {"crash", "kill"}
        child.process = None
        again = plan.restart == "permanent" or (plan.restart == "transient" and badly)
        if again or badly:
            self.reports.append(f"{plan.id} ended: {process.reason}")
        if again:
            child.state = "restarting"
            if plan.delay:
                self._announce(sup, child)
            else:
                self._restart(sup, child)
            return
        child.state = "stopped"
        self._forget_if_so(sup, child)
        missed = any(c.plan.significant and c.state != "stopped" for c in sup.children.values())
        match sup.rules.auto_shutdown:
            case "any_significant":
                sup.leaving = plan.significant
            case "all_significant":
                sup.leaving = plan.significant and not missed
            case "never":
                pass

    def _restart(self, sup: Process, child: Child) -> None:
        rules = sup.rules
        sup.stamps = [*(s for s in sup.stamps if s >= self.now - rules.period), self.now]
        if len(sup.stamps) > rules.intensity:
            self.reports.append(f"{sup.child.plan.id} gave up")
            sup.leaving = True
            return
        group = list(sup.children.values())
        match rules.strategy:
            case "one_for_one":
                group = [child]
            case "rest_for_one":
                group = group[group.index(child) :]
            case "one_for_all":
                pass
        for other in reversed(group):
            if other is not child:
                self._stop(other)
                if other.plan.restart == "temporary":
                    del sup.children[other.plan.id]
        for member in group:
            if member.plan.id in sup.children and self._try(member, sup) == "failed":
                self._announce(sup, member)
                return

    def _forget_if_so(self, sup: Process, child: Child) -> None:
        """Forget whom it forgets that is stopped: temporary children, and any of a template."""
        if child.plan.restart == "temporary" or sup.rules.template is not None:
            del sup.children[child.plan.id]

    def _announce(self, sup: Process, child: Child) -> None:
        child.state = "restarting"
        child.ticket += 1
        retry = Retry(child, child.ticket)
        if child.plan.delay:
            self._announced += 1
            self._timers.append((self.now + child.plan.delay, self._announced, sup, retry))
        else:
            sup.inbox.append(retry)

    # Calls.

    def _answer(self, sup: Process, call: Call) -> str:
        child = sup.children.get(call.plan.id)
        if call.verb == "start":
            return self._add(sup, call.plan) if child is None else _known(child)
        if sup.rules.template is not None and call.verb != "terminate":
            return "NotSupported"
        if child is None:
            return "ChildNotFound"
        if call.verb == "terminate":
            self._stop(child)
            self._forget_if_so(sup, child)
            return "ok"
        return self._revive_or_delete(sup, child, call)

    def _revive_or_delete(self, sup: Process, child: Child, call: Call) -> str:
        if child.state != "stopped":
            return "ChildRunning" if child.state == "running" else "ChildRestarting"
        if call.verb == "restart":
            return self._try(child, sup)
        del sup.children[call.plan.id]
        return "ok"

    def _add(self, sup: Process, plan: Plan) -> str:
        child = sup.children[plan.id] = Child(plan)
        outcome = self._try(child, sup)
        if outcome == "failed":
            del sup.children[plan.id]
        return outcome


def _known(child: Child) -> str:
    return "AlreadyStarted" if child.state == "running" else "AlreadyPresent"
