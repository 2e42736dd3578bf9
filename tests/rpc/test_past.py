"""Boards as they were, asked for by somebody who may go away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import trio

from mission_control.gateway_bridge._past import PastPage
from mission_control.storage import Reads, TaskFilter
from mission_control.storage import commands as c
from mission_control.storage.history import Cursor, archive_log
from storage_bench import open_bench

FOR_EVER = 1 << 60


async def test_a_look_into_the_archive_is_given_up_with_who_asked_for_it(tmp_path: Path) -> None:
    with open_bench(tmp_path / "a.db") as bench:
        bench.project("P")
        bench.task("p", "old", None)
        asked = PastPage(TaskFilter("p"), Cursor("e1", bench.reads.last_seq()), None, 10)
        bench.task("p", "newer", None)
        segment = archive_log(
            bench.path, tmp_path, before_us=FOR_EVER, up_to=bench.reads.last_seq()
        )
        assert segment is not None
        bench.do(c.TrimLog(segment))
    answers = []
    with closing(Reads(tmp_path / "a.db")) as reads, trio.CancelScope() as scope:
        answers.append(await reads.at_leisure(lambda each: asked.read(each, tmp_path)))

        def cancelled(each: Reads) -> dict[str, Any]:
            trio.from_thread.run_sync(scope.cancel)
            return asked.read(each, tmp_path)

        answers.append(await reads.at_leisure(cancelled))
    assert [[task["title"] for task in answer["tasks"]] for answer in answers] == [["old"]]
    assert scope.cancelled_caught
