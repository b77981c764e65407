"""The inventory as a server: health, reflection, faults that tell nothing, and an end that waits."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from tests.contract.inventories import InventoryUnderTest, one_process
from tests.support.clock import FakeClock
from tests.support.grpc_peers import PATIENT_SECONDS, connected, served
from tests.support.venues import EVENT, HOLD, names, venue, wanted

from reservation_api.adapters.grpc_inventory.requests import reserve_request
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.entrypoints.grpc.inventory_server import InventoryServer
from reservation_api.ports.inventory import ReserveSeats, SeatHold
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.reservation.v1 import inventory_pb2 as wire

SERVICE = "reservation.v1.InventoryService"
TRACE = "0af7651916cd43dd8448eb211c80319c"
GRPCURL = Path(sys.executable).with_name("grpcurl")


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[InventoryUnderTest]:
    async with one_process(tmp_path) as opened:
        await opened.load_event(venue({"A": ["....", "...B"]}))
        yield opened


@pytest.fixture
async def address(local: InventoryUnderTest) -> AsyncIterator[str]:
    async with served(local.inventory, local.clock) as address:
        yield address


async def call(address: str, path: str, request: bytes, metadata: Any = None) -> bytes:
    async with grpc.aio.insecure_channel(address) as channel:
        method: Any = channel.unary_unary(path)
        answer: bytes = await method(request, timeout=PATIENT_SECONDS, metadata=metadata)
    return answer


async def health(address: str, service: str = "") -> health_pb2.HealthCheckResponse.ServingStatus:
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    answer = await call(address, "/grpc.health.v1.Health/Check", request)
    return health_pb2.HealthCheckResponse.FromString(answer).status


async def reserve(address: str, request: ReserveSeats, metadata: Any = None) -> wire.ReserveSeatResponse:
    message = reserve_request(request).SerializeToString()
    answer = await call(address, f"/{SERVICE}/ReserveSeat", message, metadata)
    return wire.ReserveSeatResponse.FromString(answer)


async def test_health_is_told_for_the_server_and_for_its_service(address: str) -> None:
    assert await health(address) == health_pb2.HealthCheckResponse.SERVING
    assert await health(address, SERVICE) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await health(address, "reservation.v1.Other")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_refusal_carries_the_trace_of_the_call_that_was_refused(
    local: InventoryUnderTest, address: str
) -> None:
    unknown = wanted("r1", "Z-9-9", local.clock.now() + HOLD)
    metadata = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
    reply = await reserve(address, unknown, metadata)
    assert reply.error.code == codes.ERROR_CODE_INVALID_ARGUMENT
    assert reply.error.trace_id == TRACE
    assert len((await reserve(address, unknown)).error.trace_id) == 32


class BrokenInventory:
    """Fails each reserve with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        del request
        raise self._error

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


async def test_a_bug_is_logged_and_its_text_stays_here(caplog: pytest.LogCaptureFixture) -> None:
    inventory: Any = BrokenInventory(KeyError("secret"))
    clock = FakeClock()
    async with served(inventory, clock) as address:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await reserve(address, wanted("r1", 1, clock.now() + HOLD))
    assert told.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(told.value)
    assert any(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)


async def test_an_inventory_without_an_answer_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    inventory: Any = BrokenInventory(InventoryUnavailableError("disk at secret/place"))
    clock = FakeClock()
    async with served(inventory, clock) as address:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await reserve(address, wanted("r1", 1, clock.now() + HOLD))
    assert told.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "secret" not in str(told.value)


