"""The event processor as a process, for those who run no Lambda functions."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from reservation_api.bootstrap.operations import open_queue
from reservation_api.config import Config
from reservation_api.entrypoints.lambdas.audit import AuditLog
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.consumer import Consumer
from reservation_api.entrypoints.workers.loops import pause_until, run_loop

_log = logging.getLogger(__name__)


async def run_consumer(config: Config, queue: str, batches: int) -> None:
    """Work off a queue until asked to end, so many batches at once; lines go to standard output.

    Raises ConfigError, and EventBusUnavailableError if the queue can not be read at the start.
    """
    shutdown = Shutdown(config.process.shutdown_seconds)
    shutdown.listen()
    async with AsyncExitStack() as stages:
        stages.callback(shutdown.done)
        opened = await stages.enter_async_context(open_queue(config, queue))
        stopping = asyncio.Event()
        consumer = Consumer(opened, AuditLog(sys.stdout.buffer), stopping)
        # First of all: a queue that is not there, or not ours to read, is a sentence and an exit code.
        await consumer.run_once(wait_seconds=0)
        await stages.enter_async_context(_loops(consumer, stopping, shutdown, batches))
        _log.info("ready")
        await shutdown.asked.wait()
    _log.info("ended")


@asynccontextmanager
async def _loops(
    consumer: Consumer, stopping: asyncio.Event, shutdown: Shutdown, batches: int
) -> AsyncIterator[None]:
    pause = pause_until(stopping)
    tasks = [asyncio.create_task(run_loop(consumer.work, stopping, pause)) for _ in range(batches)]
    try:
        yield
    finally:
        shutdown.enter("finishing batches", lambda: sum(not task.done() for task in tasks))
        stopping.set()
        await asyncio.gather(*tasks)
