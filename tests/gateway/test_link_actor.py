from __future__ import annotations

from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._link import Gateway, GatewayLink
from mission_control.supervisor import ChildSpec, open_system

from .fake_gateway import TOKEN, FakeGateway


async def test_the_link_lives_as_long_as_its_actor_and_tells_no_token() -> None:
    fake = FakeGateway()
    async with fake.serving():
        gateway = Gateway(GatewayAddress(fake.url, TOKEN))
        async with open_system("test") as system:
            link = await system.root.start_child(ChildSpec("gateway", GatewayLink, args=(gateway,)))
            assert link is not None
            assert await gateway.wait_connected() == "boot-1"
            state = await link.get_state()
            assert state == {
                "url": fake.url,
                "boot_id": "boot-1",
                "why_away": None,
                "left_alone": False,
            }
        assert not gateway.connected
