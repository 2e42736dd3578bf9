"""Puts the plugin into an OpenClaw Gateway, and takes it out again, with OpenClaw's own command.

The command is the only way that keeps OpenClaw's install record and its consent to the plugin's
tools; it works with the Gateway running (which then takes the plugin up at once) or stopped.
Each call of it costs 3 to 10 s, so an installation makes three.  Observed on OpenClaw 2026.9.6.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import attrs

from ..storage import Invalid, Unavailable

PLUGIN_ID = "mission-control"
PLUGIN_FOLDER = resources.files(__package__).joinpath("plugin")
STEP_TIMEOUT_S = 180.0
"""For one call of OpenClaw's command on a busy machine."""
SHOWN_CHARS = 300
"""How much of what OpenClaw said goes into our one line."""


@attrs.frozen
class InstallReport:
    """What OpenClaw says it loads."""

    version: str
    methods: tuple[str, ...]
    tools: tuple[str, ...]


def install_plugin(
    openclaw: Sequence[str],
    *,
    url: str,
    token_file: Path,
    spawn: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> InstallReport:
    """Install or replace the plugin, point it at the sidecar, and see that OpenClaw loads it.

    May be repeated.  Of the Gateway's configuration only the plugin's `enabled`, `url`,
    `tokenFile`, `spawn` and `allowConversationAccess` are set; OpenClaw adds the plugin to a
    `plugins.allow` that is there, and drops the comments of the file.

    Args:
        openclaw: the command and its first arguments, as `("openclaw",)`.
        url: of the sidecar's `/bridge`; loopback only.
        token_file: absolute; must be readable by the Gateway when it connects, not now.
        spawn: the command of a sidecar that the Gateway is to start, end and start again; none
            where somebody else starts it.
        env: the command's whole environment; None is ours.

    Raises:
        Invalid: `url` or `token_file` is not of the kind above.
        Unavailable: OpenClaw cannot be run, or refused; says in which step.
    """
    _check(url, token_file)
    command = _Command(tuple(openclaw), env)
    with _unpacked() as folder:
        install = ("plugins", "install", str(folder), "--force", "--accept-capabilities")
        command.run("installing the plugin", *install)
    patch = json.dumps(_settings(url, token_file, spawn))
    command.run("configuring the plugin", "config", "patch", "--stdin", stdin=patch)
    return _loaded(command)


def uninstall_plugin(openclaw: Sequence[str], *, env: Mapping[str, str] | None = None) -> bool:
    """Remove the plugin with its settings; False if OpenClaw did not have it.

    OpenClaw keeps `enabled: false` for it in its configuration.

    Raises:
        Unavailable: OpenClaw cannot be run, or refused.
    """
    command = _Command(tuple(openclaw), env)
    try:
        command.run("removing the plugin", "plugins", "uninstall", PLUGIN_ID, "--force")
    except Unavailable:
        # What it says of a plugin that it does not have is no different in kind from a failure.
        found = command.call("looking for the plugin", "plugins", "inspect", PLUGIN_ID, "--json")
        if "Plugin not found" not in found.stdout:
            raise
        return False
    return True


@attrs.frozen
class _Command:
    """OpenClaw's command line."""

    argv: tuple[str, ...]
    env: Mapping[str, str] | None

    def call(self, step: str, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        try:
            return subprocess.run(
                [*self.argv, *args],
                input=stdin,
                env=self.env,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=STEP_TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            raise Unavailable(
                f"{step}: {self.argv[0]} cannot be run ({error.strerror}): install OpenClaw,"
                " or say where its command is",
                step=step,
            ) from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                f"{step}: no end after {STEP_TIMEOUT_S:.0f} s: try '{' '.join(error.cmd)}' by hand",
                step=step,
            ) from error

    def run(self, step: str, *args: str, stdin: str = "") -> str:
        """Run it, and return what it printed.

        Raises:
            Unavailable: it failed.
        """
        done = self.call(step, *args, stdin=stdin)
        if done.returncode:
            raise Unavailable(
                f"{step}: OpenClaw refused ({_complaint(done)}): mend that and try again",
                step=step,
                exit_code=done.returncode,
            )
        return done.stdout


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The line of its output that says why: an exception's message, else the last."""
    output = f"{done.stdout}\n{done.stderr}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"\w*Error\b.*: ", line)]
    return (errors or lines or [f"exit code {done.returncode}"])[-1][:SHOWN_CHARS]


def _check(url: str, token_file: Path) -> None:
    manifest = json.loads(PLUGIN_FOLDER.joinpath("openclaw.plugin.json").read_text("utf-8"))
    pattern = manifest["configSchema"]["properties"]["url"]["pattern"]
    if not re.search(pattern, url):
        raise Invalid(f"url {url!r} is not a ws:// address on loopback", field="url")
    if not token_file.is_absolute():
        raise Invalid(f"token_file {str(token_file)!r} is not absolute", field="token_file")


@contextmanager
def _unpacked() -> Iterator[Path]:
    """A copy that OpenClaw accepts: it refuses folders of other owners or writable by all."""
    with tempfile.TemporaryDirectory(prefix="mission-control-plugin-") as private:
        folder = Path(private, PLUGIN_ID)
        folder.mkdir()
        folder.chmod(0o755)
        for source in PLUGIN_FOLDER.iterdir():
            if source.name.endswith((".js", ".json")):
                copy = folder / source.name
                copy.write_bytes(source.read_bytes())
                copy.chmod(0o644)
        yield folder


def _settings(url: str, token_file: Path, spawn: Sequence[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        # After an uninstall it is false, and stays so when the plugin is installed again.
        "enabled": True,
        # In a patch, null takes a setting away.
        "config": {"url": url, "tokenFile": str(token_file), "spawn": [*spawn] or None},
        # Without it the Gateway drops our prompt hook.
        "hooks": {"allowConversationAccess": True},
    }
    return {"plugins": {"entries": {PLUGIN_ID: entry}}}


def _loaded(command: _Command) -> InstallReport:
    step = "loading the plugin"
    output = command.run(step, "plugins", "inspect", PLUGIN_ID, "--runtime", "--json")
    try:
        found = json.loads(output)
        problem = _problem(found)
        report = InstallReport(
            version=found["plugin"]["version"],
            methods=tuple(found["gatewayMethods"]),
            tools=tuple(found["plugin"]["toolNames"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"{step}: this OpenClaw's answer to 'plugins inspect' cannot be read ({error!r}):"
            " use a version of OpenClaw that we know, such as 2026.9.6",
            step=step,
        ) from error
    if problem:
        raise Unavailable(
            f"{step}: OpenClaw does not load it ({problem}): see plugins.enabled, plugins.allow"
            " and plugins.deny in its configuration",
            step=step,
        )
    return report


def _problem(found: dict[str, Any]) -> str | None:
    plugin = found["plugin"]
    if plugin["status"] != "loaded":
        return str(plugin.get("error") or plugin["status"])[:SHOWN_CHARS]
    for diagnostic in found["diagnostics"]:
        if diagnostic["level"] == "error":
            return str(diagnostic["message"])[:SHOWN_CHARS]
    return None
