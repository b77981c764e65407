"""Peers on real sockets: inventories that are served, peers that answer by script, and clients of both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from tests.support.clock import FakeClock
from tests.support.venues import HOLD, wanted

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import CallContext, GrpcPeer, PeerSettings
from reservation_api.entrypoints.grpc.inventory_server import InventoryServer
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

PATIENT_SECONDS = 20.0
"""A deadline for tests that are not about deadlines: this machine may be busy."""

Reply = TypeVar("Reply", bound=Message)
Script = Callable[[bytes, Any], Awaitable[bytes]]
"""Of a serialised request and its context; the bytes of the reply."""

EXPIRES_AT = FakeClock().now() + HOLD
ASK = wanted("r1", "A-1-1", EXPIRES_AT)
SEAT = types.Seat(id="A-1-1", price=types.Money(amount=1, currency="KRW"))
HELD = wire.ReserveSeatResponse(
    reserved_seats=[SEAT], hold_expires_at=EXPIRES_AT, status=wire.HOLD_STATUS_ACTIVE
).SerializeToString()
"""What `hold` answers to ASK."""


async def hang(_: bytes, __: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


async def hold(_: bytes, __: Any) -> bytes:
    return HELD


class Retries:
    """A budget of so many retries; it counts what it was asked."""

    def __init__(self, allowed: int = 0) -> None:
        self.allowed = allowed
        self.asked = 0

    def allow_retry(self) -> bool:
        self.asked += 1
        return self.asked <= self.allowed


class CannedPeer:
    """Answers every call with one reply, or one status, without a wire; it keeps what it was asked."""

    def __init__(self, answer: Message | grpc.StatusCode) -> None:
        self._answer = answer
        self.asked: list[tuple[str, Message, bool]] = []

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        self.asked.append((path, request, repeatable))
        if isinstance(self._answer, grpc.StatusCode):
            raise grpc.aio.AioRpcError(self._answer)
        return reply_type.FromString(self._answer.SerializeToString())

    async def close(self) -> None:
        self.asked.clear()


class ScriptedPeer(grpc.GenericRpcHandler):
    """A server that answers each method by a script, and keeps the calls in order."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        self.calls: list[str] = []
        self.metadata: list[dict[str, str | bytes]] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        method = handler_call_details.method.rpartition("/")[2]
        script = self._scripts.get(method)
        if script is None:
            return None

        async def answer(request: bytes, context: Any) -> bytes:
            self.calls.append(method)
            self.metadata.append(dict(context.invocation_metadata()))
            return await script(request, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def listening(
    handler: grpc.GenericRpcHandler, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """Serve on a free port, and give the port."""
    server = grpc.aio.server(handlers=[handler])
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@asynccontextmanager
async def served(inventory: Inventory, clock: Clock) -> AsyncIterator[str]:
    """Serve an inventory as the product does, and give its address."""
    server = InventoryServer(inventory, clock)
    port = await server.start("127.0.0.1:0")
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(
    address: str,
    *,
    seconds: float = PATIENT_SECONDS,
    retries: Retries | None = None,
    context: CallContext | None = None,
) -> AsyncIterator[GrpcInventory]:
    """Open a client of an inventory, as the product does."""
    settings = PeerSettings(deadline_seconds=seconds)
    inventory = GrpcInventory(GrpcPeer(parse_address(address), settings, retries or Retries(), context))
    try:
        yield inventory
    finally:
        await inventory.close()
