"""Questions about projects, and about the agents that work in them."""

from __future__ import annotations

from .._records import Agent, Project, Session
from .._table import AGENTS, PROJECTS, SESSIONS
from ._ask import Questions


class ProjectQuestions(Questions):
    """Who works where."""

    def project(self, project_id: str) -> Project:
        """Return a project; NotFound where there is none."""
        return self._get(PROJECTS, project_id)

    def projects(self) -> list[Project]:
        """Return all projects, by id."""
        return PROJECTS.all(self._open, "ORDER BY id")

    def agent(self, agent_id: str) -> Agent:
        """Return an agent; NotFound where there is none."""
        return self._get(AGENTS, agent_id)

    def find_agent(self, agent_id: str) -> Agent | None:
        """Return an agent, if there is one: it may have been destroyed meanwhile."""
        return AGENTS.get(self._open, agent_id)

    def has_agent(self, agent_id: str) -> bool:
        """Whether there is such an agent."""
        return AGENTS.get(self._open, agent_id) is not None

    def agents(self, project_id: str | None = None) -> list[Agent]:
        """Return the agents of one project, or of all, by id."""
        if project_id is None:
            return AGENTS.all(self._open, "ORDER BY id")
        return AGENTS.all(self._open, "WHERE project_id = ? ORDER BY soul", project_id)

    def agent_ids(self, project_id: str) -> set[str]:
        """Return the ids of a project's agents."""
        rows = self._open.execute("SELECT id FROM agents WHERE project_id = ?", [project_id])
        return {row[0] for row in rows}

    def head_count(self) -> tuple[int, int]:
        """Return how many projects and how many agents there are."""
        row = self._open.execute(
            "SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM agents)"
        ).fetchone()
        return int(row[0]), int(row[1])

    def session(self, agent_id: str) -> Session | None:
        """Return the conversation of an agent, if it has one."""
        return SESSIONS.get(self._open, agent_id)

    def sessions(self, project_id: str | None = None) -> list[Session]:
        """Return the conversations of a project's agents, or of all, by agent."""
        if project_id is None:
            return SESSIONS.all(self._open, "ORDER BY id")
        whose = "WHERE id IN (SELECT id FROM agents WHERE project_id = ?) ORDER BY id"
        return SESSIONS.all(self._open, whose, project_id)

    def agent_of_session(self, key: str) -> str | None:
        """Return the id of the agent whose conversation has this key."""
        session = SESSIONS.first(self._open, "WHERE key = ?", key)
        return session.id if session is not None else None
