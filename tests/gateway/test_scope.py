"""Which paths the tools of OpenClaw may name in a project of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mission_control.gateway_bridge._scope import ToolScope


@pytest.fixture
def scope(tmp_path: Path) -> ToolScope:
    project = tmp_path / "projects" / "p"
    for folder in ("src/deep", "agents/shuri", "agents/okoye", "daily", ".secrets"):
        (project / folder).mkdir(parents=True)
    (project / "KANBAN.md").write_text("board")
    (project / "src" / "out").symlink_to("/etc")
    (project / "src" / "up").symlink_to("..")
    (tmp_path / "projects" / "p2").mkdir()
    return ToolScope(project, project / "src", project / "agents" / "shuri" / "working.md")


@pytest.mark.parametrize(
    ("tool", "params"),
    [
        ("write", {"path": "a.txt"}),
        ("write", {"path": "deep/new/a.txt"}),
        ("write", {"path": "deep/../a.txt"}),
        ("edit", {"path": "../agents/shuri/working.md"}),
        ("edit", {"path": "a.txt", "oldText": "/etc/passwd", "newText": "../.."}),
        ("read", {"path": "../KANBAN.md"}),
        ("read", {"path": "up/KANBAN.md"}),
        ("ls", {}),
        ("ls", {"path": ".."}),
        ("exec", {"command": "cat /etc/passwd"}),
        ("exec", {"command": "ls", "workdir": "deep"}),
        ("web_fetch", {"url": "https://example.org/../x"}),
        ("apply_patch", {"input": "*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch"}),
        ("image", {"image": "https://example.org/a.png"}),
        ("image", {"image": "data:image/png;base64,xx"}),
        ("message", {"to": "~me", "text": "/etc/passwd is not for me"}),
        ("sessions_send", {"target": "/x", "message": "hello"}),
    ],
)
def test_what_stays_inside_is_let_through(
    scope: ToolScope, tool: str, params: dict[str, Any]
) -> None:
    assert scope.refusal(tool, params) is None


@pytest.mark.parametrize(
    ("tool", "params", "words"),
    [
        ("read", {"path": "/etc/passwd"}, "outside your project"),
        ("read", {"path": "../../p2/secret"}, "outside your project"),
        ("read", {"path": "~/.ssh/id_ed25519"}, "outside your project"),
        ("read", {"path": "out/passwd"}, "outside your project"),
        ("read", {"file_path": "/etc/passwd"}, "outside your project"),
        ("read", {"path": "a\0b"}, "not a path"),
        ("read", {"path": "../.secrets/key"}, "administrators only"),
        ("read", {"path": "up/.Secrets/key"}, "administrators only"),
        ("ls", {"path": "../.secrets"}, "administrators only"),
        ("grep", {"path": ".."}, "search in src/"),
        ("exec", {"command": "ls", "workdir": "../.secrets"}, "administrators only"),
        ("ls", {"path": "../../.."}, "outside your project"),
        ("write", {"path": "../KANBAN.md"}, "kept by Mission Control"),
        ("write", {"path": "up/KANBAN.md"}, "kept by Mission Control"),
        ("write", {"path": "../agents/okoye/working.md"}, "kept by Mission Control"),
        ("edit", {"path": "../agents/shuri/SOUL.md"}, "kept by Mission Control"),
        ("write", {"path": "../../p2/a"}, "outside your project"),
        ("exec", {"command": "ls", "workdir": "/"}, "outside your project"),
        ("move", {"from": "a", "to": "/tmp/a"}, "outside your project"),
        ("read_many", {"paths": ["a", "/etc/passwd"]}, "outside your project"),
        ("apply_patch", {"input": "*** Update File: ../../p2/a\n"}, "outside your project"),
        ("apply_patch", {"input": "*** Update File: a\n*** Move to: /tmp/a\n"}, "outside"),
        ("unknown_tool", {"path": "../KANBAN.md"}, "kept by Mission Control"),
        ("read", {"file_paths": ["a", "/etc/passwd"]}, "outside your project"),
        ("read", {"path": "https://../../../etc/passwd"}, "outside your project"),
        ("read", {"path": "file:///etc/passwd"}, "not a path"),
        ("find", {"dir": "/root"}, "outside your project"),
        ("image", {"images": ["https://example.org/a.png", "/root/a.png"]}, "outside"),
        ("message", {"to": "~me", "media": "/root/.ssh/id"}, "outside your project"),
    ],
)
def test_what_leaves_the_scope_is_refused_with_the_reason(
    scope: ToolScope, tool: str, params: dict[str, Any], words: str
) -> None:
    refusal = scope.refusal(tool, params)
    assert refusal is not None
    assert words in refusal
    assert refusal.startswith(f"{tool} refused: ")
    assert str(scope.project) not in refusal


@pytest.mark.parametrize("derived", [["/etc/passwd"], [{"path": "/etc/passwd"}], ["a", "../../x"]])
def test_paths_that_the_gateway_found_itself_count_too(scope: ToolScope, derived: object) -> None:
    assert scope.refusal("tool_call", {"input": "opaque"}, derived) is not None


@pytest.mark.parametrize("junk", [None, 3, {}, [3], [[]], "x", [{"path": 3}]])
def test_junk_names_nothing(scope: ToolScope, junk: object) -> None:
    assert scope.refusal("read", {"path": junk} if not isinstance(junk, str) else {}, junk) is None


def test_a_project_that_is_reached_through_a_link_is_still_itself(tmp_path: Path) -> None:
    real = tmp_path / "real" / "p"
    (real / "src").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "real")
    project = tmp_path / "home" / "p"
    scope = ToolScope(project, project / "src", project / "agents" / "a" / "working.md")
    assert scope.refusal("write", {"path": "a"}) is None
    assert scope.refusal("write", {"path": "../agents/a/working.md"}) is None
    assert scope.refusal("write", {"path": str(project / "src" / "b")}) is None
