"""Working notes (L3) are put away when their task was distilled, or the chance to was missed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import attrs

from ..storage import US, Change, Pulse, PulseKind, Reads, sync_folder
from ._home import Scope
from ._mirror_files import make_folder
from ._runner import OutcomeKind


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
    """Move the agent's notes to the archive, unless that was done on this occasion."""
    soul = occasion.agent_id.partition(":")[0]
    notes = scope.agent(soul) / "working.md"
    kept = scope.archive / f"{soul}-{occasion.id}.md"
    # Renamed, not read: a link that an agent left there is moved, never followed.
    if not os.path.lexists(notes) or not notes.lstat().st_size or os.path.lexists(kept):
        return
    make_folder(kept.parent, below=scope.path)
    notes.rename(kept)
    sync_folder(kept.parent)
    sync_folder(notes.parent)


def put_away_late(scope: Scope, occasion: Occasion) -> None:
    """Do so where a crash may have kept us from it; notes begun since then stay where they are."""
    notes = scope.agent(occasion.agent_id.partition(":")[0]) / "working.md"
    if os.path.lexists(notes) and notes.lstat().st_mtime * US <= occasion.at:
        put_away(scope, occasion)
