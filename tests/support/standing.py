"""Where an agent stands, for tests of what it is told."""

from __future__ import annotations

from mission_control.actors._status_text import Layers, Standing
from mission_control.storage import (
    Agent,
    AgentStatus,
    Message,
    Pulse,
    PulseKind,
    PulseState,
    Task,
    TaskEvent,
    TaskStatus,
)

AGENT = Agent(
    id="shuri:p",
    project_id="p",
    soul="shuri",
    status=AgentStatus.WORKING,
    slot=0,
    interval_s=60.0,
    timeout_s=300.0,
    max_retries=3,
    command=(),
    gateway_agent="",
    current_task_id="t1",
    last_pulse_at=0,
    created_at=0,
    updated_at=0,
)
TASK = Task(
    id="t1",
    project_id="p",
    title="Write {it}",
    description="All of it.",
    status=TaskStatus.IN_PROGRESS,
    assignee="shuri",
    priority=3,
    labels=(),
    side_effects=False,
    due_at=None,
    attempts=3,
    failures=2,
    not_before=None,
    created_by="operator",
    created_at=0,
    updated_at=0,
)
PULSE = Pulse(
    id="p3",
    project_id="p",
    agent_id="shuri:p",
    task_id="t1",
    kind=PulseKind.WORK,
    attempt=3,
    state=PulseState.DISPATCHING,
    runner="process",
    outcome=None,
    detail="",
    output="",
    process_group=None,
    process_started=None,
    run_id=None,
    boot_id=None,
    tokens=None,
    cost_usd=None,
    started_at=0,
    ended_at=None,
)
FULL = Standing(
    agent=AGENT,
    pulse=PULSE,
    task=TASK,
    path="/srv/p",
    layers=Layers("You are Shuri.", "No tabs.", "half done", "Read first."),
    notes=(Message("n1", "p", "shuri:p", "maria", "Hurry.", None, 0),),
    events=(TaskEvent("e1", "p", "t1", None, None, "created", "created: Write {it}", "", 0),),
)
