"""The fake Gateway does what the real one does: both keep one contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import pytest
import trio
from e2e import scripted_model  # type: ignore[import-not-found]  # to mypy it is in tests
from e2e.gateway_stack import (  # type: ignore[import-not-found]
    TOKEN as REAL_TOKEN,
)
from e2e.gateway_stack import (
    GatewayStack,
)

from mission_control.testing import CallTool, Fail, FakeGateway, Hang, Say, Step, Turn
from openclaw_paths import find_openclaw

from .contract import SCENARIOS, Scenario
from .contract_talk import PATIENCE_S

PARAMETERS = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)


@attrs.define
class Fake:
    """The fake as a scenario sees it."""

    folder: Path
    gateway: FakeGateway = attrs.field(init=False)
    scripts: dict[str, tuple[Step, ...]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.gateway = FakeGateway(self._play, resume_after_s=0.05)

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def token(self) -> str:
        return self.gateway.token

    def script(self, marker: str, *steps: Step) -> None:
        self.scripts[marker] = steps

    async def asked(self, marker: str, count: int = 1) -> None:
        with trio.fail_after(PATIENCE_S):
            while sum(marker in turn.message for turn in self.gateway.turns) < count:
                await self.gateway.played(len(self.gateway.turns) + 1)

    async def crash(self) -> None:
        await self.gateway.kill()
        await self.gateway.start()

    def _play(self, turn: Turn) -> Iterable[Step]:
        return next(steps for marker, steps in self.scripts.items() if marker in turn.message)


@attrs.define
class Real:
    """The real Gateway as a scenario sees it."""

    folder: Path
    stack: GatewayStack
    model: scripted_model.ScriptedModel
    scripts: dict[str, tuple[Step, ...]] = attrs.field(factory=dict)

    @property
    def url(self) -> str:
        return str(self.stack.url)

    @property
    def token(self) -> str:
        return str(REAL_TOKEN)

    def script(self, marker: str, *steps: Step) -> None:
        self.scripts[marker] = steps

    async def asked(self, marker: str, count: int = 1) -> None:
        await trio.to_thread.run_sync(
            self.model.wait_for, marker, count, PATIENCE_S, abandon_on_cancel=True
        )

    async def crash(self) -> None:
        await trio.to_thread.run_sync(self.stack.kill)
        await trio.to_thread.run_sync(self.stack.start)

    def play(self, request: scripted_model.ModelRequest) -> scripted_model.Step:
        """Take the step whose turn it is; the conversation shows which."""
        for marker, steps in self.scripts.items():
            if request.says(marker):
                return _translated(steps[min(request.replies_since(marker), len(steps) - 1)])
        return scripted_model.Say("nobody asked me")


def _translated(step: Step) -> scripted_model.Step:
    match step:
        case Say(text=text):
            return scripted_model.Say(text)
        case CallTool(name=name, args=args, text=text):
            return scripted_model.CallTool(name, dict(args), text)
        case Hang(text=text):
            return scripted_model.Stall(text)
        case Fail():
            return scripted_model.Fail(400)  # it would try again for minutes after a 500
        case _:
            raise NotImplementedError(step)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    root = tmp_path_factory.mktemp("gateway")
    (root / "project").mkdir()
    with scripted_model.ScriptedModel(lambda _: scripted_model.Say("not yet")) as model:
        tools = ("exec", "process", "read", "write")
        with GatewayStack(find_openclaw(), root / "stack", model.url, tools=tools) as stack:
            real = Real(root / "project", stack, model)
            model.script = real.play
            yield real


@PARAMETERS
async def test_the_fake_keeps_the_contract(scenario: Scenario, tmp_path: Path) -> None:
    fake = Fake(tmp_path)
    async with fake.gateway.serving():
        await scenario(fake)


@pytest.mark.openclaw
@pytest.mark.slow
@pytest.mark.timeout(500)
@PARAMETERS
async def test_the_gateway_keeps_the_contract(scenario: Scenario, real: Real) -> None:
    await scenario(real)
