"""The Gateway's token is read from the file that the settings name, each time it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.config import GatewaySettings
from mission_control.gateway import gateway_token
from mission_control.storage import Invalid


def test_the_token_is_what_stands_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    settings = GatewaySettings("ws://127.0.0.1:1", str(tmp_path / "token"))
    assert gateway_token(settings) == "secret"


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing", "No such file"), ("binary", "it holds no text"), (".", "Is a directory")],
)
def test_a_file_without_a_token_is_named_with_the_reason(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00secret")
    settings = GatewaySettings("ws://127.0.0.1:1", str(tmp_path / name))
    with pytest.raises(Invalid, match=why) as refused:
        gateway_token(settings)
    assert refused.value.details["field"] == "gateway.token_file"
    assert "secret" not in refused.value.message
