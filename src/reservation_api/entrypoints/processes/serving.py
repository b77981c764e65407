"""One process: what it does between its start and its end, stage by stage."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from reservation_api.application.health import Readiness
from reservation_api.application.relay import FastRelay
from reservation_api.bootstrap import Service, build
from reservation_api.config import Config
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.server import HttpServer
from reservation_api.entrypoints.overload.guards import OverloadGuards, open_guards
from reservation_api.entrypoints.processes.lifeline import watch_lifeline
from reservation_api.entrypoints.processes.observing import management, telemetry
from reservation_api.entrypoints.processes.port import PortUnavailableError
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.background import run_background
from reservation_api.entrypoints.workers.loops import keep_running, pause_until
from reservation_api.telemetry.metrics import Siblings
from reservation_api.telemetry.names import REQUESTS_IN_FLIGHT

GARBAGE_THRESHOLDS = (20_000, 50, 1_000)
"""Requests leave no cycles to speak of, and a collection costs each a few microseconds: look seldom."""
FLUSH_SECONDS = 5.0
"""For the rows of the last requests; what is left is in the outbox, and the slow path has it."""

_log = logging.getLogger(__name__)

OnReady = Callable[[Service], None]


class ServerEndedError(Exception):
    """The process can not serve any more; whoever supervises it starts another."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a process does."""

    serves: bool = False
    """HTTP, and gRPC if it has a port."""
    works: bool = False
    """Does the background work: expiry, the relay's slow path, purges."""
    lifeline: int | None = None
    """The reading end of the pipe whose other end the parent keeps."""
    siblings: Siblings | None = None
    """The parent's other children."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What HTTP and gRPC have in common in a process."""

    service: Service
    shutdown: Shutdown
    guards: OverloadGuards
    shares_port: bool


async def run_process(config: Config, role: Role, on_ready: OnReady | None = None) -> None:
    """Do a role until asked to end; the stages of the end are those of the start, backwards.

    Raises ConfigError, StoreUnavailableError, PortUnavailableError or ServerEndedError.
    """
    shutdown = Shutdown(config.process.shutdown_seconds)
    shutdown.listen()
    if role.lifeline is not None:
        watch_lifeline(role.lifeline, partial(_end_as_orphan, role, shutdown))
    async with AsyncExitStack() as stages:
        stages.callback(shutdown.done)
        service = await stages.enter_async_context(_open_service(config, shutdown))
        await stages.enter_async_context(telemetry(service, role.siblings, shutdown))
        await stages.enter_async_context(_fast_relay(service.fast_relay, shutdown))
        await stages.enter_async_context(management(service, shutdown, alone=not role.serves))
        if role.works:
            await stages.enter_async_context(_background(service, shutdown))
        if role.serves:
            serving = Serving(service, shutdown, _guards(service), shares_port=role.lifeline is not None)
            await stages.enter_async_context(_grpc(serving))
            await stages.enter_async_context(_http(serving))
        if on_ready is not None:
            on_ready(service)
        _set_garbage_collection()
        _log.info("ready")
        await shutdown.asked.wait()
    _log.info("ended")


def _guards(service: Service) -> OverloadGuards:
    config = service.config
    guards = open_guards(config.overload, config.rate_limit, service.waited_seconds)
    guards.show_in(service.metrics)
    return guards


def _end_as_orphan(role: Role, shutdown: Shutdown) -> None:
    shutdown.ask("the parent is gone")
    if role.siblings is not None:
        role.siblings.leave()


def _set_garbage_collection() -> None:
    """Leave out what is there by now, which lives as long as the process, and look seldom at the rest.

    It is not collected before: it is hardly garbage, and looking at all of it takes a tenth of a start.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@asynccontextmanager
async def _open_service(config: Config, shutdown: Shutdown) -> AsyncIterator[Service]:
    service = build(config)
    try:
        yield service
    finally:
        shutdown.enter("closing the store")
        await service.close()


@asynccontextmanager
async def _fast_relay(relay: FastRelay, shutdown: Shutdown) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_running("the fast relay", relay.run_forever, asyncio.sleep))
    try:
        yield
    finally:
        shutdown.enter("flushing the relay")
        try:
            await asyncio.wait_for(relay.flush(), FLUSH_SECONDS)
        except TimeoutError:
            _log.warning("outbox rows are left to the slow path")
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _background(service: Service, shutdown: Shutdown) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(run_background(service, stopping, pause_until(stopping)))
    try:
        yield
    finally:
        shutdown.enter("finishing background work")
        stopping.set()
        await task


def _grpc(serving: Serving) -> AbstractAsyncContextManager[None]:
    """Serve on GRPC_PORT, if there is one."""
    grpc = serving.service.config.grpc
    if grpc is None:
        return nullcontext()
    # gRPC's server with health and reflection: a process without a port for it starts sooner.
    from reservation_api.entrypoints.processes.serving_grpc import serving_grpc  # noqa: PLC0415

    return serving_grpc(serving, grpc)


@asynccontextmanager
async def _http(serving: Serving) -> AsyncIterator[None]:
    """Serve; at the end refuse readiness, keep serving until the balancer has seen it, then stop."""
    service, shutdown = serving.service, serving.shutdown
    api = Api(service.use_cases, service.tokens, service.health, service.clock, service.metrics)
    api.trace_by(service.tracer)
    api.guards = serving.guards
    address = service.config.http
    if address.management_port is not None:
        api.leave_operators_to_another_port()
    server = HttpServer(api, address.host, address.port)
    service.metrics.watch(REQUESTS_IN_FLIGHT, (), lambda: server.in_flight)
    try:
        await server.start()
    except OSError as error:
        raise PortUnavailableError(address.host, address.port, error) from error
    watcher = asyncio.create_task(watch_server(server, shutdown))
    service.health.readiness = Readiness.ACCEPTING_TRAFFIC
    try:
        yield
    finally:
        service.health.readiness = Readiness.REFUSING_TRAFFIC
        server.drain()
        shutdown.enter("draining", lambda: server.in_flight)
        await asyncio.wait([watcher], timeout=service.config.process.drain_seconds)
        if watcher.done():
            await watcher
        shutdown.enter("finishing requests", lambda: server.in_flight)
        watcher.cancel()
        await server.stop()


class Ending(Protocol):
    """What may end although nobody asked it to."""

    async def wait_stopped(self) -> None:
        """Return when it has ended; raises what ended it."""
        ...


async def watch_server(server: Ending, shutdown: Shutdown) -> None:
    """Wait for an end that nobody asked for, and ask for that of the process; raises ServerEndedError."""
    try:
        await server.wait_stopped()
    except Exception as error:
        shutdown.ask("the HTTP server has failed")
        raise ServerEndedError(f"the HTTP server has failed: {error}") from error
    shutdown.ask("the HTTP server has ended")
    raise ServerEndedError("the HTTP server has ended by itself")
