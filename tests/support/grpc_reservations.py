"""The reservation service on a real socket over SQLite, and clients of it, for the files beside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from tests.support.api import NamedTokens, make_use_cases, offer_to_nobody, ready
from tests.support.clock import FakeClock
from tests.support.faults import DecliningInventory
from tests.support.overload import unhurried
from tests.support.runtimes import Ports, sqlite_on_disk
from tests.support.venues import venue

from reservation_api.application.health import Health
from reservation_api.application.use_cases import UseCases
from reservation_api.bootstrap.counting import counting_moves
from reservation_api.entrypoints.grpc.reservation_server import ReservationServer, ReservationServerSettings
from reservation_api.telemetry.metrics import Metrics
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.reservation.v1 import reservation_pb2 as wire

SERVICE = "reservation.v1.ReservationService"
PATIENT_SECONDS = 20.0
"""A deadline for tests that are not about deadlines: this machine may be busy."""
ON_A_FREE_PORT = ReservationServerSettings(port=0)
TRUSTED = ReservationServerSettings(port=0, trusted=True)


class Client:
    """Calls the service's methods; a token of None sends none."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None = "user-1") -> None:
        self._channel = channel
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    def start(
        self, name: str, request: Message, *more: tuple[str, str], seconds: float | None = PATIENT_SECONDS
    ) -> "grpc.aio.UnaryUnaryCall[Any, Any]":
        """Begin a call."""
        method: Any = self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(wire, f"{name}Response").FromString,
        )
        call: grpc.aio.UnaryUnaryCall[Any, Any] = method(
            request, metadata=(*self._metadata, *more), timeout=seconds
        )
        return call

    async def ask(self, name: str, **fields: Any) -> Any:
        """Return the reply of a method."""
        return await self.start(name, request_of(name, **fields))

    async def create(self, key: str = "k", **fields: Any) -> wire.CreateReservationResponse:
        """Hold one seat of evt_1, unless the fields say otherwise."""
        reply: wire.CreateReservationResponse = await self.ask(
            "CreateReservation", **{"event_id": "evt_1", "quantity": 1, "idempotency_key": key, **fields}
        )
        return reply


@dataclass(frozen=True, slots=True)
class Served:
    """A server, and what is behind it."""

    port: int
    server: ReservationServer
    health: Health
    metrics: Metrics
    clock: FakeClock
    ports: Ports
    channel: grpc.aio.Channel

    def client(self, token: str | None = "user-1") -> Client:
        """Return a client with this token."""
        return Client(self.channel, token)


def request_of(name: str, **fields: Any) -> Any:
    """Make the request of a method."""
    return getattr(wire, f"{name}Request")(**fields)


def named(error: codes.Error) -> str:
    """Return the short name of an error's code."""
    return codes.ErrorCode.Name(error.code).removeprefix("ERROR_CODE_")


def faults(error: codes.Error) -> list[tuple[str, str, str]]:
    """Return the details of an error."""
    return [(detail.field, detail.reason, detail.value) for detail in error.details]


@asynccontextmanager
async def sold_from(
    folder: Path, clock: FakeClock, rows: Sequence[str] = ("......",)
) -> AsyncIterator[Ports]:
    """Open a runtime with one event, evt_1; its inventory declines the payment pi_declined."""
    async with sqlite_on_disk(folder) as open_process:
        ports = open_process(clock)
        await ports.load_event(venue({"A": rows}))
        inventory: Any = DecliningInventory(ports.inventory)
        yield replace(ports, inventory=inventory)


def served(
    folder: Path, settings: ReservationServerSettings = ON_A_FREE_PORT, **more: Any
) -> AbstractAsyncContextManager[Served]:
    """Serve as `serving` does, but turn nobody away: the settings' guards would on a busy machine."""
    return serving(folder, replace(settings, guards=unhurried()), **more)


@asynccontextmanager
async def serving(
    folder: Path,
    settings: ReservationServerSettings,
    *,
    use_cases: UseCases | None = None,
    tokens: Any = None,
    around_inventory: Callable[[Any], Any] | None = None,
) -> AsyncIterator[Served]:
    """Serve a fresh runtime, or these use cases, and connect to it."""
    clock, metrics, health = FakeClock(), Metrics(), ready()
    async with sold_from(folder, clock) as runtime:
        ports = runtime
        if around_inventory is not None:
            ports = replace(runtime, inventory=around_inventory(runtime.inventory))
        offer = counting_moves(offer_to_nobody, metrics, clock)
        commands = use_cases or make_use_cases(ports, clock, offer=offer)
        parts = (commands, tokens or NamedTokens(), health, metrics)
        server = ReservationServer(*parts, settings)
        port = await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Served(port, server, health, metrics, clock, ports, channel)
        finally:
            await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something is so; the test's own time-out is the bound."""
    for _ in repeat(None):
        if condition():
            return
        await asyncio.sleep(0)
