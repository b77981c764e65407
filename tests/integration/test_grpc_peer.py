"""Calls over real sockets: deadlines, retries, and peers that misbehave."""

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.support.grpc_peers import (
    ASK,
    HELD,
    PATIENT_SECONDS,
    SEAT,
    Retries,
    Script,
    ScriptedPeer,
    connected,
    hang,
    hold,
    listening,
)
from tests.support.venues import EVENT, names, return_of, sale

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import CallContext, GrpcPeer, PeerSettings
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.ports.inventory import CommitOutcome, Inventory
from reservation_api.ports.request_context import Trace
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

TRACE = "0af7651916cd43dd8448eb211c80319c"
SOLD = wire.CommitReservationResponse(
    sold_seats=[SEAT], status=wire.COMMIT_STATUS_SUCCESS
).SerializeToString()
SUCCESSES = {
    "ReserveSeat": HELD,
    "CommitReservation": SOLD,
    "ReleaseHold": wire.ReleaseHoldResponse(status=wire.RELEASE_STATUS_SUCCESS).SerializeToString(),
    "CheckAvailability": b"",
    "GetInventoryStatus": wire.GetInventoryStatusResponse(event=types.Event(id=EVENT)).SerializeToString(),
}
REPEATED = sorted(SUCCESSES.keys() - {"CommitReservation"})


def failing(times: int, status: grpc.StatusCode, answer: bytes) -> Script:
    """Abort so many times, then answer."""
    left = iter(range(times))

    async def script(_: bytes, context: Any) -> bytes:
        if next(left, None) is not None:
            await context.abort(status, "not now")
        return answer

    return script


async def ask(inventory: Inventory, method: str) -> object:
    match method:
        case "ReserveSeat":
            return await inventory.reserve(ASK)
        case "CommitReservation":
            return await inventory.commit(sale("r1", "A-1-1"))
        case "ReleaseHold":
            return await inventory.release(return_of("r1", "A-1-1"))
        case "CheckAvailability":
            return await inventory.availability(EVENT)
        case _:
            return await inventory.status(EVENT)


@pytest.mark.parametrize("method", REPEATED)
async def test_a_call_that_may_be_repeated_is_sent_once_more(method: str) -> None:
    peer = ScriptedPeer({method: failing(1, grpc.StatusCode.UNAVAILABLE, SUCCESSES[method])})
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=Retries(9)) as inventory:
        assert await ask(inventory, method) is not None
    assert peer.calls == [method] * 2


@pytest.mark.parametrize("method", REPEATED)
async def test_a_call_is_sent_no_more_than_twice(method: str) -> None:
    peer = ScriptedPeer({method: failing(9, grpc.StatusCode.UNAVAILABLE, b"")})
    retries = Retries(9)
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=retries) as inventory:
        with pytest.raises(InventoryUnavailableError):
            await ask(inventory, method)
    assert (len(peer.calls), retries.asked) == (2, 1)


async def test_a_commit_is_sent_once_whatever_happens() -> None:
    peer = ScriptedPeer({"CommitReservation": failing(1, grpc.StatusCode.UNAVAILABLE, SOLD)})
    retries = Retries(9)
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=retries) as inventory:
        with pytest.raises(InventoryUnavailableError):
            await inventory.commit(sale("r1", "A-1-1"))
        assert (len(peer.calls), retries.asked) == (1, 0)
        assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD


async def test_a_call_is_not_repeated_without_a_budget() -> None:
    peer = ScriptedPeer({"ReserveSeat": failing(1, grpc.StatusCode.UNAVAILABLE, HELD)})
    retries = Retries(0)
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=retries) as inventory:
        with pytest.raises(InventoryUnavailableError):
            await inventory.reserve(ASK)
    assert (len(peer.calls), retries.asked) == (1, 1)


@pytest.mark.parametrize(
    "status",
    [status for status in grpc.StatusCode if status not in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}],
)
async def test_no_other_status_is_worth_a_second_try(status: grpc.StatusCode) -> None:
    peer = ScriptedPeer({"ReserveSeat": failing(1, status, HELD)})
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=Retries(9)) as inventory:
        with suppress(Exception):
            await inventory.reserve(ASK)
    assert len(peer.calls) == 1


