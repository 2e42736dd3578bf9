"""What every actor of the mission holds: the ways to storage, time, files and runners."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from ..storage import (
    Clock,
    Command,
    Deadline,
    Fence,
    Limited,
    MissionError,
    Reads,
    Store,
    Unavailable,
)
from ..storage.files import Files
from ..supervisor import ActorCrashed, ActorDead, AskTimeout, MailboxFull, Ref, System
from ._commit import Commit, board_name
from ._home import Home
from ._principals import Principals
from ._runner import Runner
from ._templates import Templates
from ._tokens import AgentTokens

R = TypeVar("R")

ANSWER_WITHIN_S = 30.0


@attrs.frozen
class PulseSettings:
    """What agents get that ask for nothing else, and what holds for all.  Seconds."""

    interval_s: float = 60.0
    timeout_s: float = 300.0
    max_retries: int = 3
    deadman_s: float = 300.0
    max_expected_silence_s: float = 3600.0
    """How long an agent is believed that announces a silence."""
    retry_delay_s: float = 5.0
    """After the first failure; doubles with each further one."""
    max_idle_interval_s: float = 3600.0
    """How long an agent rests at most in whose attempts nothing moves; no longer than an hour."""
    tick_s: float = 30.0
    max_running: int = 8
    max_running_per_project: int = 4
    command: tuple[str, ...] = ()
    """What the process runner executes for an agent without a command of its own."""
    gateway_agent: str = "main"


@attrs.frozen
class Mission:
    """Shared by reference; holds no state of its own."""

    system: System
    home: Home
    store: Store
    reads: Reads
    files: Files
    clock: Clock
    runner: Runner
    tokens: AgentTokens
    principals: Principals
    settings: PulseSettings
    templates: Templates = attrs.field(
        init=False, default=attrs.Factory(lambda self: Templates(self.home), takes_self=True)
    )

    async def commit(
        self,
        project_id: str,
        command: Command[R],
        *,
        by: str,
        key: str | None = None,
        fence: Fence | None = None,
    ) -> R:
        """Commit *command* through the board of its project, which then has its mirrors right.

        Raises:
            MissionError: as :meth:`Store.write`.
        """
        if self.system.whereis(board_name(project_id)) is None:
            # No board runs: the project is archived, or not there, and the command says so.
            self.reads.project(project_id)
            return await self.store.write(command, by=by, key=key, fence=fence)
        result: R = await self.ask(board_name(project_id), Commit(command, by, key, fence))
        return result

    def was_answered(self, kind: type[Command[Any]], key: str | None) -> bool:
        """Whether a command of this *kind* was carried out under the idempotency key *key* before.

        Raises:
            Conflict: the key was used for another kind of command.
            Unavailable: the database cannot be read.
        """
        return key is not None and self.reads.answered(kind, key) is not None

    def find(self, name: str) -> Ref[Any]:
        """Return the actor that is registered as *name*.

        Raises:
            Unavailable: there is none now.
        """
        ref = self.system.whereis(name)
        if ref is None:
            raise Unavailable(f"{name} is starting", retry_after_ms=200)
        return ref

    async def ask(
        self, name: str, message: object, *, timeout_s: float | None = ANSWER_WITHIN_S
    ) -> Any:
        """Ask an actor by name, with the errors that callers of ours know.

        Raises:
            MissionError: what the actor answered, or Unavailable, Deadline or Limited.
        """
        ref = self.find(name)
        try:
            return await ref.ask(message, timeout=timeout_s)
        except MissionError:
            raise
        except AskTimeout as late:
            raise Deadline(f"{name} did not answer in time", retry_after_ms=1000) from late
        except MailboxFull as full:
            raise Limited(f"{name} has too much to do", retry_after_ms=200) from full
        except (ActorDead, ActorCrashed) as gone:
            raise Unavailable(f"{name} is restarting", retry_after_ms=200) from gone

    def tell(self, name: str, message: object) -> None:
        """Tell an actor by name, if it is there: for hints that the tick would make up for."""
        ref = self.system.whereis(name)
        if ref is not None:
            ref.tell(message)
