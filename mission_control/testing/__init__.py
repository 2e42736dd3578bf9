"""For the tests of programs that embed Mission Control: a Gateway that does as it is told."""

from ._gateway import TOKEN, FakeGateway
from ._peer import Frame, Handler, Peer, Refusal, answer_nothing
from ._script import CallTool, Fail, Hang, Say, Script, Step, Think, Turn, say_done

__all__ = [
    "TOKEN",
    "CallTool",
    "Fail",
    "FakeGateway",
    "Frame",
    "Handler",
    "Hang",
    "Peer",
    "Refusal",
    "Say",
    "Script",
    "Step",
    "Think",
    "Turn",
    "answer_nothing",
    "say_done",
]