async def test_a_peer_that_is_not_there_is_unavailable_at_once() -> None:
    async with listening(ScriptedPeer({})) as port:
        pass
    async with connected(f"127.0.0.1:{port}") as inventory:
        with pytest.raises(InventoryUnavailableError, match="UNAVAILABLE"):
            await inventory.reserve(ASK)


async def test_a_peer_that_comes_back_is_used_again() -> None:
    async with listening(ScriptedPeer({"ReserveSeat": hold})) as port:
        inventory = GrpcInventory(GrpcPeer(parse_address(f"127.0.0.1:{port}"), PeerSettings(), Retries()))
        await inventory.reserve(ASK)
    with pytest.raises(InventoryUnavailableError):
        await inventory.reserve(ASK)
    server = grpc.aio.server(handlers=[ScriptedPeer({"ReserveSeat": hold})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    async with asyncio.timeout(PATIENT_SECONDS):
        answer = None
        while answer is None:
            with suppress(InventoryUnavailableError):
                answer = await inventory.reserve(ASK)
    assert names(answer) == "A-1-1"
    await inventory.close()
    await server.stop(None)


async def elapsed_until_unavailable(inventory: Inventory) -> float:
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    with pytest.raises(InventoryUnavailableError):
        await inventory.reserve(ASK)
    return loop.time() - began_at


async def test_an_answer_is_waited_for_until_the_deadline_and_no_longer() -> None:
    async with listening(ScriptedPeer({"ReserveSeat": hang})) as port:
        address = parse_address(f"127.0.0.1:{port}")
        inventory = GrpcInventory(GrpcPeer(address, PeerSettings(), Retries(9)))
        assert 0.2 < await elapsed_until_unavailable(inventory) < 5
        await inventory.close()


async def test_the_peer_is_told_the_deadline() -> None:
    told = []

    async def script(_: bytes, context: Any) -> bytes:
        told.append(context.time_remaining())
        return HELD

    async with (
        listening(ScriptedPeer({"ReserveSeat": script})) as port,
        connected(f"127.0.0.1:{port}", seconds=5) as inventory,
    ):
        await inventory.reserve(ASK)
    assert 0 < told[0] <= 5.5  # the wire has three digits, rounded up


async def test_a_second_try_has_only_what_is_left_of_the_deadline() -> None:
    left = []

    async def script(request: bytes, context: Any) -> bytes:
        left.append(context.time_remaining())
        if len(left) > 1:
            return await hang(request, context)
        while context.time_remaining() > 0.3:  # noqa: ASYNC110 (the time that passes is the peer's own)
            await asyncio.sleep(0)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return b""

    peer = ScriptedPeer({"ReserveSeat": script})
    async with (
        listening(peer) as port,
        connected(f"127.0.0.1:{port}", seconds=0.5, retries=Retries(9)) as inventory,
    ):
        assert 0.4 < await elapsed_until_unavailable(inventory) < 5
    assert left[1] <= 0.3


async def test_a_request_with_less_time_left_waits_less() -> None:
    async with listening(ScriptedPeer({"ReserveSeat": hang})) as port:
        context = CallContext(seconds_left=lambda: 0.05)
        async with connected(f"127.0.0.1:{port}", context=context) as inventory:
            assert await elapsed_until_unavailable(inventory) < PATIENT_SECONDS / 2


async def test_a_request_with_more_time_left_keeps_to_the_deadline() -> None:
    async with listening(ScriptedPeer({"ReserveSeat": hang})) as port:
        context = CallContext(seconds_left=lambda: 60.0)
        async with connected(f"127.0.0.1:{port}", seconds=0.1, context=context) as inventory:
            assert await elapsed_until_unavailable(inventory) < PATIENT_SECONDS / 2


@pytest.mark.parametrize("left", [0.0, -1.0])
async def test_a_request_without_time_left_asks_nobody(left: float) -> None:
    context = CallContext(seconds_left=lambda: left)
    peer = GrpcPeer(parse_address("127.0.0.1:1"), PeerSettings(), Retries(), context)
    with pytest.raises(InventoryUnavailableError, match="DEADLINE"):
        await GrpcInventory(peer).reserve(ASK)
    assert peer._channel._keeper is None  # not even a connection was tried


async def test_calls_carry_the_trace_of_the_request_with_a_span_of_their_own() -> None:
    peer = ScriptedPeer({"ReserveSeat": hold})
    async with listening(peer) as port:
        context = CallContext(trace=lambda: Trace(TRACE, is_sampled=True))
        async with connected(f"127.0.0.1:{port}", context=context) as inventory:
            await inventory.reserve(ASK)
            await inventory.reserve(ASK)
        async with connected(f"127.0.0.1:{port}") as inventory:
            await inventory.reserve(ASK)
    first, second, third = (str(sent.get("traceparent")).split("-") for sent in peer.metadata)
    assert first[:2] == second[:2] == ["00", TRACE]
    assert first[3] == second[3] == "01"
    assert first[2] != second[2]
    assert len(first[2]) == 16
    assert third == ["None"]


async def test_calls_name_the_span_that_they_are_part_of_and_pass_on_the_state() -> None:
    peer = ScriptedPeer({"ReserveSeat": hold})
    trace = Trace(TRACE, is_sampled=True, span_id="00f067aa0ba902b7", state="congo=t61rcWkgMzE")
    async with listening(peer) as port:
        context = CallContext(trace=lambda: trace)
        async with connected(f"127.0.0.1:{port}", context=context) as inventory:
            await inventory.reserve(ASK)
    [sent] = peer.metadata
    assert sent["traceparent"] == f"00-{TRACE}-00f067aa0ba902b7-01"
    assert sent["tracestate"] == "congo=t61rcWkgMzE"


async def test_a_garbled_reply_is_no_answer() -> None:
    async def garbage(_: bytes, __: Any) -> bytes:
        return b"\xff\xff\xff"

    scripts = dict.fromkeys(SUCCESSES, garbage)
    async with listening(ScriptedPeer(scripts)) as port, connected(f"127.0.0.1:{port}") as inventory:
        for method in SUCCESSES:
            with pytest.raises(InventoryUnavailableError):
                await ask(inventory, method)


async def test_an_endless_reply_is_no_answer() -> None:
    async def endless(_: bytes, __: Any) -> bytes:
        return wire.ReserveSeatResponse(hold_id="x" * 5_000_000).SerializeToString()

    async with (
        listening(ScriptedPeer({"ReserveSeat": endless})) as port,
        connected(f"127.0.0.1:{port}") as inventory,
    ):
        with pytest.raises(InventoryUnavailableError):
            await inventory.reserve(ASK)


async def test_a_closed_client_asks_nobody_and_may_be_closed_again() -> None:
    peer = ScriptedPeer({"ReserveSeat": hold})
    async with listening(peer) as port, connected(f"127.0.0.1:{port}", retries=Retries(9)) as inventory:
        await inventory.reserve(ASK)
        await inventory.close()
        await inventory.close()
        with pytest.raises(InventoryUnavailableError):
            await inventory.reserve(ASK)
    assert len(peer.calls) == 1


async def test_a_call_that_closing_cut_off_is_unavailable_not_cancelled() -> None:
    arrived = asyncio.Event()

    async def arrive(request: bytes, context: Any) -> bytes:
        arrived.set()
        return await hang(request, context)

    async with listening(ScriptedPeer({"ReserveSeat": arrive})) as port:
        settings = PeerSettings(deadline_seconds=PATIENT_SECONDS)
        peer = GrpcPeer(parse_address(f"127.0.0.1:{port}"), settings, Retries())
        call = asyncio.create_task(GrpcInventory(peer).reserve(ASK))
        await arrived.wait()
        await peer._channel.close(None)  # peer.close() would wait for the call's deadline
        with pytest.raises(InventoryUnavailableError, match="CANCELLED"):
            await call
        await peer.close()


async def test_a_caller_that_gives_up_ends_its_call_at_the_peer() -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def arrive(request: bytes, context: Any) -> bytes:
        arrived.set()
        try:
            return await hang(request, context)
        finally:
            ended.set()

    async with (
        listening(ScriptedPeer({"ReserveSeat": arrive})) as port,
        connected(f"127.0.0.1:{port}") as inventory,
    ):
        call = asyncio.create_task(inventory.reserve(ASK))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(ended.wait(), PATIENT_SECONDS)
