"""A demo worker for the manifests in `manifests/demo`.

    pip install -r requirements.txt
    python worker.py

It connects to TEMPORAL_ADDRESS (default localhost:7233), serves the task queues `greetings` and
`billing`, and prints `ready` once the server has seen it poll both. Stop it with Ctrl-C.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker


@dataclass
class Bill:
    customer: str
    cents: int


@dataclass
class Invoice:
    invoice: str
    customer: str
    cents: int


@dataclass
class Night:
    day: str


@activity.defn
async def charge(bill: Bill) -> Invoice:
    """Pretends to charge a card."""
    if bill.cents <= 0:
        raise ApplicationError(
            f"cannot charge {bill.cents} cents", type="InvalidAmount", non_retryable=True
        )
    number = activity.info().workflow_id
    return Invoice(invoice=f"INV-{number}", customer=bill.customer, cents=bill.cents)


@workflow.defn
class Greet:
    """Greets by name."""

    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}!"


@workflow.defn
class BillCustomer:
    """Waits for the bank's clearing time, which is short here, and charges the customer."""

    @workflow.run
    async def run(self, bill: Bill) -> Invoice:
        await asyncio.sleep(1)
        return await workflow.execute_activity(
            charge, bill, start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn
class NightlyReport:
    """Closes the books of a day."""

    @workflow.run
    async def run(self, night: Night) -> str:
        await asyncio.sleep(0.5)
        return f"The books of {night.day} are closed."


async def until_polled(client: Client, queue: str) -> None:
    """Asks the server until it has seen this process poll `queue`."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    while True:
        described = await client.workflow_service.describe_task_queue(request)
        if any(poller.identity == client.identity for poller in described.pollers):
            return
        await asyncio.sleep(0.05)


async def main() -> None:
    address = os.environ.get("TEMPORAL_ADDRESS", "localhost:7233")
    client = await Client.connect(address)
    greetings = Worker(client, task_queue="greetings", workflows=[Greet])
    billing = Worker(
        client,
        task_queue="billing",
        workflows=[BillCustomer, NightlyReport],
        activities=[charge],
    )
    async with greetings, billing:
        await until_polled(client, "greetings")
        await until_polled(client, "billing")
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
