"""What an earlier life of ours left running, where nobody is there any more who could follow it."""

from __future__ import annotations

import trio

from ._processes import end_group, end_strays, start_time
from ._runner import Outcome, OutcomeKind, RunHandle
from ._scratch import remove_scratch

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL, where nothing else is set."""


async def end_command(pulse_id: str, handle: RunHandle, grace_s: float) -> None:
    """End the command of an earlier life, whoever fled its group too."""
    # Shielded: whoever gives up waiting for this must not find it running afterwards.
    with trio.CancelScope(shield=True):
        if handle.process_group is not None:
            started = await trio.to_thread.run_sync(start_time, handle.process_group)
            if started is not None and started == handle.process_started:
                await end_group(handle.process_group, grace_s)
        await end_strays(pulse_id)
        await trio.to_thread.run_sync(remove_scratch, pulse_id)


async def end_foreign(pulse_id: str, handle: RunHandle, runner: str) -> Outcome:
    """End what can be ended of an attempt that another *runner* dispatched than we have now.

    A command is ended.  A run in a host that we are not connected to may go on there.
    """
    if handle == RunHandle():
        return Outcome(OutcomeKind.NOT_STARTED, "the sidecar ended before the attempt began")
    await end_command(pulse_id, handle, GRACE_S)
    why = f"its runner, {runner}, is not configured now"
    if handle.process_group is None:
        return Outcome(OutcomeKind.LOST, f"{why}: its run may still go on there")
    return Outcome(OutcomeKind.LOST, f"{why}: its command was ended")
