"""How many lives are ended, and at which moments: `CHAOS_ROUNDS` and `CHAOS_SEED` say."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import attrs
import pytest

from .template import Template, open_template

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "200"))


@attrs.frozen
class Chaos:
    """What every test of this folder is given."""

    template: Template
    seed: int
    rounds: int = ROUNDS


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    seed = int(os.environ.get("CHAOS_SEED", secrets.randbelow(10**9)))
    log = tmp_path_factory.mktemp("chaos") / "lives.log"
    with open_template(log) as template:
        yield Chaos(template, seed)
