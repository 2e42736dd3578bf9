"""Ready-made ways to run common coding agents' command lines.

A command whose first word is `@` and the name of a profile stands for the profile's own words and
those that follow: `@claude --model opus`.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..storage import Invalid
from . import _report as report

MARK = "@"

_PROXIES = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "https_proxy",
    "http_proxy",
    "no_proxy",
)
"""How any of them reaches its model from behind a company's proxy."""

HOW_TO_ACT = """
[HOW TO REPORT]
You work unattended, in the current folder; write nowhere else. Who you are, and your right to act,
are in your environment. Use the command line:
  mission-control log "what you think, and what you are about to do"
  mission-control task move TASK_ID done
  mission-control call mission.control.request_help '{"issue": "what you need from a human"}'
  mission-control call mission.control.distill_memory '{"summary": "what you learned"}'
"""
"""For tools that have a shell and know nothing of us."""


@attrs.frozen
class Profile:
    """How one tool is run.  It reads the status text on standard input."""

    command: tuple[str, ...]
    pass_on: tuple[str, ...] = ()
    """Environment variables of this tool: its keys, and where it keeps its own things."""
    write: tuple[str, ...] = ()
    """Where it keeps them, when no variable says; it may be confined, and has to write there."""
    hear: report.Hear = lambda said, _: said
    """Finds cost, tokens and last words in its output."""


PROFILES = {
    "claude": Profile(
        (
            "claude",
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--permission-mode",
            "acceptEdits",
            "--allowedTools",
            "Bash(mission-control:*)",
        ),
        (
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_MODEL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            *_PROXIES,
        ),
        ("~/.claude", "~/.claude.json"),
        report.claude,
    ),
    "codex": Profile(
        (
            "codex",
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--sandbox",
            "workspace-write",
            "-c",
            "sandbox_workspace_write.network_access=true",
            "-",
        ),
        ("CODEX_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", *_PROXIES),
        ("~/.codex",),
        report.codex,
    ),
    "gemini": Profile(
        (
            "gemini",
            "-p",
            "Act on the status above.",
            "--output-format",
            "stream-json",
            "--approval-mode",
            "auto_edit",
            "--allowed-tools",
            "run_shell_command(mission-control)",
        ),
        (
            "GEMINI_API_KEY",
            "GEMINI_MODEL",
            "GOOGLE_API_KEY",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GENAI_USE_VERTEXAI",
            *_PROXIES,
        ),
        ("~/.gemini",),
        report.gemini,
    ),
}


def named(name: str) -> Profile:
    """Return the profile *name*.

    Raises:
        Invalid: there is none.
    """
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(PROFILES)
        raise Invalid(
            f"there is no profile {name!r}: take one of {known}, or give a command",
            field="profile",
        ) from None


def profile_of(command: Sequence[str]) -> Profile | None:
    """Return the profile that *command* asks for; None where it is a command of its own.

    Raises:
        Invalid: it asks for one that there is not.
    """
    if not command or not command[0].startswith(MARK):
        return None
    return named(command[0].removeprefix(MARK))


def profile_command(name: str) -> tuple[str, ...]:
    """Return the command that stands for the profile *name*.

    Raises:
        Invalid: there is none.
    """
    named(name)
    return (f"{MARK}{name}",)
