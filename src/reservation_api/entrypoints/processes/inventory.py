"""The built-in inventory as a process of its own, which others call over gRPC."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from reservation_api.bootstrap import PURGE_BATCH_SIZE
from reservation_api.bootstrap.embedded import InventoryService, open_inventory
from reservation_api.config import Config
from reservation_api.entrypoints.grpc.inventory_server import InventoryServer
from reservation_api.entrypoints.processes.port import why_grpc_does_not_listen
from reservation_api.entrypoints.processes.sending import telling_traces
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.background import PURGE_PAUSE_SECONDS
from reservation_api.entrypoints.workers.loops import Work, pause_until, run_loop

_log = logging.getLogger(__name__)


async def run_inventory(config: Config, host: str, port: int, tls: tuple[bytes, bytes] | None = None) -> None:
    """Serve until asked to end, and delete what is over meanwhile; `tls` is key and certificate as PEM.

    Raises StoreUnavailableError, PortUnavailableError, or ConfigError if gRPC does not take the certificate.
    """
    shutdown = Shutdown(config.process.shutdown_seconds)
    shutdown.listen()
    async with AsyncExitStack() as stages:
        stages.callback(shutdown.done)
        service = open_inventory(config)
        stages.callback(service.close)
        await stages.enter_async_context(telling_traces(service, config.telemetry, shutdown))
        await stages.enter_async_context(_purge(service, shutdown))
        await stages.enter_async_context(_server(service, (host, port), tls, shutdown))
        _log.info("ready")
        await shutdown.asked.wait()
    _log.info("ended")


@asynccontextmanager
async def _purge(service: InventoryService, shutdown: Shutdown) -> AsyncIterator[None]:
    async def purge_once() -> int:
        return await service.purge(service.clock.now(), PURGE_BATCH_SIZE)

    stopping = asyncio.Event()
    work = Work("purge of holds", purge_once, PURGE_BATCH_SIZE, PURGE_PAUSE_SECONDS)
    task = asyncio.create_task(run_loop(work, stopping, pause_until(stopping)))
    try:
        yield
    finally:
        shutdown.enter("finishing background work")
        stopping.set()
        await task


@asynccontextmanager
async def _server(
    service: InventoryService, address: tuple[str, int], tls: tuple[bytes, bytes] | None, shutdown: Shutdown
) -> AsyncIterator[None]:
    host, port = address
    server = InventoryServer(service.inventory, service.clock, service.tracer)
    try:
        await server.start(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", tls)
    except RuntimeError as error:
        raise why_grpc_does_not_listen(address, error, by_tls=tls is not None) from error
    try:
        yield
    finally:
        shutdown.enter("finishing calls")
        await server.stop()
