"""Long lists come in pages, and a page says where the next one begins."""

from __future__ import annotations

from typing import Any

import pytest

from mission_control import MissionControl, MissionError
from rig import Open, crew
from system_doors import idle


async def _pages(mc: MissionControl, method: str, key: str, **params: Any) -> list[list[Any]]:
    """Follow `next` from the first page to the last."""
    pages: list[list[Any]] = []
    after: dict[str, str] = {}
    while True:
        answer = await mc.call(method, **params, **after)
        pages.append(answer[key])
        if answer["next"] is None:
            return pages
        after = {"after": answer["next"]}


async def test_a_board_comes_in_pages(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        for number in range(5):
            await mc.call("mission.task.create", project_id=project_id, title=f"task {number}")
        whole = await mc.call("mission.task.list", project_id=project_id)
        pages = await _pages(mc, "mission.task.list", "tasks", project_id=project_id, limit=2)
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [task for page in pages for task in page] == whole["tasks"]


async def test_a_card_that_was_moved_meanwhile_does_not_end_the_paging(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        tasks = [
            await mc.call("mission.task.create", project_id=project_id, title=f"task {number}")
            for number in range(3)
        ]
        listed = {"project_id": project_id, "status": "backlog", "limit": 2}
        first = await mc.call("mission.task.list", **listed)
        await mc.call("mission.task.move", task_id=tasks[1]["task_id"], new_status="done")
        second = await mc.call("mission.task.list", **listed, after=first["next"])
        assert [task["title"] for task in second["tasks"]] == ["task 2"]


async def test_a_board_can_be_had_without_what_is_over(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        for status in ("backlog", "done", "blocked", "archived"):
            made = await mc.call("mission.task.create", project_id=project_id, title=status)
            await mc.call("mission.task.move", task_id=made["task_id"], new_status=status)
        found = await mc.call("mission.task.list", project_id=project_id, open_only=True)
        assert [task["title"] for task in found["tasks"]] == ["backlog", "blocked"]
        over = await mc.call(
            "mission.task.list", project_id=project_id, open_only=True, status="done"
        )
        assert over["tasks"] == []


async def test_questions_to_humans_come_in_pages(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        for number in range(3):
            made = await mc.call("mission.task.create", project_id=project_id, title="task")
            await mc.call(
                "mission.control.request_help", task_id=made["task_id"], issue=str(number)
            )
        pages = await _pages(mc, "mission.help.list", "help_requests", limit=2)
        assert [[each["issue"] for each in page] for page in pages] == [["0", "1"], ["2"]]


@pytest.mark.parametrize(
    "after", ["", "x", "0.3.1", "9.3.1.0", "0.3.99999999999999999999.0", "0.3.1.' OR 1"]
)
async def test_a_place_that_no_page_named_is_refused(open_home: Open, after: str) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        with pytest.raises(MissionError, match="`next`") as refused:
            await mc.call("mission.task.list", project_id=project_id, after=after)
        assert refused.value.kind == "invalid"
