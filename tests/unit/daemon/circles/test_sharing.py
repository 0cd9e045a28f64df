"""Work that many ask for is done once, and never for who asked after it was done."""

import asyncio

from daemon.circles.sharing import Shared


async def test_who_asks_in_the_moment_of_the_end_has_it_done_again() -> None:
    """Between the end of the work and the loop's word of it, a new request waits."""
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1
        asyncio.get_running_loop().call_soon(asked.append, asyncio.create_task(again()))

    async def again() -> None:
        if done < 2:
            await shared()

    asked: list[asyncio.Task[None]] = []
    shared = Shared(work)

    await shared()
    while done < 2 or not asked:
        await asyncio.sleep(0)
    await asyncio.gather(*asked)

    assert done == 2
    assert not shared.is_running
