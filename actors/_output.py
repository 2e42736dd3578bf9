"""The output of a command: its end is kept, and what a profile understands of it."""

from __future__ import annotations

from ._report import Hear, Lines, Report
from ._runner import Outcome, OutcomeKind, Progress

MAX_OUTPUT_CHARS = 4_000


class Output:
    """What a command wrote, however much that was."""

    def __init__(self, hear: Hear) -> None:
        self._end = b""
        self._lines = Lines()
        self._hear = hear
        self._report = Report()

    def add(self, chunk: bytes) -> None:
        """Take note of *chunk*."""
        self._end = (self._end + chunk)[-4 * MAX_OUTPUT_CHARS :]
        for event in self._lines.feed(chunk):
            self._report = self._hear(self._report, event)

    def outcome(self, code: int | None, remark: str = "") -> Outcome:
        """Judge by the exit code, and by what the command reported of itself.

        Args:
            code: negative where a signal ended the command.
            remark: is added to the reason where the command was refused something.
        """
        said, text = self._report, self._text()
        why = said.failure if code == 0 else _how(code, text)
        if why and "permission denied" in text.lower():
            why = f"{why}{remark}"
        kind = OutcomeKind.FAILED if why else OutcomeKind.SUCCEEDED
        return Outcome(kind, why or "", said.words or text, said.tokens, said.cost_usd)

    @property
    def progress(self) -> Progress:
        """What it told, and reported of itself, so far."""
        said = self._report
        return Progress(said.words or self._text(), said.tokens, said.cost_usd)

    def _text(self) -> str:
        return self._end.decode("utf-8", "replace")[-MAX_OUTPUT_CHARS:].strip()


def _how(code: int | None, output: str) -> str:
    last = output.splitlines()[-1] if output else "no output"
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"{how}: {last[:200]}"
