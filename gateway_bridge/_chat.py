"""What a person says to us in a chat of the Gateway: `/mission answer …`."""

from __future__ import annotations

import re
from typing import Any

from ..actors import Mission
from ..storage import Forbidden, HelpRequest, MissionError
from ._callers import Access, Caller
from ._table import call

CODE_CHARS = 8
"""Of a question's id, the last: chance made them, and they can be typed on a phone."""
MAX_LISTED = 10
CODE_OR_TAG = re.compile(r"(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|<[^<>`]*>", re.DOTALL)
"""In Markdown: a span of code, or what may be taken for an HTML tag."""
USAGE = "Say: /mission questions, or: /mission answer CODE and then your answer"


def code_of(request: HelpRequest) -> str:
    """Return the short name of a question."""
    return request.id[-CODE_CHARS:]


def in_markdown(text: str) -> str:
    """Return *text* with what looks like a tag shown as code.

    The Gateway reads Markdown, and a channel that writes HTML leaves out all tags but a few,
    however they are escaped.
    """
    return CODE_OR_TAG.sub(lambda found: found[0] if found["ticks"] else f"`{found[0]}`", text)


def chatter(who: dict[str, Any]) -> Caller:
    """Return the caller that the sender of a command is, in the words of the plugin.

    Raises:
        Forbidden: the Gateway does not vouch for them.
    """
    name = f"{who.get('channel') or 'chat'}:{who.get('senderId') or 'somebody'}"
    scopes = who.get("scopes")
    if who.get("authorized") is not True:
        raise Forbidden(f"{name} is not on the channel's list of those who may command")
    may_write = ("operator.write", "operator.admin")
    if isinstance(scopes, list) and not any(scope in may_write for scope in scopes):
        raise Forbidden(f"{name} has not the scope operator.write")
    return Caller(name, Access.WRITE)


async def obey(mission: Mission, caller: Caller, words: str) -> str:
    """Do what was said after `/mission`; return what is said in return."""
    return in_markdown(await _reply(mission, caller, words))


async def _reply(mission: Mission, caller: Caller, words: str) -> str:
    match words.split(maxsplit=2):
        case ["answer", code, answer]:
            return await _answer(mission, caller, code.strip("<>").lower(), answer)
        case ["questions"]:
            return _questions(mission)
        case _:
            return USAGE


async def _answer(mission: Mission, caller: Caller, code: str, answer: str) -> str:
    # A whole id will do as well, and fewer characters might mean several.
    asked = mission.reads.help_coded(code[-CODE_CHARS:]) if len(code) >= CODE_CHARS else None
    if asked is None:
        return f"No question has the code {code}. {USAGE}"
    try:
        await call(mission, caller, "mission.help.answer", {"help_id": asked.id, "answer": answer})
    except MissionError as refusal:
        return f"Not taken: {refusal.message}."
    return f"Thank you: {asked.agent_id or 'the task'} goes on."


def _questions(mission: Mission) -> str:
    found = mission.reads.help_requests(project_id=None, state="open", limit=MAX_LISTED + 1)
    lines = [
        f"{code_of(request)}: {request.agent_id or request.project_id} asks: {request.issue}"
        for request in found[:MAX_LISTED]
    ]
    if len(found) > MAX_LISTED:
        lines.append("... and more")
    return "\n".join(lines) or "Nobody waits for an answer."
