"""Confined commands, held by the real kernel."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import attrs
import pytest
import trio

from mission_control.actors import (
    Outcome,
    OutcomeKind,
    ProcessRunner,
    Progress,
    PulseOrder,
    RunHandle,
)
from mission_control.actors._confinement import Confinement, LandlockMode
from mission_control.actors._landlock import abi

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not abi(), reason="this kernel has no Landlock, or it is switched off"),
]

MESSAGE = "Permission denied"


class Watched:
    """A life that notes what it hears."""

    def __init__(self) -> None:
        self.signs = 0

    def sign(self, what: str) -> None:
        self.signs += 1

    async def started(self, handle: RunHandle) -> None: ...

    def cut_short(self, progress: Progress) -> None: ...


@attrs.frozen
class Place:
    """A home with two projects, and what nobody should touch beside it."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def project(self) -> Path:
        return self.home / "projects" / "p"

    @property
    def src(self) -> Path:
        return self.project / "src"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def make(self) -> Place:
        for folder in (self.src, self.home / "projects" / "q" / "src", self.outside):
            folder.mkdir(parents=True)
        (self.project / "agents" / "shuri").mkdir(parents=True)
        (self.project / "KANBAN.md").write_text("the board")
        (self.home / "mission-control.token").write_text("the secret")
        (self.outside / "file").write_text("before")
        return self

    def order(self, *command: str) -> PulseOrder:
        return PulseOrder(
            agent_id="shuri:p",
            session_key="key",
            cwd=self.src,
            pulse_id=f"landlock-{os.getpid()}-{id(command):x}",
            project_id="p",
            soul="shuri",
            kind="work",
            task_id=None,
            task_title=None,
            attempt=1,
            scope=self.project,
            status_text="the status",
            prompt="",
            timeout_s=60.0,
            command=command,
        )

    async def run(
        self, *command: str, home: Path | None = None, **settings: tuple[str, ...]
    ) -> Outcome:
        """Run *command* confined; *settings* are those of `Confinement`, *home* the user's."""
        runner = ProcessRunner(
            lambda: "http://127.0.0.1:1",
            environ={**os.environ, **({"HOME": str(home)} if home else {})},
            confinement=Confinement(LandlockMode.REQUIRED, **settings),
            private=(self.home,),
        )
        return await runner.run(self.order(*command), Watched())

    async def sh(
        self, script: str, *, home: Path | None = None, **settings: tuple[str, ...]
    ) -> str:
        """Run a script to its end, whatever it is refused, and return what it said."""
        env = f"HERE={self.root} PROJECT={self.project} OUTSIDE={self.outside}"
        outcome = await self.run("/bin/sh", "-c", f"{env}; {script}; true", home=home, **settings)
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome
        return outcome.output


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path).make()


async def test_a_command_works_in_its_sources_as_ever(place: Place) -> None:
    said = await place.sh(
        "mkdir -p a/b && echo one > a/b/f && echo two >> a/b/f && cp a/b/f g && mv g h"
        " && cat h > /dev/null && rm h && printf '#!/bin/sh\\necho ran' > x && chmod +x x && ./x"
        " && cat $PROJECT/KANBAN.md && cat /etc/hosts | wc -c"
    )
    assert said.startswith("ran\nthe board")
    assert (place.src / "a" / "b" / "f").read_text() == "one\ntwo\n"


async def test_the_own_notes_can_be_written_even_where_there_were_none(place: Place) -> None:
    await place.sh("echo noted >> ../agents/shuri/working.md")
    await place.sh("echo more >> ../agents/shuri/working.md")
    notes = place.project / "agents" / "shuri" / "working.md"
    assert notes.read_text() == "noted\nmore\n"


@pytest.mark.parametrize(
    "script",
    [
        "echo after > $OUTSIDE/file",
        "echo after >> $OUTSIDE/file",
        ": > $OUTSIDE/new",
        "rm $OUTSIDE/file",
        "mv $OUTSIDE/file $OUTSIDE/gone",
        "mv $OUTSIDE/file .",
        "mkdir $OUTSIDE/folder",
        "touch $OUTSIDE/new",
        "cp /etc/hosts $OUTSIDE/new",
        "cd $OUTSIDE && echo after > file",
        "truncate -s 0 $OUTSIDE/file",
        "echo after > $PROJECT/KANBAN.md",
        "mv $PROJECT/KANBAN.md $PROJECT/gone",
        "rm -r $PROJECT/agents",
        "echo after > $PROJECT/agents/shuri/SOUL.md",
        "echo after > $PROJECT/../q/src/f",
        "mv ../src ../elsewhere",
        "setsid sh -c 'echo after > $OUTSIDE/file'",
    ],
)
async def test_nothing_else_can_be_changed(place: Place, script: str) -> None:
    before = _everything(place)
    said = await place.sh(f"({script})")
    assert _everything(place) == before
    assert said, "the refusal is told"


