"""A device in a network of its own, which speaks through pipes until it has a link.

Run as `python -m tests.support.turn_device ROLE SERVERS`. Lines are hexadecimal.
"""

import asyncio
import sys

import msgspec

from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport.ice_servers import IceServers
from transport.switchboard import DialError, Switchboard

GREETING = bytes(range(256)) * 2_000


async def heard() -> bytes:
    """Wait for a line and return its bytes."""
    return bytes.fromhex(await asyncio.to_thread(sys.stdin.readline))


def say(message: bytes | str) -> None:
    """Write a line."""
    text = message if isinstance(message, str) else message.hex()
    print(text, flush=True)  # noqa: T201 - the network carries it


async def dial(servers: IceServers) -> None:
    """Dial the other device and send it half a megabyte and back."""

    async def carry(offer: bytes) -> bytes:
        say(offer)
        return await heard()

    async with Switchboard(LOWER, ROSTER.get, servers=servers) as here:
        try:
            link = await here.dial(HIGHER.device, carry)
        except DialError as error:
            say(error.failure.name)
            return
        await link.send(GREETING, is_bulk=True)
        assert await link.receive() == GREETING
        say("LINKED")


async def answer(servers: IceServers) -> None:
    """Answer one offer, and send back one frame."""
    async with Switchboard(HIGHER, ROSTER.get, servers=servers) as here:
        say(await here.answer(await heard()) or b"")
        link = await here.accept()
        await link.send(await link.receive(), is_bulk=True)
        await asyncio.Event().wait()


async def main() -> None:
    """Wait for the network to be there, then do what the role asks."""
    await heard()
    servers = msgspec.json.decode(sys.argv[2], type=IceServers)
    async with asyncio.timeout(40):
        await (dial(servers) if sys.argv[1] == "dial" else answer(servers))


if __name__ == "__main__":
    asyncio.run(main())
