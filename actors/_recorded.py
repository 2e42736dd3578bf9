"""What agents said, as far as the records of their pulses tell: for hosts that keep nothing."""

from __future__ import annotations

from ..storage import Invalid, NotFound, Pulse, Reads, Session
from ._runner import Entry, Page


def recorded(reads: Reads, session: Session, *, cursor: str | None, limit: int) -> Page:
    """Return a page of what was written in the pulses of *session*, one entry a pulse.

    Raises:
        Invalid: the cursor is none of this session's.
    """
    before = None if cursor is None else _pulse(reads, session, cursor)
    found = reads.ended_pulses(session.id, session.created_at, before, limit + 1)
    page = found[-limit:]
    entries = tuple(_entry(pulse) for pulse in page)
    return Page(entries, page[0].id if len(found) > limit else None)


def _pulse(reads: Reads, session: Session, cursor: str) -> Pulse:
    try:
        pulse = reads.pulse(cursor)
    except NotFound:
        pulse = None
    if pulse is None or pulse.agent_id != session.id:
        raise Invalid("cursor must be the `earlier` of another page", field="cursor")
    return pulse


def _entry(pulse: Pulse) -> Entry:
    said = pulse.output or " ".join(filter(None, (pulse.outcome, pulse.detail)))
    return Entry("assistant", said, pulse.ended_at, run_id=pulse.id)
