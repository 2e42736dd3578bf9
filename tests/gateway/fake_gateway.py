"""The one fake Gateway, by a name that is near."""

from __future__ import annotations

from mission_control.testing import TOKEN, FakeGateway, Frame, Peer, answer_nothing

__all__ = ["TOKEN", "FakeGateway", "Frame", "Peer", "answer_nothing"]
