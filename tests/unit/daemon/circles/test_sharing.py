"""Work that many ask for is done once, and never for who asked after it was done."""

import asyncio

from daemon.circles.sharing import Shared


async def test_who_asks_in_the_moment_of_the_end_has_it_done_again() -> None:
    """Between the end of the work and the loop's word of it, a new request waits."""
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1
        asked.append(asyncio.create_task(again()))

    async def again() -> None:
        while done < 2:
            await shared()
        is_over.set()

    asked: list[asyncio.Task[None]] = []
    is_over = asyncio.Event()
    shared = Shared(work)

    await shared()
    await is_over.wait()
    await asyncio.gather(*asked)

    assert done == 2
    assert not shared.is_running
