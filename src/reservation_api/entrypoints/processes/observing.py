"""What lets others see a process: its metrics for those beside it, and the actuator on a port of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

from reservation_api.application.health import Readiness
from reservation_api.bootstrap import Service
from reservation_api.entrypoints.http.management import ManagementApi
from reservation_api.entrypoints.http.server import HttpServer
from reservation_api.entrypoints.processes.port import PortUnavailableError
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.loops import Work, pause_until, run_loop
from reservation_api.telemetry import names
from reservation_api.telemetry.emf import EmfWriter
from reservation_api.telemetry.line_sink import sink_of
from reservation_api.telemetry.logs import dropped_lines
from reservation_api.telemetry.loop_lag import LoopLag
from reservation_api.telemetry.metrics import Metrics, Siblings
from reservation_api.telemetry.siblings import SHARE_SECONDS

LOGS = "logs"
"""The signal, as its drops are counted."""


@asynccontextmanager
async def telemetry(service: Service, siblings: Siblings | None, shutdown: Shutdown) -> AsyncIterator[None]:
    """Measure and tell for as long as the process works: what it does at its very end is told, too."""
    metrics, stopping = service.metrics, asyncio.Event()
    lag = LoopLag(asyncio.get_running_loop())
    metrics.watch(names.EVENT_LOOP_LAG, (), lag.greatest_milliseconds)
    metrics.watch(names.TELEMETRY_DROPPED, (LOGS,), dropped_lines)
    if siblings is not None:
        metrics.join(siblings)
    tasks = [asyncio.create_task(tell) for tell in _tellers(service, stopping)]
    try:
        yield
    finally:
        shutdown.enter("telling the last of metrics and traces")
        stopping.set()
        await asyncio.gather(*tasks)
        lag.stop()


def _tellers(service: Service, stopping: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
    """Say who is told; each ends by itself when the process does, within a bounded time."""
    config, metrics = service.config.telemetry, service.metrics
    yield _share(metrics, stopping)
    if config.otlp is not None or config.traces is not None:
        # An HTTP client and Protocol Buffers: a process that sends nothing starts sooner.
        from reservation_api.entrypoints.processes.sending import senders  # noqa: PLC0415

        yield from senders(service, config, stopping)
    if config.emf:
        yield EmfWriter(metrics, service.clock.now, sink_of(sys.stdout)).run(stopping)


async def _share(metrics: Metrics, stopping: asyncio.Event) -> None:
    async def share() -> int:
        metrics.share()
        return 0

    work = Work("sharing metrics", share, batch_size=1, pause_seconds=SHARE_SECONDS)
    await run_loop(work, stopping, pause_until(stopping))
    metrics.share()


@asynccontextmanager
async def management(service: Service, shutdown: Shutdown, *, alone: bool) -> AsyncIterator[None]:
    """Serve the actuator on APP_MANAGEMENT_PORT, if that is set, for longer than anything else is served.

    `alone`: there is no traffic for which the process could be ready.
    """
    port, host = service.config.http.management_port, service.config.http.host
    if port is None:
        yield
        return
    server = HttpServer(ManagementApi(service.health, service.metrics), host, port)
    try:
        await server.start()
    except OSError as error:
        raise PortUnavailableError(host, port, error) from error
    if alone:
        service.health.readiness = Readiness.ACCEPTING_TRAFFIC
    try:
        yield
    finally:
        service.health.readiness = Readiness.REFUSING_TRAFFIC
        shutdown.enter("ending the actuator")
        await server.stop()
