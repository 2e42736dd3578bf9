"""The runtime alone: a worker that crashes is restarted, its sibling does not notice.

Run it: python examples/supervised_workers.py
"""

import logging

import attrs
import trio

from mission_control.supervisor import (
    Actor,
    ChildSpec,
    Intensity,
    Strategy,
    Supervisor,
    open_system,
)


@attrs.frozen
class Divide:
    a: int
    b: int


class Calculator(Actor[Divide]):
    def __init__(self) -> None:
        self.answered = 0

    def receive(self, message: Divide) -> float:
        result = message.a / message.b
        self.answered += 1
        return result


async def main() -> None:
    logging.disable(logging.CRITICAL)  # the crash below is meant
    workers = [ChildSpec("left", Calculator), ChildSpec("right", Calculator)]
    spec = Supervisor.spec(
        "workers", workers, strategy=Strategy.ONE_FOR_ONE, intensity=Intensity(3, period=5.0)
    )
    async with open_system("example") as system:
        supervisor = await system.root.start_child(spec)
        right, left = [child.ref for child in await supervisor.children()]

        left.tell(Divide(1, 0))
        print("left, after its crash:", await left.ask(Divide(10, 4), timeout=1))
        print("right:", await right.ask(Divide(9, 3), timeout=1))
        print("incarnations:", left.incarnation, right.incarnation)


if __name__ == "__main__":
    trio.run(main)
