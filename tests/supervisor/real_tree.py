"""A tree of probes made of the records of `otp_model`, and looked at in its words."""

from __future__ import annotations

from typing import Any

import attrs

from mission_control.supervisor import (
    Actor,
    ActorError,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildTerminated,
    Crash,
    DynamicSupervisor,
    Event,
    Exit,
    GaveUp,
    Intensity,
    Killed,
    Normal,
    Ref,
    Restart,
    Shutdown,
    ShutdownError,
    ShutdownExit,
    StartError,
    Strategy,
    Supervisor,
    SupervisorRef,
)
from otp_records import Call, Plan

from .stage import Boom, CrashNow, Finish, Knobs, Stage


class Bare(Actor[Finish | CrashNow]):
    """A probe without hooks: what it does at its start, it does as it is made."""

    def __init__(self, stage: Stage, child_id: str) -> None:
        knobs = stage.knobs.setdefault(child_id, Knobs())
        if knobs.fail_next > 0:
            knobs.fail_next -= 1
            stage.journal.append(f"fail {child_id}")
            raise Boom(child_id)
        stage.journal.append(f"start {child_id}")

    def receive(self, msg: Finish | CrashNow) -> None:
        match msg:
            case Finish(reason):
                self.ctx.stop(reason)
            case CrashNow():
                raise Boom


def specify(stage: Stage, plan: Plan) -> ChildSpec:
    """Make the specification of a plan."""
    fields: dict[str, Any] = {
        "restart": Restart(plan.restart),
        "significant": plan.significant,
        "backoff": Backoff(plan.delay, plan.delay) if plan.delay else None,
        "lane": "shared" if plan.shared else "own",
    }
    if plan.brutal:
        fields["shutdown"] = Shutdown.BRUTAL_KILL
    if plan.rules is None:
        spec = stage.probe(plan.id, **fields)
        return attrs.evolve(spec, start=Bare) if plan.bare else spec
    rules = plan.rules
    fields["intensity"] = Intensity(rules.intensity, rules.period)
    fields["auto_shutdown"] = AutoShutdown(rules.auto_shutdown)
    if rules.template is not None:
        worker = specify(stage, attrs.evolve(rules.template, id="p"))
        template = attrs.evolve(worker, args=(stage,))
        return DynamicSupervisor.spec(plan.id, template=template, **fields)
    children = [specify(stage, child) for child in rules.plans]
    return Supervisor.spec(plan.id, children, strategy=Strategy(rules.strategy), **fields)


def kind_of(reason: Exit) -> str:
    """Name an exit as the model does."""
    match reason:
        case Normal():
            return "finish"
        case ShutdownExit():
            return "shutdown"
        case Killed():
            return "kill"
        case Crash():
            return "crash"


@attrs.define
class RealTree:
    """Supervisors that run, and what the model calls their children."""

    stage: Stage
    refs: dict[str, Ref[Any]] = attrs.field(factory=dict)
    answers: dict[int, str] = attrs.field(factory=dict)
    _labels: dict[Ref[Any], str] = attrs.field(factory=dict)
    """Of children made of a template: the argument they were started with."""

    async def look(self, sup: SupervisorRef) -> dict[str, Any]:
        """Return what each supervisor from *sup* down says of its children."""
        children = await sup.children()
        self.refs |= {self._label(child.ref): child.ref for child in children}
        seen = [(self._label(c.ref), c.state, c.incarnation) for c in children]
        found = {self._label(sup): (seen, attrs.astuple(await sup.count_children()))}
        for child in children:
            if isinstance(child.ref, SupervisorRef) and child.state == "running":
                found |= await self.look(child.ref)
        return found

    def take_reports(self) -> list[str]:
        """Return what events there were, sorted, and begin anew."""
        found = sorted(filter(None, map(self._report, self.stage.events)))
        self.stage.events.clear()
        return found

    def take_answers(self) -> dict[int, str]:
        """Return what came of the calls, and begin anew."""
        answers, self.answers = self.answers, {}
        return answers

    def end(self, child_id: str, how: str) -> None:
        """Have a child end."""
        ref = self.refs[child_id]
        match how:
            case "crash":
                ref.tell(CrashNow())
            case "finish":
                ref.tell(Finish())
            case "shutdown" if isinstance(ref, SupervisorRef):
                ref.stop()
            case "shutdown":
                ref.tell(Finish(ShutdownExit("done")))
            case _:
                ref.kill()

    async def call(self, supervisor: str, call: Call) -> None:
        """Make a call, and note what comes of it."""
        sup = self.refs[supervisor]
        assert isinstance(sup, SupervisorRef)
        try:
            self.answers[call.number] = await self._call(sup, call)
        except ActorError as error:
            name = type(error).__name__
            self.answers[call.number] = "failed" if name == "StartFailed" else name

    async def _call(self, sup: SupervisorRef, call: Call) -> str:
        child_id = call.plan.id
        ref: Ref[Any] | None
        match call.verb:
            case "start":
                ref = await self._start(sup, call.plan)
                return "ignored" if ref is None else "ok"
            case "restart":
                ref = await sup.restart_child(child_id)
                return "ignored" if ref is None else "ok"
            case "terminate":
                await sup.terminate_child(self.refs[child_id] if is_number(child_id) else child_id)
                return "ok"
            case "delete":
                await sup.delete_child(child_id)
                return "ok"

    async def _start(self, sup: SupervisorRef, plan: Plan) -> Ref[Any] | None:
        if not is_number(plan.id):
            ref: Ref[Any] | None = await sup.start_child(specify(self.stage, plan))
            return ref
        ref = await sup.start_child(plan.id)
        if ref is not None:
            self._labels[ref] = plan.id
        return ref

    def _label(self, ref: Ref[Any]) -> str:
        return self._labels.get(ref, ref.path.rpartition("/")[2])

    def _report(self, event: Event) -> str | None:
        match event:
            case ChildTerminated(_, offender, reason):
                return f"{self._label(offender.ref)} ended: {kind_of(reason)}"
            case StartError(_, offender, _):
                return f"{offender.id.partition('-')[0]} did not start"
            case ShutdownError(_, offender, reason):
                return f"{self._label(offender.ref)} stopped badly: {kind_of(reason)}"
            case GaveUp(supervisor):
                return f"{supervisor.rpartition('/')[2]} gave up"
            case _:
                return None


def is_number(child_id: str) -> bool:
    """Whether the child is one made of a template."""
    return child_id.startswith("#")
