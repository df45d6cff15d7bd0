"""Starts Workflows as a script with the Python SDK does: a client, a semaphore, a loop.

What the service refuses is tried again by the SDK, as it does by itself; what it gives up on is
counted, and the loop goes on.
"""

import asyncio
import os
import sys

from temporalio.client import Client
from temporalio.service import RPCError


async def main(address: str, parallelism: int, starts: int) -> None:
    client = await Client.connect(address)
    slots = asyncio.Semaphore(parallelism)
    failed = 0

    async def start(number: int) -> None:
        nonlocal failed
        try:
            await client.start_workflow(
                "Bench",
                {"customer": f"customer-{number}", "cents": number},
                id=f"python-{number}",
                task_queue="bench",
            )
        except RPCError:
            failed += 1
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for number in range(starts):
            await slots.acquire()
            group.create_task(start(number))
    print(f"{failed} of {starts} failed", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    sys.stderr.flush()
    # The SDK's threads have been seen to crash while the interpreter shuts down.
    os._exit(0)
