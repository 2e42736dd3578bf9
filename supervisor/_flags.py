"""How a supervisor behaves towards all of its children."""

from __future__ import annotations

import attrs

from ._errors import BadFlags
from ._policy import AutoShutdown, Intensity, Strategy


@attrs.frozen
class Flags:
    """A supervisor's flags.

    Raises:
        BadFlags: one is of another type than it should be.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = attrs.field(factory=Intensity)
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER

    def __attrs_post_init__(self) -> None:
        types = {"strategy": Strategy, "intensity": Intensity, "auto_shutdown": AutoShutdown}
        for name, kind in types.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise BadFlags(name, value, f"not a {kind.__name__}")
