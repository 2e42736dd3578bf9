"""A place in the feed, as clients carry it."""

from __future__ import annotations

import re

import attrs

from .._errors import Invalid

_FORM = re.compile(r"([0-9a-f]{1,64})\.(0|[1-9][0-9]{0,17})")


@attrs.frozen
class Cursor:
    """Change number *seq* of the history named *epoch*; clients take its text as opaque.

    A number alone would be ambiguous: what is written after a restored backup takes the numbers
    of what was lost, so each restore begins another epoch.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, text: str, *, field: str) -> Cursor:
        """Read what `str` gave.

        Raises:
            Invalid: *text* is no cursor; names *field*.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise Invalid(
                f"{field} must be a cursor that an answer or event gave, not {text!r}", field=field
            )
        return cls(found[1], int(found[2]))
