"""A keeper: has the whole program in memory, and begins it again at once when it is killed.

To start Python and import the program takes a second; to fork a process that has done so, a
hundredth of one.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time

LEAST_S = 1.0
"""One that was killed sooner is begun again only after as long: it may be killed for ever."""


def keep() -> int:
    """Return in a child process, and in another each time that one is killed by SIGKILL.

    This process never comes back: it ends as its child does, and hands SIGTERM and SIGINT on.

    Returns:
        A descriptor that reads its end when this process has gone, however it went.
    """
    gc.collect()
    gc.freeze()  # or the first collection of each child would copy what all of them share
    while True:
        began = time.monotonic()
        life, ours = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            _pass_signals_to(None)
            return life
        os.close(life)
        _pass_signals_to(child)
        _, status = os.waitpid(child, 0)
        os.close(ours)
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            sys.exit(code if code >= 0 else 128 - code)
        _pass_signals_to(None)
        if time.monotonic() - began < LEAST_S:
            time.sleep(LEAST_S)


def _pass_signals_to(child: int | None) -> None:
    """Hand on what asks us to stop; None: do as usual."""
    for number in (signal.SIGTERM, signal.SIGINT):
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual if child is None else lambda n, _: os.kill(child, n))