async def test_garbage_is_refused_and_the_server_goes_on(local: InventoryUnderTest, address: str) -> None:
    for method in ("ReserveSeat", "CommitReservation", "ReleaseHold", "CheckAvailability"):
        with pytest.raises(grpc.aio.AioRpcError):
            await call(address, f"/{SERVICE}/{method}", b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as too_large:
        await call(address, f"/{SERVICE}/ReserveSeat", b"\x0a" * 300_000)
    assert too_large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await call(address, f"/{SERVICE}/Other", b"")
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (await reserve(address, wanted("r1", 1, local.clock.now() + HOLD))).reserved_seats


async def test_a_port_that_is_taken_is_an_error_not_shared(local: InventoryUnderTest, address: str) -> None:
    second = InventoryServer(local.inventory, local.clock)
    with pytest.raises(RuntimeError):
        await second.start(address)
    await second.stop(0)


class SlowInventory:
    """Answers a reserve when it is let."""

    def __init__(self, local: InventoryUnderTest) -> None:
        self._local = local
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        self.asked.set()
        await self.may_answer.wait()
        return await self._local.inventory.reserve(request)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


async def test_stopping_refuses_new_calls_and_waits_for_those_under_way(local: InventoryUnderTest) -> None:
    slow = SlowInventory(local)
    inventory: Any = slow
    server = InventoryServer(inventory, local.clock)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    async with connected(address) as client:
        under_way = asyncio.create_task(client.reserve(wanted("r1", "A-1-1", local.clock.now() + HOLD)))
        await slow.asked.wait()
        stopping = asyncio.create_task(server.stop(PATIENT_SECONDS))
        async with connected(address) as late:
            async with asyncio.timeout(PATIENT_SECONDS):
                while not await is_refused(late):
                    pass
        slow.may_answer.set()
        assert names(await under_way) == "A-1-1"
        await stopping
        await server.wait()


async def is_refused(client: Any) -> bool:
    try:
        await client.status(EVENT)
    except InventoryUnavailableError as error:
        return "UNAVAILABLE" in str(error)
    return False


async def test_a_call_that_outlasts_the_stop_is_cut_off(local: InventoryUnderTest) -> None:
    slow = SlowInventory(local)
    inventory: Any = slow
    server = InventoryServer(inventory, local.clock)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    async with connected(address) as client:
        under_way = asyncio.create_task(client.reserve(wanted("r1", "A-1-1", local.clock.now() + HOLD)))
        await slow.asked.wait()
        await server.stop(0)
        with pytest.raises(InventoryUnavailableError):
            await under_way


async def grpcurl(*arguments: str) -> str:
    """Run the real client; it knows nothing of our files but what reflection tells it."""
    process = await asyncio.create_subprocess_exec(
        str(GRPCURL), "-plaintext", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    if process.returncode != 0:
        raise RuntimeError(err.decode())
    return out.decode()


async def grpcurl_or_skip() -> None:
    if shutil.which(GRPCURL) is None:
        pytest.skip("NOT TESTED: grpcurl is not installed; `make test` installs it")
    try:
        await grpcurl("-version")
    except (OSError, RuntimeError) as error:
        pytest.skip(f"NOT TESTED: grpcurl can not run on this machine: {error}")


async def test_grpcurl_finds_the_service_by_reflection_and_calls_it(
    local: InventoryUnderTest, address: str
) -> None:
    await grpcurl_or_skip()
    listed = (await grpcurl(address, "list")).split()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(listed)
    described = await grpcurl(address, "describe", SERVICE)
    assert "rpc ReserveSeat ( .reservation.v1.ReserveSeatRequest )" in described
    request = {
        "reservation_id": "r1",
        "event_id": EVENT,
        "seat_ids": ["A-1-2"],
        "quantity": 1,
        "hold_expires_at": "2026-11-23T12:01:00Z",
        "idempotency_key": "r1:hold:0",
    }
    answer = json.loads(await grpcurl("-d", json.dumps(request), address, f"{SERVICE}/ReserveSeat"))
    assert answer["hold_expires_at"] == "2026-11-23T12:01:00Z"
    assert answer["status"] == "HOLD_STATUS_ACTIVE"
    assert answer["reserved_seats"] == [
        {
            "id": "A-1-2",
            "section": "A",
            "row": "1",
            "number": "2",
            "price": {"amount": "120000", "currency": "KRW"},
            "status": "SEAT_STATUS_RESERVED",
        }
    ]
