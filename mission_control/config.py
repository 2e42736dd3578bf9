"""Settings: one record, from file, environment and flags; a wrong one is refused by its name."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote

from .actors import (
    PROFILES,
    RETRY_LIMIT_S,
    Confinement,
    LandlockMode,
    MaintenanceSettings,
    PulseSettings,
    profile_command,
    profile_of,
)
from .gateway_bridge import Limits
from .storage import Invalid
from .storage.commands import LONGEST_BACKOFF_S, LONGEST_S, MOST_RETRIES, SHORTEST_S

PREFIX = "MISSION_CONTROL_"
FILE_NAME = "mission-control.toml"

NOT_SETTINGS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "HOME",
        "URL",
        "TOKEN",
        "AGENT_ID",
        "PROJECT_ID",
        "TASK_ID",
        "ATTEMPT",
        "PULSE_ID",
        "PULSE_KIND",
        "PROMPT",
        "STATUS_FILE",
        "REQUIRE_OPENCLAW",
    )
)
"""Names under our prefix that mean something else: the home, and what agents are given."""


DAY_S, YEAR_H, CENTURY_DAYS = 86_400.0, 8_760.0, 36_500
LONGEST_GRACE_S = 600.0
MOST_AT_ONCE = 1_000
"""Far more than one machine runs."""


class _OutOfRange(ValueError):
    """A number is not within its limits: what is wrong, and which setting."""


def _between(lowest: float, highest: float) -> Any:
    """Refuse a number that is not, with the limits."""

    def check(_: Any, field: attrs.Attribute[Any], value: float) -> None:
        if not lowest <= value <= highest:
            message = f"{field.name!r} must be {lowest:.9g} to {highest:.9g}, not {value}"
            raise _OutOfRange(message, field.name)

    return check


_seconds = _between(SHORTEST_S, LONGEST_S)


@attrs.frozen
class ListenSettings:
    """Where callers are let in."""

    host: str = attrs.field(
        default="127.0.0.1", validator=attrs.validators.in_(("127.0.0.1", "::1", "localhost"))
    )
    port: int = attrs.field(
        default=18700, validator=[attrs.validators.ge(0), attrs.validators.le(65535)]
    )
    """0 takes a free one."""
    socket: bool = True
    """Whether programs of our own user are let in by a Unix socket as well."""


@attrs.frozen
class GatewaySettings:
    """Which Gateway runs the pulses; without a url, local processes do."""

    url: str = attrs.field(default="", validator=attrs.validators.matches_re(r"(wss?://.+)?"))
    token_file: str = ""
    agent: str = attrs.field(default="main", validator=attrs.validators.matches_re(r"[a-z0-9_-]+"))
    """The Gateway's agent whose model and tools are used."""
    tls_fingerprint: str = attrs.field(
        default="", validator=attrs.validators.matches_re(r"([0-9a-fA-F]{2}:?){32}|")
    )
    """SHA-256 of its certificate: needed where no public authority signed that."""
    allow_plaintext: bool = False
    """Whether `ws://` may leave this host, with the token in the clear."""


@attrs.frozen
class ProcessSettings:
    """How local commands are run."""

    command: tuple[str, ...] = ()
    """Of agents that have none of their own."""
    profile: str = attrs.field(default="", validator=attrs.validators.in_(("", *PROFILES)))
    """In place of a command: a coding agent's command line that we know how to run."""
    pass_on: tuple[str, ...] = ()
    """Names of environment variables that agents may see besides the usual few."""
    grace_s: float = attrs.field(default=2.0, validator=_between(0, LONGEST_GRACE_S))
    """Between SIGTERM and SIGKILL."""
    landlock: str = attrs.field(
        default="auto", validator=attrs.validators.in_([mode.value for mode in LandlockMode])
    )
    """Whether commands are held inside their project: auto, off or required."""
    read: tuple[str, ...] = ()
    """Paths that commands so held may read as well; `~/` is the home of this user."""
    write: tuple[str, ...] = ()
    """Paths that they may change as well."""
    links: tuple[str, ...] = ()
    """Projects in which they may make links; `*` for all."""

    def __attrs_post_init__(self) -> None:
        if self.command and self.profile:
            raise ValueError("'command' and 'profile' exclude each other: give one of them")
        try:
            profile_of(self.command)
        except Invalid as unknown:
            raise ValueError(unknown.message) from None

    def words(self) -> tuple[str, ...]:
        """Return the command, be it that of a profile."""
        return profile_command(self.profile) if self.profile else self.command

    def confinement(self) -> Confinement:
        """Return what the process runner needs of it."""
        return Confinement(LandlockMode(self.landlock), self.read, self.write, self.links)


@attrs.frozen
class PulseDefaults:
    """What agents get that ask for nothing else, and what holds for all.  Seconds."""

    interval_s: float = attrs.field(default=60.0, validator=_seconds)
    timeout_s: float = attrs.field(default=300.0, validator=_seconds)
    max_retries: int = attrs.field(default=3, validator=_between(0, MOST_RETRIES))
    deadman_s: float = attrs.field(default=300.0, validator=_seconds)
    max_expected_silence_s: float = attrs.field(default=3600.0, validator=_between(0, LONGEST_S))
    retry_delay_s: float = attrs.field(default=5.0, validator=_between(0.001, RETRY_LIMIT_S))
    """What it is doubled up to is its limit too."""
    max_idle_interval_s: float = attrs.field(
        default=LONGEST_BACKOFF_S, validator=_between(0, LONGEST_BACKOFF_S)
    )
    """0 keeps agents to their schedules even where nothing moves."""
    tick_s: float = attrs.field(default=30.0, validator=_between(SHORTEST_S, DAY_S))
    max_running: int = attrs.field(default=8, validator=_between(1, MOST_AT_ONCE))
    max_running_per_project: int = attrs.field(default=4, validator=_between(1, MOST_AT_ONCE))


