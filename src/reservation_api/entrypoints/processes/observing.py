"""What lets others see a process: its metrics for those beside it, and the actuator on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reservation_api.application.health import Readiness
from reservation_api.bootstrap import Service
from reservation_api.entrypoints.http.granian_server import HttpServer
from reservation_api.entrypoints.http.management import ManagementApi
from reservation_api.entrypoints.processes.port import PortUnavailableError
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.loops import keep_running
from reservation_api.telemetry import names
from reservation_api.telemetry.loop_lag import LoopLag
from reservation_api.telemetry.metrics import Metrics, Siblings
from reservation_api.telemetry.siblings import PUBLISH_SECONDS


@asynccontextmanager
async def telemetry(service: Service, siblings: Siblings | None, shutdown: Shutdown) -> AsyncIterator[None]:
    """Measure and tell for as long as the process works: what it does at its very end is told, too."""
    metrics = service.metrics
    lag = LoopLag(asyncio.get_running_loop())
    metrics.watch(names.EVENT_LOOP_LAG, (), lag.greatest_milliseconds)
    tasks: list[asyncio.Task[None]] = []
    if siblings is not None:
        metrics.join(siblings)
        publish = keep_running("publishing metrics", lambda: _publish_forever(metrics), asyncio.sleep)
        tasks.append(asyncio.create_task(publish))
    try:
        yield
    finally:
        shutdown.enter("telling the last of the metrics")
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        metrics.publish()
        lag.stop()


async def _publish_forever(metrics: Metrics) -> None:
    while True:
        metrics.publish()
        await asyncio.sleep(PUBLISH_SECONDS)


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
