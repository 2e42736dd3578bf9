"""Questions about what was said: thoughts, questions to humans, messages, stories, lessons."""

from __future__ import annotations

from .._records import ChronicleEntry, HelpRequest, Memory, Message, Pulse, TaskEvent
from .._table import CHRONICLE, HELP_REQUESTS, MEMORIES, MESSAGES, TASK_EVENTS
from ..commands._shown import SHOWN
from ._ask import MAX_PAGE, Questions

RECENT_HELP = 200
"""Questions, of each state, that people may still name by the end of their id."""


class WordQuestions(Questions):
    """Who said what."""

    def events(
        self, *, task_id: str | None = None, project_id: str | None = None, limit: int = 50
    ) -> list[TaskEvent]:
        """Return the newest events of a task or of a project, oldest first."""
        column = "task_id" if task_id is not None else "project_id"
        found = TASK_EVENTS.all(
            self._open,
            f"WHERE {column} = ? ORDER BY pk DESC LIMIT ?",
            task_id if task_id is not None else project_id,
            min(limit, MAX_PAGE),
        )
        return found[::-1]

    def help_request(self, help_id: str) -> HelpRequest:
        """Return a question; NotFound where there is none."""
        return self._get(HELP_REQUESTS, help_id)

    def help_requests(
        self,
        *,
        project_id: str | None,
        state: str,
        after: HelpRequest | None = None,
        limit: int = MAX_PAGE,
    ) -> list[HelpRequest]:
        """Return the first *limit* questions in *state* that follow *after*, oldest first."""
        whose = "" if project_id is None else "project_id = ? AND "
        return HELP_REQUESTS.all(
            self._open,
            f"WHERE {whose}state = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
            *([] if project_id is None else [project_id]),
            state,
            *((after.created_at, after.id) if after is not None else (-1, "")),
            limit,
        )

    def untold_help(self) -> list[HelpRequest]:
        """Return the open questions that nobody was sent, oldest first, at most a page."""
        return HELP_REQUESTS.all(
            self._open,
            "WHERE state = 'open' AND told_at IS NULL ORDER BY created_at, id LIMIT ?",
            MAX_PAGE,
        )

    def help_coded(self, code: str) -> HelpRequest | None:
        """Return the question whose id ends with *code*, an open one first; only a recent one."""
        for state in ("open", "answered", "withdrawn"):
            newest = "SELECT id FROM help_requests WHERE state = ? ORDER BY created_at DESC LIMIT ?"
            found = HELP_REQUESTS.first(
                self._open,
                f"WHERE id IN ({newest}) AND substr(id, ?) = ?",
                state,
                RECENT_HELP,
                -len(code),
                code,
            )
            if found is not None:
                return found
        return None

    def open_help(self, task_id: str) -> HelpRequest | None:
        """Return the question that a task waits for."""
        return HELP_REQUESTS.first(self._open, "WHERE task_id = ? AND state = 'open'", task_id)

    def messages(self, agent_id: str, limit: int = MAX_PAGE) -> list[Message]:
        """Return the newest messages to an agent, oldest first."""
        found = MESSAGES.all(
            self._open, "WHERE to_agent = ? ORDER BY pk DESC LIMIT ?", agent_id, limit
        )
        return found[::-1]

    def messages_shown(self, pulse: Pulse) -> list[Message]:
        """Return the messages that *pulse* is the first to be shown, oldest first."""
        return MESSAGES.all(self._open, SHOWN, pulse.agent_id, pulse.id)

    def chronicle(self, project_id: str, limit: int = MAX_PAGE) -> list[ChronicleEntry]:
        """Return the newest entries of a project's story, oldest first."""
        found = CHRONICLE.all(
            self._open, "WHERE project_id = ? ORDER BY pk DESC LIMIT ?", project_id, limit
        )
        return found[::-1]

    def newest_memory(self, agent_id: str) -> Memory | None:
        """Return what an agent learned last."""
        return MEMORIES.first(self._open, "WHERE agent_id = ? ORDER BY pk DESC", agent_id)

    def memories(self, agent_id: str, limit: int = MAX_PAGE) -> list[Memory]:
        """Return the newest of what an agent learned, oldest first."""
        found = MEMORIES.all(
            self._open, "WHERE agent_id = ? ORDER BY pk DESC LIMIT ?", agent_id, limit
        )
        return found[::-1]
