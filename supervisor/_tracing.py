"""Watching what one child handles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from ._ref import Ref

LOG = logging.getLogger("mission_control.supervisor")


@attrs.frozen
class Traced:
    """A message that is about to be handled."""

    ref: Ref[Any]
    incarnation: int
    message: object
    asked: bool
    """Somebody waits for the answer."""


Tracer: TypeAlias = "Callable[[Traced], None]"


def trace(tracer: Tracer, traced: Traced) -> None:
    """Call *tracer*, who may fail without harm to what it watches."""
    try:
        tracer(traced)
    except Exception:
        LOG.exception("a trace callback raised")
