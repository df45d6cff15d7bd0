"""The worker behind the integration tests.

It serves the task queue `manifest-test` of the server at TEMPORAL_ADDRESS with Workflows that
echo, hold, sleep, fail and continue as new on request. Prints `ready` once it polls.
"""

import asyncio
import base64
import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TASK_QUEUE = "manifest-test"


@workflow.defn(dynamic=True)
class Anything:
    """Any type not listed below, `Echo` among them."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        workflow_type = workflow.info().workflow_type
        if workflow_type != "Echo":
            # An unknown type fails the run, so that a typing error in a test does not hang it.
            raise ApplicationError(
                f"the test worker has no Workflow {workflow_type}",
                type="UnknownWorkflow",
                non_retryable=True,
            )
        return echo(args)


def echo(args: Sequence[RawValue]) -> Any:
    """The arguments as one JSON list.

    JSON text is passed through as it came, because Python would print a number such as 1e400 or
    1.0 in its own way. Null stays null; anything else becomes {"encoding": ..., "base64": ...}.
    """
    parts = []
    for arg in args:
        encoding = arg.payload.metadata.get("encoding", b"").decode()
        if encoding == "binary/null":
            parts.append(b"null")
        elif encoding in ("json/plain", "json/protobuf"):
            parts.append(arg.payload.data)
        else:
            text = base64.b64encode(arg.payload.data)
            parts.append(b'{"encoding":"%s","base64":"%s"}' % (encoding.encode(), text))
    return RawValue(
        Payload(metadata={"encoding": b"json/plain"}, data=b"[" + b",".join(parts) + b"]")
    )


class Holding:
    """Waits for the signal `release`."""

    def __init__(self) -> None:
        self.released = False
        self.payload: Any = None

    @workflow.signal
    def release(self, payload: Any = None) -> None:
        self.released = True
        self.payload = payload

    async def held(self) -> Any:
        await workflow.wait_condition(lambda: self.released)
        return self.payload


@workflow.defn
class Hold(Holding):
    """Returns what the signal `release` brings."""

    @workflow.run
    async def run(self, _ignored: Any = None) -> Any:
        return await self.held()


@workflow.defn
class Sleep:
    """Sleeps for a number of seconds, and returns it."""

    @workflow.run
    async def run(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds


@workflow.defn
class Fail:
    """Fails with a chain of three errors."""

    @workflow.run
    async def run(self, _ignored: Any = None) -> None:
        try:
            try:
                raise ApplicationError("connection reset by the bank", type="BankOffline")
            except ApplicationError as error:
                raise ApplicationError("the bank did not answer", type="BankSilent") from error
        except ApplicationError as error:
            raise ApplicationError(
                "the card was declined", {"code": 51}, type="CardDeclined", non_retryable=True
            ) from error


@workflow.defn
class ContinueAsNew(Holding):
    """Continues as new `times` times; the last run returns "done", or holds or fails if told to."""

    @workflow.run
    async def run(self, request: dict) -> Any:
        times = int(request.get("times", 1))
        if times > 0:
            workflow.continue_as_new({**request, "times": times - 1})
        if request.get("hold"):
            return await self.held()
        if request.get("fail"):
            raise ApplicationError("told to fail", non_retryable=True)
        return "done"


@workflow.defn
class FailOnce(Holding):
    """Fails in its first attempt under a retry policy; the second returns or holds."""

    @workflow.run
    async def run(self, request: Optional[dict] = None) -> Any:
        attempt = workflow.info().attempt
        if attempt == 1:
            raise ApplicationError("the first attempt always fails", type="FirstAttempt")
        if (request or {}).get("hold"):
            return await self.held()
        return {"attempt": attempt}


@workflow.defn
class TimesOut:
    """Never ends by itself; the start gives it a run timeout."""

    @workflow.run
    async def run(self, _ignored: Any = None) -> None:
        await workflow.wait_condition(lambda: False)


async def main() -> None:
    client = await Client.connect(os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"))
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Anything, Hold, Sleep, Fail, ContinueAsNew, FailOnce, TimesOut],
        # The Workflows above are deterministic by inspection, and the sandbox costs start time.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        await until_polling(client)
        print("ready", flush=True)
        await asyncio.Event().wait()


async def until_polling(client: Client) -> None:
    """Asks the server until it has seen this worker's poll."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    while True:
        described = await client.workflow_service.describe_task_queue(request)
        if any(poller.identity == client.identity for poller in described.pollers):
            return
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