async def test_files_are_renamed_from_folder_to_folder(place: Place) -> None:
    if abi() < 2:
        pytest.skip("Landlock 1 refuses that always")
    rename = "import os; os.rename('a/f', 'b/f'); os.rename('b', 'a/b')"
    await place.sh(f'mkdir a b; echo x > a/f; {sys.executable} -c "{rename}"')
    assert (place.src / "a" / "b" / "f").read_text() == "x\n"


async def test_processes_share_memory_and_locks(place: Place) -> None:
    script = (
        "from multiprocessing import Lock, shared_memory as s; Lock();"
        "m = s.SharedMemory(create=True, size=9); m.close(); m.unlink(); print('shared')"
    )
    assert await place.sh(f'{sys.executable} -c "{script}"') == "shared"


async def test_what_only_administrators_see_is_closed_to_commands(place: Place) -> None:
    (place.project / ".secrets").mkdir()
    (place.project / ".secrets" / "key").write_text("the secret")
    said = await place.sh("cat $PROJECT/KANBAN.md; cat ../.secrets/key; ls ../.secrets; ls ..")
    assert said.startswith("the board")
    assert "the secret" not in said
    assert said.count(MESSAGE) == 3


async def test_the_users_terminals_are_closed(place: Place) -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    os.write(ours, b"a password\n")
    said = await place.sh(f"echo forged > {name}; head -n 1 < {name}; ls /dev/pts")
    assert said.count(MESSAGE) == 3
    os.set_blocking(ours, False)
    assert b"forged" not in os.read(ours, 100)
    os.close(ours)
    os.close(theirs)


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
async def test_git_works_with_the_users_name_and_without_their_file(place: Place) -> None:
    user = place.root / "user"
    (user / ".config" / "git").mkdir(parents=True)
    (user / ".config" / "git" / "ignore").write_text("*.o\n")
    (user / "more").write_text('[user]\n\temail = "a@b.example"\n')
    (user / ".gitconfig").write_text(
        '[user]\n\tname = "A \\"B\\" # C"\n[include]\n\tpath = more\n'
        '[url "https://token@example"]\n\tinsteadOf = x\n[commit]\n\tgpgSign = true\n'
    )
    said = await place.sh(
        "git init -q . && echo x > f && touch g.o && git add . && git commit -qm one"
        " && mkdir a b && mv f a && git add . && git commit -qm two && git mv a/f b/f"
        " && git config --global alias.st status && git commit -qm three"
        " && git log -1 --format='%an %ae' && git ls-files && git config --get-regexp url"
        "; cat $HERE/user/.gitconfig",
        home=user,
    )
    name, files, refused = said.splitlines()
    assert name == 'A "B" # C a@b.example'
    assert files == "b/f"
    assert MESSAGE in refused
    assert "alias" not in (user / ".gitconfig").read_text()


async def test_caches_have_a_place_unless_the_settings_give_them_theirs(place: Place) -> None:
    user = place.root / "user"
    (user / ".npm").mkdir(parents=True)
    script = (
        "echo ${XDG_CACHE_HOME#$TMPDIR} ${npm_config_cache#$TMPDIR}; mkdir -p $XDG_CACHE_HOME/x"
    )
    assert await place.sh(script, home=user) == "/.cache /.npm"
    assert await place.sh(script, home=user, write=(str(user / ".npm"),)) == "/.cache"


def _everything(place: Place) -> dict[str, bytes | None]:
    """All that is there, but for the notes and status files that the runner itself makes."""
    return {
        str(path.relative_to(place.root)): path.read_bytes() if path.is_file() else None
        for path in sorted(place.root.rglob("*"))
        if path.name not in ("status.md", "working.md")
    }


@pytest.mark.parametrize(
    "script",
    [
        "cat $PROJECT/../../mission-control.token",
        "ls $PROJECT/../..",
        "ls $PROJECT/../q",
        "cat $OUTSIDE/file",
        "ls $OUTSIDE",
        f"tr '\\0' '\\n' < /proc/{os.getpid()}/environ",
        f"head -c 10 /proc/{os.getpid()}/mem",
        f"head -c 1 /proc/{os.getpid()}/fd/0",
    ],
)
async def test_what_is_not_needed_cannot_be_read(place: Place, script: str) -> None:
    said = await place.sh(script)
    assert MESSAGE in said
    assert len(said.splitlines()) == 1


LINKS = (
    "ln -s /etc/passwd l1",
    "ln -s $OUTSIDE l2",
    "ln $OUTSIDE/file l3",
    "ln $PROJECT/KANBAN.md l4",
    "cp -s $OUTSIDE/file l5",
    "cp -l $OUTSIDE/file l6",
    "ln ../agents/shuri/working.md l7",
    "find kept -exec ln -s {} l8 ';'",
    "env ln -s kept l9",
    f'{sys.executable} -c \'import os; os.symlink("/etc", "l10")\'',
    f'{sys.executable} -c \'import os; os.link("../KANBAN.md", "l11")\'',
    "mkfifo l12",
    "mknod l13 p",
)


