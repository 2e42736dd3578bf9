"""The demo's crew: what an agent's own command looks like, in plain Python without a library.

Started by the process runner for every pulse.  What it does with a task stands in the task's
labels, so that the demo can show each thing that may happen.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

WORK_S = 0.25
"""How long each step of the work takes, so that there is something to watch."""


def call(method: str, **params: object) -> Any:
    """Call the sidecar's API as the agent that we are."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(  # noqa: S310 - the address is the sidecar's
        os.environ["MISSION_CONTROL_URL"] + "/rpc",
        json.dumps(body).encode(),
        {"Authorization": "Bearer " + os.environ["MISSION_CONTROL_TOKEN"]},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        reply = json.load(answer)
    if "error" in reply:
        sys.exit(f"{method}: {reply['error']['message']}")
    return reply["result"]


def think(thought: str, action: str = "") -> None:
    """Log a thought, and take the time to have it."""
    call("mission.control.log_event", thought=thought, action=action)
    time.sleep(WORK_S)


def work(task: dict[str, Any], attempt: int, status: str) -> None:
    """Do what the task's label says."""
    title, labels = task["title"], task["labels"]
    think(f"I take up {title!r}, attempt {attempt}.", "read the status text")
    if "ask" in labels and "Answer to your question" not in status:
        question = f"Which of the two drafts for {title!r} shall I keep?"
        call("mission.control.request_help", issue=question)
        return
    if "crash" in labels and attempt == 1:
        think("Something is wrong here...", "crash")
        sys.exit("Traceback: the build tool fell over")
    if "hang" in labels and attempt == 1:
        think("This will not take long.", "hang, with a child that will not listen")
        hang()
    file = Path.cwd() / f"{title.lower().replace(' ', '_')}.txt"
    file.write_text(f"{title}\nby {os.environ['MISSION_CONTROL_AGENT_ID']}\n", "utf-8")
    think(f"Wrote {file.name}.", "move the task to done")
    call("mission.task.move", task_id=task["id"], new_status="done")


def hang() -> None:
    """Never end, deaf to SIGTERM, and leave a child that is as bad."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["/bin/sleep", "600"])
    while True:
        time.sleep(600)


def main() -> None:
    """Be one pulse."""
    status = sys.stdin.read()
    if os.environ["MISSION_CONTROL_PULSE_KIND"] == "distill":
        call("mission.control.distill_memory", summary="Small steps are done sooner.")
        return
    task_id = os.environ["MISSION_CONTROL_TASK_ID"]
    if not task_id:
        return
    task = call("mission.task.get", task_id=task_id)["task"]
    work(task, int(os.environ["MISSION_CONTROL_ATTEMPT"]), status)


if __name__ == "__main__":
    main()
