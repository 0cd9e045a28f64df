"""A process that takes part in discovery and prints what it finds, line by line.

Run as `python -m tests.support.discovering NUMBER PORT`; it begins with the first line
of its input, when its network is ready, and ends with the last.
"""

import asyncio
import json
import sys
import time

from crdt.ids import DeviceId
from crdt.space_keys import new_space_keys
from transport.discovery import (
    Discovery,
    DiscoveryEvent,
    Found,
    Lost,
    Silenced,
    pairing_offers,
)
from transport.local_addresses import local_addresses
from transport.tokens import Ring, ring

KEYS = new_space_keys(bytes(32))
MEMBERS = [DeviceId(bytes([number]) * 16) for number in range(1, 9)]


def known_to(number: int) -> Ring:
    """Return whom the device with this number knows, and itself."""
    return ring(MEMBERS[number - 1], MEMBERS, KEYS)


def shown(event: DiscoveryEvent) -> dict[str, object]:
    """Return an event as JSON shows it."""
    match event:
        case Found(device, addresses):
            return {"found": device[0], "at": [str(each) for each in addresses]}
        case Lost(device):
            return {"lost": device[0]}
        case Silenced(cause):
            return {"silenced": cause}


def say(line: dict[str, object]) -> None:
    """Print one line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def take_part(number: int, port: int) -> None:
    """Announce a device and tell what it finds."""
    async with Discovery(
        port,
        ring=lambda: known_to(number),
        local=local_addresses,
        clock_ms=lambda: int(time.time() * 1000),
    ) as discovery:
        with discovery.offering(number, bytes([number]) * 16):
            while True:
                for event in await discovery.next_events():
                    say(shown(event))


async def look_for(nameplate: int) -> None:
    """Tell where devices wait to be paired under `nameplate`."""
    async with pairing_offers(nameplate, local_addresses()) as next_offer:
        while True:
            say({"offer": [str(each) for each in await next_offer()]})


async def until_input_ends(number: int, port: int) -> None:
    """Take part, or look for a nameplate if there is no port, until told to stop."""
    work = take_part(number, port) if port else look_for(number)
    task = asyncio.ensure_future(work)
    await asyncio.to_thread(sys.stdin.read)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    sys.stdin.readline()
    asyncio.run(until_input_ends(int(sys.argv[1]), int(sys.argv[2])))
