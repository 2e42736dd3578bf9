"""How busy a world is, and how unlucky: the first thing that its seed decides."""

from __future__ import annotations

import attrs

from .seeds import stream

MINUTE_S = 60.0


@attrs.frozen
class Climate:
    """Seconds between two of each, on average."""

    deeds_s: float
    """Of people."""
    faults_s: float

    @classmethod
    def of(cls, seed: int) -> Climate:
        """Return the climate of a world."""
        chance = stream(seed, "climate")
        return cls(
            deeds_s=chance.choice([60, 90, 180]) * MINUTE_S,
            faults_s=chance.choice([20, 60, 600]) * MINUTE_S,
        )
