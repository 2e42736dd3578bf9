"""Shields that the runtime can lower."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from ._belongings import Belongings


@final
class Cleanup:
    """What `ctx.cleanup` returns; a class, as scopes and async generators do not mix."""

    __slots__ = ("_owner", "_scope", "_seconds")

    def __init__(self, owner: Belongings, seconds: float) -> None:
        self._owner = owner
        self._seconds = seconds
        self._scope: trio.CancelScope

    async def __aenter__(self) -> trio.CancelScope:
        deadline = trio.current_time() + self._seconds
        self._scope = trio.CancelScope(deadline=deadline, shield=True)
        self._owner.raise_shield(self._scope)
        return self._scope.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._owner.drop_shield(self._scope)
        return bool(self._scope.__exit__(kind, error, trace))
