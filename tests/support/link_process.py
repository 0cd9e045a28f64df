"""A device in a process of its own: answers offers, and sends back what it receives.

Run as `python -m tests.support.link_process`; prints the port of its endpoint.
"""

import asyncio

from tests.support.meeting import HIGHER, ROSTER
from transport.endpoint import Endpoint
from transport.link import Link, LinkClosedError
from transport.switchboard import Switchboard


async def echo(link: Link) -> None:
    """Send back what comes, until the link is over."""
    try:
        while True:
            await link.send(await link.receive())
    except LinkClosedError:
        return


async def main() -> None:
    """Serve until killed."""
    async with (
        Switchboard(HIGHER, ROSTER.get) as switchboard,
        Endpoint(0, {"signal": switchboard.answer}) as endpoint,
        asyncio.TaskGroup() as tasks,
    ):
        print(endpoint.port, flush=True)  # noqa: T201 - it is what the test waits for
        while True:
            tasks.create_task(echo(await switchboard.accept()))


if __name__ == "__main__":
    asyncio.run(main())
