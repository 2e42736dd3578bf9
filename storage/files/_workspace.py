"""A project's folder with what may be put into it."""

from __future__ import annotations

import attrs

from ._limits import Limits
from ._quota import Quota
from ._root import ProjectRoot


@attrs.frozen
class Workspace:
    """What every operation needs; the folder is open while it is used."""

    root: ProjectRoot
    quota: Quota
    limits: Limits = attrs.field(factory=Limits)
