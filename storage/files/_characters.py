"""Which characters make a name mean, or look like, another name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

INVISIBLE: Final = frozenset(
    map(
        chr,
        (
            *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            *range(0xFE00, 0xFE10),  # variation selectors
            *range(0xFFF0, 0xFFFC),
            *(0xFFFE, 0xFFFF),
            *range(0x1BCA0, 0x1BCA4),
            *range(0x1D173, 0x1D17B),
            *range(0xE0000, 0xE1000),  # tags
        ),
    )
)
"""Default-ignorable code points, which HFS+ drops (CVE-2014-9390), and those that change the
direction of what follows.  The price: names with a zero-width joiner."""

SEPARATOR_LOOKALIKES: Final = frozenset("\u2044\u2215\u29f8\u29f9\u29f5\u2571\u2572")

NOT_PORTABLE: Final = frozenset('<>:"|?*\\')
"""What Windows forbids in a name; `:` also opens a stream of an NTFS file."""

# Cyrillic, Greek and Armenian letters that look like those of the names the service owns.
_LOOKALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("\u0430\u03b1", "a"),
        **dict.fromkeys("\u0432\u03b2", "b"),
        **dict.fromkeys("\u0441\u03f2", "c"),
        "\u0501": "d",
        **dict.fromkeys("\u0435\u03b5", "e"),
        "\u0261": "g",
        **dict.fromkeys("\u043d\u04bb", "h"),
        **dict.fromkeys("\u0456\u03b9\u0131", "i"),
        "\u0458": "j",
        **dict.fromkeys("\u043a\u03ba", "k"),
        "\u04cf": "l",
        **dict.fromkeys("\u043c\u03bc", "m"),
        **dict.fromkeys("\u0578\u03b7\u03bd", "n"),
        **dict.fromkeys("\u043e\u03bf", "o"),
        **dict.fromkeys("\u0440\u03c1", "p"),
        "\u0433": "r",
        "\u0455": "s",
        **dict.fromkeys("\u0442\u03c4", "t"),
        **dict.fromkeys("\u0443\u03c5", "y"),
    }
)
_INVISIBLE_TABLE: Final = dict.fromkeys(map(ord, INVISIBLE))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def fold(name: str) -> str:
    """Return the key that two names share if they may be one file on some file system.

    Case, Unicode's compatible forms, invisible characters, and dots and spaces at the end make
    no difference.  It errs towards "the same".
    """
    if name.isascii():
        return name.lower().rstrip(" .")
    folded = _fold_once(name)
    # What is left out may have stood between two characters that now compose.
    while (again := _fold_once(folded)) != folded:
        folded = again
    return folded


def _fold_once(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name.translate(_INVISIBLE_TABLE)).casefold()
    return unicodedata.normalize("NFKC", plain).translate(_INVISIBLE_TABLE).rstrip(" .")


def skeleton(name: str) -> str:
    """Return *name* as a person may read it: folded, without a stream, look-alikes as ASCII."""
    return fold(name).split(":", 1)[0].translate(_LOOKALIKES)


def has_control(text: str) -> bool:
    """Whether *text* holds a C0 or C1 control character, or NUL."""
    return _CONTROL.search(text) is not None
