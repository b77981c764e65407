"""What goes on beside the requests: expiry, the relay's slow path, and deleting what is over."""

import asyncio
from collections.abc import Iterator
from functools import partial

from reservation_api.application import expire, relay
from reservation_api.bootstrap import MAX_COUNTED_FAILURES, PURGE_BATCH_SIZE, Purge, Service
from reservation_api.entrypoints.workers.loops import Pause, Work, run_loop
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import Outbox, OutboxStatus, OutboxType
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Gauge

EXPIRY_PAUSE_SECONDS = 0.5
"""A hold blocks its seats for so much longer than it says: invariant 6 allows seconds."""
RELAY_PAUSE_SECONDS = 1.0
PURGE_PAUSE_SECONDS = 30.0
"""Rows that are over count as absent anyway: this is about the size of the file."""
MEASURE_PAUSE_SECONDS = 10.0
"""The alarm on the outbox looks at minutes."""


def works_of(service: Service) -> Iterator[Work]:
    """List all background work; any number of processes may do it beside each other."""
    yield Work("expiry", service.expire.run_once, expire.BATCH_SIZE, EXPIRY_PAUSE_SECONDS)
    for kind in OutboxType:
        # One loop for each type: an outage of the bus keeps no release waiting.
        run_once = partial(service.relay.run_once, kind)
        yield Work(f"relay of {kind.value}", run_once, relay.BATCH_SIZE, RELAY_PAUSE_SECONDS)
    oldest = service.metrics.gauge(names.OUTBOX_OLDEST_PENDING_AGE)
    failed = service.metrics.gauge(names.OUTBOX_FAILED)
    measure = partial(_measure, service.outbox, service.clock, oldest, failed)
    yield Work("measure of the outbox", measure, 1, MEASURE_PAUSE_SECONDS)
    for name, purge in service.purges.items():
        run_once = partial(_purge, purge, service.clock)
        yield Work(f"purge of {name}", run_once, PURGE_BATCH_SIZE, PURGE_PAUSE_SECONDS)


async def run_background(service: Service, stopping: asyncio.Event, pause: Pause) -> None:
    """Do all background work until asked to stop; batches under way are finished first."""
    async with asyncio.TaskGroup() as group:
        for work in works_of(service):
            group.create_task(run_loop(work, stopping, pause), name=work.name)


async def _measure(outbox: Outbox, clock: Clock, oldest: Gauge, failed: Gauge) -> int:
    """Set how long the oldest row waits, and how many were given up; what can not be seen stays as it was."""
    rows = await outbox.list(OutboxStatus.PENDING, 1)
    oldest.set(max(0.0, (clock.now() - rows[0].created_at).total_seconds()) if rows else 0.0)
    failed.set(len(await outbox.list(OutboxStatus.FAILED, MAX_COUNTED_FAILURES)))
    return 0


async def _purge(purge: Purge, clock: Clock) -> int:
    return await purge(clock.now(), PURGE_BATCH_SIZE)