@attrs.frozen
class HelpSettings:
    """Who is sent the questions of agents, through a channel of the Gateway; else nobody is."""

    channel: str = ""
    """As the Gateway names it: telegram, slack, ..."""
    to: str = ""
    """Whom that channel delivers to."""

    def __attrs_post_init__(self) -> None:
        if bool(self.channel) is not bool(self.to):
            raise ValueError("'channel' and 'to' go together: give both, or neither")


@attrs.frozen
class StorageSettings:
    """How long what lasts is kept at hand."""

    keep_changes_days: int = attrs.field(default=30, validator=_between(0, CENTURY_DAYS))
    """Older changes go from the database to its archive, which only `board --at` still reads;
    0 keeps them for ever."""


@attrs.frozen
class BackupSettings:
    """Which backups the sidecar makes by itself, and how many it keeps."""

    enabled: bool = True
    interval_h: float = attrs.field(default=24.0, validator=_between(0.01, YEAR_H))
    keep_daily: int = attrs.field(default=7, validator=_between(0, CENTURY_DAYS))
    keep_weekly: int = attrs.field(default=4, validator=_between(0, CENTURY_DAYS))


@attrs.frozen
class Config:
    """Every knob there is.  A name ends in its unit where it has one."""

    listen: ListenSettings = attrs.field(factory=ListenSettings)
    gateway: GatewaySettings = attrs.field(factory=GatewaySettings)
    process: ProcessSettings = attrs.field(factory=ProcessSettings)
    pulse: PulseDefaults = attrs.field(factory=PulseDefaults)
    help: HelpSettings = attrs.field(factory=HelpSettings)
    storage: StorageSettings = attrs.field(factory=StorageSettings)
    backup: BackupSettings = attrs.field(factory=BackupSettings)
    limits: Limits = attrs.field(factory=Limits)

    def pulse_settings(self) -> PulseSettings:
        """Return what the actors need of it."""
        return PulseSettings(
            **attrs.asdict(self.pulse),
            command=self.process.words(),
            gateway_agent=self.gateway.agent,
        )

    def maintenance_settings(self) -> MaintenanceSettings:
        """Return what the maintenance needs of it."""
        return MaintenanceSettings(
            **attrs.asdict(self.backup), keep_changes_days=self.storage.keep_changes_days
        )


def load_config(
    home: Path,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Read the settings of *home*: the file, over it the environment, over that *flags*.

    Raises:
        Invalid: a name or a value is wrong; says which, where, and what is allowed.
    """
    path = home / FILE_NAME
    layers = (
        (str(path), _from_file(path)),
        ("the environment", _from_environ(environ)),
        ("the command line", {s: dict(v) for s, v in (flags or {}).items()}),
    )
    merged: dict[str, dict[str, Any]] = {}
    for where, layer in layers:
        _structure(layer, where)
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)
    return _structure(merged, "the settings")


def _from_file(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Invalid(f"{path}: {error}", field=str(path)) from error


def _from_environ(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("_")
        found.setdefault(section, {})[key] = _value(text, _kind(section, key))
    return found


def _kind(section: str, key: str) -> object:
    """Return the type of a setting; None where there is no such setting."""
    settings = get_type_hints(Config).get(section)
    return get_type_hints(settings).get(key) if settings is not None else None


def _value(text: str, kind: object) -> Any:
    if kind is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _words(value: Any, _: Any) -> tuple[str, ...]:
    """A command may be given as a list, or as one would type it."""
    parts = shlex.split(value) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"must be a list of strings, not {value!r}")
    return tuple(parts)


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be a string, not {value!r}")
    return value


def _whole(value: Any, _: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be a whole number, not {value!r}")
    return value


def _number(value: Any, _: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"must be a number, not {value!r}")
    return float(value)


def _truth(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be true or false, not {value!r}")
    return value


_converter = cattrs.Converter(forbid_extra_keys=True)
_converter.register_structure_hook(str, _text)
_converter.register_structure_hook(int, _whole)
_converter.register_structure_hook(bool, _truth)
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _words)


def _structure(values: Mapping[str, Any], where: str) -> Config:
    for section, value in values.items():
        if not isinstance(value, Mapping):
            raise Invalid(f"{where}: {section}: must be a table, not {value!r}", field=section)
    try:
        return _converter.structure(values, Config)
    except cattrs.BaseValidationError as group:
        field, problem = _explain(group, ())
        raise Invalid(f"{where}: {field}: {problem}", field=field) from None


def _explain(error: BaseException, path: tuple[str, ...]) -> tuple[str, str]:
    """Return the setting that the first error inside *error* is about, and what is wrong."""
    if isinstance(error, cattrs.BaseValidationError):
        inner = error.exceptions[0]
        notes = getattr(inner, "__notes__", ())
        names = [note.name for note in notes if isinstance(note, AttributeValidationNote)]
        return _explain(inner, (*path, *names[:1]))
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = ", ".join(field.name for field in attrs.fields(error.cl))
        return ".".join((*path, min(error.extra_fields))), f"unknown; known are: {known}"
    if isinstance(error, _OutOfRange):
        path = (*path, error.args[1])
    return ".".join(path), str(error.args[0])
