"""Names that a text calls: `@shuri` in what somebody says wakes shuri."""

from __future__ import annotations

import re

import attrs

from .._records import Agent
from .._table import AGENTS
from .._transaction import Transaction
from ._messages import send

MAX_MENTIONED = 20
"""Of one text; somebody who calls more has pasted a list."""
MAX_QUOTED_CHARS = 2_000

_FENCED = re.compile(
    r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
"""A block of code, as CommonMark has it: to its closing fence, or to the end."""
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
"""A span of code: between two runs of as many backticks."""
_NAME = re.compile(
    r"(?<![\w@./\\+:-])@([a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?)(?![\w@/]|[.-]\w)", re.IGNORECASE
)
"""Not in an address of mail (`a@b`), a path or a package (`@types/node`), a host (`@b.org`)."""


def mentioned(text: str) -> list[str]:
    """Return the names that *text* calls outside of code, in order, each once, in lower case."""
    if "@" not in text:
        return []
    prose = _SPAN.sub(" ` ", _FENCED.sub(" ` ", text))
    names = (found.lower() for found in _NAME.findall(prose))
    return list(dict.fromkeys(names))[:MAX_MENTIONED]


@attrs.frozen
class Saying:
    """Something that was said, where others of its project may be called."""

    project_id: str
    text: str
    where: str
    """As in: mentioned you in *where*."""
    hears_anyway: str | None = None
    """The agent that it was said to."""


def call_mentioned(tx: Transaction, saying: Saying) -> None:
    """Leave a message for each agent that is called; names of nobody are ignored."""
    for soul in mentioned(saying.text):
        agent: Agent | None = tx.find(AGENTS, "WHERE id = ?", f"{soul}:{saying.project_id}")
        if agent is not None and agent.id not in (tx.actor, saying.hears_anyway):
            quoted = saying.text.strip()[:MAX_QUOTED_CHARS]
            told = f"{tx.actor} mentioned you in {saying.where}: {quoted}"
            send(tx, saying.project_id, agent.id, told)
