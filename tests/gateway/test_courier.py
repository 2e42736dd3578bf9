"""Questions that reach a person through the Gateway, and the answers that come back."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest

import mission_control
from mission_control import Config, MissionControl
from mission_control.config import GatewaySettings, HelpSettings, ListenSettings
from mission_control.gateway_bridge._chat import chatter, code_of, in_markdown, obey
from mission_control.gateway_bridge._courier import MAX_ISSUE_CHARS, letter
from mission_control.storage import Forbidden, HelpRequest, HelpState, TaskStatus
from mission_control.testing import FakeGateway
from rig import FAST, Open, ScriptedRunner, crew, until
from system_doors import idle

MARIA = {"channel": "telegram", "senderId": "4242", "authorized": True}


@asynccontextmanager
async def sidecar(
    folder: Path, gateway: FakeGateway, channel: str = "telegram"
) -> AsyncIterator[MissionControl]:
    (folder / "gateway.token").write_text(gateway.token)
    config = Config(
        listen=ListenSettings(port=0),
        gateway=GatewaySettings(gateway.url, str(folder / "gateway.token")),
        pulse=FAST,
        help=HelpSettings(channel, "4242"),
    )
    async with mission_control.open(folder / "home", config) as mc:
        yield mc


async def ask(mc: MissionControl, issue: str) -> HelpRequest:
    task = await mc.call("mission.task.create", project_id="p", title="Paint")
    asked = await mc.call("mission.control.request_help", task_id=task["task_id"], issue=issue)
    return mc.mission.reads.help_request(asked["help_id"])


def told(mc: MissionControl, request: HelpRequest) -> bool:
    return mc.mission.reads.help_request(request.id).told_at is not None


async def test_a_question_is_sent_to_a_person_once_however_often_we_start(tmp_path: Path) -> None:
    async with FakeGateway(channels=frozenset({"telegram"})).serving() as gateway:
        async with sidecar(tmp_path, gateway) as mc:
            await crew(mc)
            first = await ask(mc, "Red or blue?")
            await until(mc, lambda: told(mc, first))
        async with sidecar(tmp_path, gateway) as mc:
            second = await ask(mc, "How blue?")
            await until(mc, lambda: told(mc, second))
        assert [each["to"] for each in gateway.letters] == ["4242", "4242"]
        assert "Red or blue?" in gateway.letters[0]["message"]
        assert f"help answer {first.id}" in gateway.letters[0]["message"]
        assert "How blue?" in gateway.letters[1]["message"]


async def test_who_was_killed_before_it_was_recorded_sends_under_the_same_key(
    tmp_path: Path,
) -> None:
    async with FakeGateway(channels=frozenset({"telegram"})).serving() as gateway:
        async with sidecar(tmp_path, gateway) as mc:
            await crew(mc)
            asked = await ask(mc, "Red or blue?")
            await until(mc, lambda: told(mc, asked))
        with closing(sqlite3.connect(tmp_path / "home/mission-control.db")) as connection:
            connection.execute("UPDATE help_requests SET told_at = NULL")
            connection.commit()
        async with sidecar(tmp_path, gateway) as mc:
            await until(mc, lambda: told(mc, asked))
        sent = [each for each in gateway.requests if each.get("method") == "send"]
        assert len(sent) == 2
        assert len(gateway.letters) == 1


async def test_what_is_asked_while_the_gateway_is_away_is_sent_when_it_comes_unless_answered(
    tmp_path: Path,
) -> None:
    async with FakeGateway(channels=frozenset({"telegram"})).serving() as gateway:
        await gateway.kill()
        async with sidecar(tmp_path, gateway) as mc:
            await crew(mc)
            answered, waiting = await ask(mc, "Red?"), await ask(mc, "Blue?")
            await mc.call("mission.help.answer", help_id=answered.id, answer="yes")
            await gateway.start()
            await until(mc, lambda: told(mc, waiting))
            assert not told(mc, answered)
        assert ["Blue?" in each["message"] for each in gateway.letters] == [True]


async def test_a_channel_that_is_not_there_is_told_of_and_the_question_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "mission_control.courier")
    async with FakeGateway().serving() as gateway, sidecar(tmp_path, gateway, "slack") as mc:
        await crew(mc)
        asked = await ask(mc, "Red or blue?")
        await until(mc, lambda: "Unsupported channel: slack" in caplog.text)
        assert not told(mc, asked)
        assert mc.mission.reads.help_request(asked.id).state is HelpState.OPEN


async def test_an_answer_from_a_chat_lets_the_task_go_on_and_the_next_is_told_whose_came_first(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        task = await mc.call(
            "mission.task.create", project_id="p", title="Paint", assignee_id="shuri"
        )
        asked = await ask_about(mc, task["task_id"])
        assert await obey(mc.mission, chatter(MARIA), "questions") == (
            f"{code_of(asked)}: shuri:p asks: Red or blue?"
        )
        thanks = await obey(mc.mission, chatter(MARIA), f"answer {code_of(asked)} blue, please")
        assert thanks == "Thank you: shuri:p goes on."
        answered = mc.mission.reads.help_request(asked.id)
        assert (answered.answer, answered.answered_by) == ("blue, please", "telegram:4242")
        assert mc.mission.reads.task(task["task_id"]).status is TaskStatus.IN_PROGRESS
    async with open_home(idle()) as mc:
        otto = chatter({**MARIA, "senderId": "7"})
        late = await obey(mc.mission, otto, f"answer <{code_of(asked).upper()}> red")
        assert "was answered by telegram:4242" in late
        assert mc.mission.reads.help_request(asked.id) == answered
        assert await obey(mc.mission, otto, "questions") == "Nobody waits for an answer."


async def ask_about(mc: MissionControl, task_id: str) -> HelpRequest:
    asked = await mc.call("mission.control.request_help", task_id=task_id, issue="Red or blue?")
    return mc.mission.reads.help_request(asked["help_id"])


@pytest.mark.parametrize("words", ["", "hello", "answer", "answer 12345678", "answer 12 blue"])
async def test_words_that_are_no_command_change_nothing_and_say_how(
    open_home: Open, words: str
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc)
        await ask(mc, "Red or blue?")
        before = mc.mission.reads.last_seq()
        assert "/mission answer CODE" in await obey(mc.mission, chatter(MARIA), words)
        assert mc.mission.reads.last_seq() == before


@pytest.mark.parametrize(
    "change",
    [
        {"authorized": False},
        {"authorized": "yes"},
        {"scopes": ["operator.read"]},
        {"scopes": [{}, None]},
    ],
)
def test_who_may_not_command_in_the_channel_may_not_answer(change: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        chatter({**MARIA, **change})


async def test_a_long_question_is_cut_and_says_by_which_words_it_is_answered(
    open_home: Open,
) -> None:
    async with open_home(ScriptedRunner(idle().script)) as mc:
        await crew(mc)
        asked = attrs.evolve(await ask(mc, "x"), issue="y" * 5_000)
    text = letter("Paint", asked, answerable=True)
    assert text.count("y") < MAX_ISSUE_CHARS + 50
    assert f"/mission answer {code_of(asked)} and then" in text


def test_what_looks_like_a_tag_is_seen_by_whoever_reads_it_in_a_chat() -> None:
    assert in_markdown("a < b, Vec<T> and <b>") == "a < b, Vec`<T>` and `<b>`"
    assert in_markdown("`Vec<T>` of <T>") == "`Vec<T>` of `<T>`"
    assert in_markdown("```\n<a> ` <b>\n```\n</c>") == "```\n<a> ` <b>\n```\n`</c>`"
    assert in_markdown("no ` end <T>") == "no ` end `<T>`"