async def test_no_links_are_made_unless_the_project_allows_them(place: Place) -> None:
    script = f"echo x > kept; {'; '.join(f'({one})' for one in LINKS)}"
    await place.sh(script)
    assert sorted(path.name for path in place.src.rglob("*")) == ["kept"]
    await place.sh("ln -s kept l", links=("p", "q"))
    assert (place.src / "l").is_symlink()
    await place.sh("ln -s /etc l14; ln $PROJECT/KANBAN.md l15; ln $OUTSIDE/file l16", links=("q",))
    assert not [path.name for path in place.src.iterdir() if path.name.startswith("l1")]


async def test_links_to_files_outside_cannot_be_made_even_where_links_are_allowed(
    place: Place,
) -> None:
    await place.sh("ln $OUTSIDE/file one; ln $PROJECT/KANBAN.md two", links=("p",))
    assert list(place.src.iterdir()) == []


async def test_a_planted_link_does_not_widen_what_may_be_written(place: Place) -> None:
    notes = place.project / "agents" / "shuri" / "working.md"
    notes.symlink_to(place.outside / "file")
    await place.sh("echo after > ../agents/shuri/working.md")
    notes.unlink()
    notes.hardlink_to(place.outside / "file")
    await place.sh("echo after > ../agents/shuri/working.md")
    (place.src / "way").symlink_to(place.outside)
    await place.sh("echo after > way/file")
    assert (place.outside / "file").read_text() == "before"


async def test_a_link_in_place_of_the_sources_starts_nothing(place: Place) -> None:
    place.src.rmdir()
    place.src.symlink_to(place.outside)
    outcome = await place.run("/bin/sh", "-c", "echo after > file")
    assert outcome.kind is OutcomeKind.FAILED
    assert "is missing, or a link" in outcome.detail
    assert (place.outside / "file").read_text() == "before"


async def test_more_is_readable_and_writable_where_the_settings_say_so(place: Place) -> None:
    said = await place.sh("cat $OUTSIDE/file; echo x > $OUTSIDE/n", read=(str(place.outside),))
    assert said.startswith("before")
    assert not (place.outside / "n").exists()
    await place.sh("echo x > $OUTSIDE/n", write=(str(place.outside),))
    assert (place.outside / "n").exists()


async def test_the_home_stays_closed_even_inside_what_the_settings_open(place: Place) -> None:
    said = await place.sh(
        "cat $PROJECT/../../mission-control.token; cat $OUTSIDE/file; echo x > $HERE/home/new",
        read=(str(place.root),),
        write=(str(place.root),),
    )
    assert "before" in said
    assert "the secret" not in said
    assert not (place.home / "new").exists()


async def test_temporary_files_have_a_folder_that_ends_with_the_attempt(place: Place) -> None:
    said = await place.sh(
        "echo x > $TMPDIR/f; ln -s f $TMPDIR/l; cat $TMPDIR/l; echo $TMPDIR;"
        "mkdir -p $TMPDIR/go/mod; touch $TMPDIR/go/mod/f; chmod -R a-w $TMPDIR/go"
    )
    word, folder = said.split()
    assert word == "x"
    assert not await trio.Path(folder).exists()


async def test_other_processes_get_no_signals(place: Place) -> None:
    if abi() < 6:
        pytest.skip(f"Landlock {abi()} does not hold signals; the doctor says so")
    said = await place.sh(f"kill -0 {os.getpid()} && echo reached; sleep 60 & kill $! && echo own")
    assert "reached" not in said
    assert "own" in said


async def test_an_interpreter_runs_with_its_library_and_reaches_the_api(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = await place.run(
            sys.executable,
            "-c",
            "import json, socket, ssl, mission_control, multiprocessing\n"
            f"socket.create_connection(('127.0.0.1', {port})).close(); print('there')",
        )
    assert outcome.output == "there"


async def test_who_is_refused_something_and_fails_hears_where_to_look(place: Place) -> None:
    outcome = await place.run("/bin/sh", "-c", "cat $0", str(place.home / "mission-control.token"))
    assert outcome.kind is OutcomeKind.FAILED
    assert "see process.landlock" in outcome.detail


async def test_our_own_threads_stay_free(place: Place) -> None:
    await place.sh("true")
    done: list[str] = []

    def write() -> None:
        (place.outside / "ours").write_text("ours")
        done.append("written")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert done == ["written"]


async def test_without_it_commands_reach_everything(place: Place) -> None:
    """What the other tests would see if nothing held."""
    runner = ProcessRunner(lambda: "", confinement=Confinement(LandlockMode.OFF))
    script = "echo after > $0; ln -s $0 link"
    order = place.order("/bin/sh", "-c", script, str(place.outside / "file"))
    assert (await runner.run(order, Watched())).kind is OutcomeKind.SUCCEEDED
    assert (place.outside / "file").read_text() == "after\n"
    assert (place.src / "link").is_symlink()
