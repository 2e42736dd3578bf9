"""Working notes (L3) are put away when their task was distilled, or the chance to was missed."""

from __future__ import annotations

import filecmp
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import attrs

from ..storage import US, Change, Pulse, PulseKind, Reads, replace_file, sync_folder
from ._home import Scope
from ._mirror_files import make_folder
from ._runner import OutcomeKind

COPIED_BYTES = 1 << 23
"""Larger notes are moved instead; as the limit of what the file operations write."""
ROUNDS = 4


@attrs.frozen
class Occasion:
    """A reason to put an agent's notes away: what it learned, or the attempt that missed it."""

    agent_id: str
    id: str
    at: int


def occasions(reads: Reads, changes: Iterable[Change]) -> list[Occasion]:
    """Return the reasons that are among *changes*."""
    found = []
    for change in changes:
        if change.after is None or change.entity not in ("memories", "pulses"):
            continue
        row = json.loads(change.after)
        if change.entity == "pulses":
            missed = _missed(reads, reads.pulse(row["id"]))
            found += [missed] if missed else []
        elif row.get("archive_notes", True):
            found.append(Occasion(row["agent_id"], row["id"], row["at"]))
    return found


def last_occasion(reads: Reads, agent_id: str) -> Occasion | None:
    """Return the newest reason, unless the agent has begun another attempt since."""
    pulse, memory = reads.newest_pulse(agent_id), reads.newest_memory(agent_id)
    missed = _missed(reads, pulse) if pulse is not None else None
    if missed is not None or memory is None or not memory.archive_notes:
        return missed
    begun_since = pulse is not None and pulse.started_at > memory.at
    return None if begun_since else Occasion(agent_id, memory.id, memory.at)


def _missed(reads: Reads, pulse: Pulse) -> Occasion | None:
    """Return the reason that an attempt at distilling is which came to nothing."""
    if pulse.kind is not PulseKind.DISTILL or pulse.ended_at is None:
        return None
    if pulse.outcome == OutcomeKind.NOT_STARTED.value:
        return None
    memory = reads.newest_memory(pulse.agent_id)
    if memory is not None and memory.at >= pulse.started_at:
        return None  # it said itself what is to become of the notes
    return Occasion(pulse.agent_id, pulse.id, pulse.ended_at)


def put_away(scope: Scope, occasion: Occasion) -> None:
    """Put the agent's notes into the archive, unless that was done on this occasion."""
    soul = occasion.agent_id.partition(":")[0]
    notes = scope.agent(soul) / "working.md"
    kept = scope.archive / f"{soul}-{occasion.id}.md"
    if not os.path.lexists(notes) or not notes.lstat().st_size:
        return
    plain = _is_plain(notes)
    if os.path.lexists(kept) and not (plain and filecmp.cmp(notes, kept, shallow=False)):
        return  # or a crash came between the copy and the cut
    make_folder(kept.parent, below=scope.path)
    if plain:
        _cut(notes, kept)
        return
    # Renamed, not read: a link that an agent left there is moved, never followed.
    notes.rename(kept)
    sync_folder(kept.parent)
    sync_folder(notes.parent)


def _is_plain(notes: Path) -> bool:
    found = notes.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_size > COPIED_BYTES:
        return False
    return os.access(notes, os.R_OK | os.W_OK)


def _cut(notes: Path, kept: Path) -> None:
    """Copy, and leave an empty file: a confined command may write this one, and make no other."""
    with os.fdopen(os.open(notes, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as file:
        text = b""
        for _ in range(ROUNDS):
            more = file.read(COPIED_BYTES)
            if not more:
                break
            text += more  # which the command may have added meanwhile
            replace_file(kept, text, mode=0o644)
        file.truncate(0)
        os.fsync(file.fileno())


def put_away_late(scope: Scope, occasion: Occasion) -> None:
    """Do so where a crash may have kept us from it; notes begun since then stay where they are."""
    notes = scope.agent(occasion.agent_id.partition(":")[0]) / "working.md"
    if os.path.lexists(notes) and notes.lstat().st_mtime * US <= occasion.at:
        put_away(scope, occasion)
