"""Homes with many idle agents, made by SQL alone: the log is left out, and nothing is synced."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from typing import Final

import attrs

from mission_control.actors import Home
from mission_control.storage import migrate, open_writer

_NUMBERS: Final = (
    "WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted LIMIT ?)"
)


@attrs.frozen
class Fleet:
    """Idle agents, of whom each project has as many."""

    projects: int
    agents: int
    """In each project."""
    interval_s: float = 60.0

    @property
    def size(self) -> int:
        """All agents."""
        return self.projects * self.agents


def agent_id(number: int, project: int) -> str:
    """Return the id of an agent: both are counted from 0."""
    return f"soul-{number}:{project_id(project)}"


def project_id(number: int) -> str:
    """Return the id of a project, counted from 0."""
    return f"project-{number}"


def make_projects(home: Home, fleet: Fleet) -> None:
    """Make a home with the projects of *fleet*, and nobody in them."""
    home.make()
    with closing(open_writer(home.database)) as connection, connection:
        migrate(connection)
        connection.execute("INSERT INTO meta VALUES('epoch', ?)", [secrets.token_hex(6)])
        connection.execute(
            f"""INSERT INTO projects(id, name, state, created_at, updated_at, version)
            {_NUMBERS} SELECT 'project-' || n, 'Project ' || n, 'active', 0, 0, 1
            FROM counted""",  # noqa: S608 - our own numbers
            [fleet.projects],
        )


def add_agents(home: Home, fleet: Fleet) -> None:
    """Put the agents of *fleet* into their projects."""
    with closing(open_writer(home.database)) as connection, connection:
        _add_souls(connection, fleet.agents)
        connection.execute(
            f"""INSERT INTO agents(id, project_id, soul, status, slot, interval_s, timeout_s,
              max_retries, command, gateway_agent, created_at, updated_at, version)
            {_NUMBERS} SELECT 'soul-' || (n / ?2) || ':project-' || (n % ?2),
              'project-' || (n % ?2), 'soul-' || (n / ?2), 'idle', n, ?3, 300, 3, '[]', 'main',
              0, 0, 1
            FROM counted""",  # noqa: S608 - our own numbers
            [fleet.size, fleet.projects, fleet.interval_s],
        )


def _add_souls(connection: sqlite3.Connection, count: int) -> None:
    connection.execute(
        f"""INSERT INTO souls(id, sha256, created_at, version)
        {_NUMBERS} SELECT 'soul-' || n, '', 0, 1 FROM counted""",  # noqa: S608 - our own numbers
        [count],
    )
