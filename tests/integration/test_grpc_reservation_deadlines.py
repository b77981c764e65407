"""A client that goes away leaves a call at some await; its retry finds things as they ought to be."""

import asyncio
from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.support.grpc_reservations import Served, request_of, served, until

from reservation_proto.reservation.v1 import reservation_pb2 as wire

HOLD = {"event_id": "evt_1", "quantity": 2, "idempotency_key": "k"}


class Pausing:
    """An inventory that stops once in front of, or behind, its next `reserve` or `commit`."""

    def __init__(self, inventory: Any) -> None:
        self._inventory = inventory
        self.pause: str | None = None
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inventory, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._stop_at(f"before {name}")
            result = await method(*args, **kwargs)
            await self._stop_at(f"after {name}")
            return result

        return call

    async def _stop_at(self, where: str) -> None:
        if self.pause == where:
            self.pause = None
            self.paused.set()
            await self.resumed.wait()


class Scene:
    """A server whose inventory pauses."""

    def __init__(self) -> None:
        self.inventory = Pausing(None)

    def around(self, inventory: Any) -> Pausing:
        self.inventory = Pausing(inventory)
        return self.inventory


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Served, Scene]]:
    scene = Scene()
    async with served(tmp_path, around_inventory=scene.around) as running:
        yield running, scene


async def nobody_works(running: Served) -> None:
    await until(lambda: running.server.in_flight == 0)


async def leave(running: Served, scene: Scene, call: Any) -> None:
    """Go away when the call has come to its pause."""
    await scene.inventory.paused.wait()
    assert running.server.in_flight == 1
    call.cancel()
    await nobody_works(running)


@pytest.mark.parametrize("where", ["before reserve", "after reserve"])
async def test_a_hold_left_half_way_is_taken_up_by_its_retry(scene: tuple[Served, Scene], where: str) -> None:
    running, paused = scene
    paused.inventory.pause = where
    call = running.client().start("CreateReservation", request_of("CreateReservation", **HOLD))
    await leave(running, paused, call)
    assert running.ports.look().reservations == []
    reply = await running.client().ask("CreateReservation", **HOLD)
    assert [seat.id for seat in reply.reserved_seats] == ["A-1-1", "A-1-2"]
    [reservation] = running.ports.look().reservations
    assert reservation.reservation_id == reply.reservation_id
    others = await running.client("user-2").create(quantity=4)
    assert not others.HasField("error")


@pytest.mark.parametrize("where", ["before commit", "after commit"])
async def test_a_confirm_left_half_way_is_finished_by_its_retry(
    scene: tuple[Served, Scene], where: str
) -> None:
    running, paused = scene
    held = await running.client().create()
    fields = {
        "reservation_id": held.reservation_id,
        "payment_intent_id": "pi_1",
        "idempotency_key": "c",
    }
    paused.inventory.pause = where
    call = running.client().start("ConfirmReservation", request_of("ConfirmReservation", **fields))
    await leave(running, paused, call)
    [fenced] = running.ports.look().reservations
    assert fenced.intent is not None
    reply = await running.client().ask("ConfirmReservation", **fields)
    assert reply.status == wire.RESERVATION_STATUS_CONFIRMED
    assert [order.order_id for order in running.ports.look().orders] == [reply.order_id]


async def test_a_deadline_that_passes_is_told_by_the_status(scene: tuple[Served, Scene]) -> None:
    running, paused = scene
    paused.inventory.pause = "after reserve"
    request = request_of("CreateReservation", **HOLD)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.client().start("CreateReservation", request, seconds=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await nobody_works(running)
    assert not (await running.client().ask("CreateReservation", **HOLD)).HasField("error")


async def test_a_command_that_is_left_has_its_log_line(
    scene: tuple[Served, Scene], caplog: pytest.LogCaptureFixture
) -> None:
    running, paused = scene
    paused.inventory.pause = "before reserve"
    with caplog.at_level("INFO", "reservation_api.grpc"):
        call = running.client().start("CreateReservation", request_of("CreateReservation", **HOLD))
        await leave(running, paused, call)
    [record] = caplog.records
    assert record.__dict__["fields"].status == "CANCELLED"


async def test_a_stop_waits_for_calls_under_way(scene: tuple[Served, Scene]) -> None:
    running, paused = scene
    paused.inventory.pause = "before reserve"
    call = running.client().start("CreateReservation", request_of("CreateReservation", **HOLD))
    reply = asyncio.ensure_future(_reply(call))
    await paused.inventory.paused.wait()
    stopping = asyncio.create_task(running.server.stop(20))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not stopping.done()
    paused.inventory.resumed.set()
    assert not (await reply).HasField("error")
    await stopping


async def test_calls_that_outlast_the_grace_are_cancelled(scene: tuple[Served, Scene]) -> None:
    running, paused = scene
    paused.inventory.pause = "before reserve"
    call = running.client().start("CreateReservation", request_of("CreateReservation", **HOLD))
    first = asyncio.ensure_future(_reply(call))
    await paused.inventory.paused.wait()
    await running.server.stop(0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await first
    assert caught.value.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    await nobody_works(running)


async def _reply(call: Any) -> Any:
    return await call
