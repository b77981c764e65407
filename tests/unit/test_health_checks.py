"""Checks of services that all processes share: they drain nobody, and whoever asks often asks nobody else."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.clock import FakeClock

from reservation_api.adapters.sqlite.venues import demo_plan, load_event
from reservation_api.application.command import Command
from reservation_api.application.deliver import Delivery, Verdict
from reservation_api.application.health import CHECK_SECONDS, Component, ComponentStatus, Health
from reservation_api.application.hold import SeatsWanted
from reservation_api.bootstrap import build
from reservation_api.bootstrap.checks import (
    LATE_SECONDS,
    REMEMBERED_SECONDS,
    SHARED_SECONDS,
    BusHealth,
    shared,
)
from reservation_api.config import load
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.values import EventId, OutboxId, UserId, to_iso
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType

UP = Component(ComponentStatus.UP)


class Store:
    """Counts how often it is looked at, and is out if told so."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_out = False

    async def check(self) -> Component:
        self.looks += 1
        await asyncio.sleep(0)
        if self.is_out:
            raise StoreUnavailableError("no answer in 1 s")
        return UP


class Watch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_shared_service_that_is_out_is_unknown_and_not_this_processs_failure() -> None:
    store, watch = Store(), Watch()
    look = shared(store.check, watch)
    assert await look() == UP
    store.is_out = True
    watch.seconds += REMEMBERED_SECONDS
    seen = await look()
    assert (seen.status, seen.details) == (ComponentStatus.UNKNOWN, {"error": "no answer in 1 s"})


async def test_many_who_ask_at_once_make_one_look() -> None:
    store, watch = Store(), Watch()
    look = shared(store.check, watch)
    assert await asyncio.gather(*(look() for _ in range(50))) == [UP] * 50
    watch.seconds += REMEMBERED_SECONDS - 0.001
    await look()
    assert store.looks == 1
    watch.seconds += 0.001
    await look()
    assert store.looks == 2


async def test_a_shared_service_that_does_not_answer_is_unknown_before_the_check_is_down() -> None:
    asked = 0

    async def hang() -> Component:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return UP

    look = shared(hang, Watch(), seconds=0.01)
    found = await asyncio.gather(*(Health({"outbox": look}).components() for _ in range(3)))
    unknown = Component(ComponentStatus.UNKNOWN, {"error": "no answer within 0.01 s"})
    assert [one["outbox"] for one in found] == [unknown] * 3
    assert asked == 1
    assert SHARED_SECONDS < CHECK_SECONDS


async def test_checks_are_made_at_once() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> Component:
        await both.wait()
        return UP

    assert await Health({"one": meet, "other": meet}).components() == {"one": UP, "other": UP}


class Deliveries:
    """Delivers events, or not, as told."""

    def __init__(self) -> None:
        self.verdict = Verdict.DONE
        self.error: str | None = None

    async def __call__(self, entries: Sequence[OutboxEntry]) -> list[Delivery]:
        return [Delivery(entry, self.verdict, self.error) for entry in entries]


def row(kind: OutboxType) -> OutboxEntry:
    now = FakeClock().now()
    return OutboxEntry(OutboxId("rsv_1.1"), kind, "rsv_1", "{}", "t", now, now, now)


async def test_the_bus_is_as_the_last_event_found_it() -> None:
    clock, deliver = FakeClock(), Deliveries()
    bus = BusHealth(clock)
    carry = bus.watching(deliver)
    assert (await bus.check()).status is ComponentStatus.UP

    deliver.verdict, deliver.error = Verdict.OUTAGE, "no answer"
    await carry([row(OutboxType.RELEASE_SEATS)])
    assert (await bus.check()).status is ComponentStatus.UP, "seats are not released over the bus"
    await carry([row(OutboxType.RESERVATION_CREATED)])
    seen = await bus.check()
    assert (seen.status, seen.details["last_error"]) == (ComponentStatus.UNKNOWN, "no answer")
    assert seen.details["last_published"] is None

    clock.advance(5)
    deliver.verdict, deliver.error = Verdict.DONE, None
    await carry([row(OutboxType.RESERVATION_STATUS_CHANGED)])
    seen = await bus.check()
    assert (seen.status, seen.details["last_published"]) == (ComponentStatus.UP, to_iso(clock.now()))


async def test_an_outbox_that_lags_or_has_given_up_is_unknown(tmp_path: Path) -> None:
    clock = FakeClock()
    service = build(load({"APP_DATA_DIR": str(tmp_path)}), clock)
    await load_event(service.database, demo_plan())
    await service.use_cases.hold(
        Command(UserId("alice"), "k", "hash", "trace"), SeatsWanted(EventId("evt_demo"), 1)
    )

    async def seen() -> tuple[ComponentStatus, float, int]:
        part = (await service.health.components())["outbox"]
        return part.status, part.details["lag_seconds"], part.details["failed"]

    clock.advance(LATE_SECONDS)
    assert await seen() == (ComponentStatus.UP, LATE_SECONDS, 0)
    clock.advance(1)
    assert await seen() == (ComponentStatus.UNKNOWN, LATE_SECONDS + 1, 0)
    (entry,) = await service.outbox.list(OutboxStatus.PENDING, 2)
    await service.outbox.update(entry, replace(entry, status=OutboxStatus.FAILED))
    assert await seen() == (ComponentStatus.UNKNOWN, 0, 1)
    await service.close()


async def test_a_check_that_hangs_is_down_in_time() -> None:
    async def hang() -> Component:
        await asyncio.Event().wait()
        return UP

    health = Health({"disk": hang}, check_seconds=0.01)
    assert (await health.components())["disk"] == Component(
        ComponentStatus.DOWN, {"error": "no answer within 0.01 s"}
    )


async def test_the_health_of_the_embedded_service_has_every_part_with_detail(tmp_path: Path) -> None:
    service = build(load({"APP_DATA_DIR": str(tmp_path)}), FakeClock())
    found = await service.health.components()
    assert {name: part.status for name, part in found.items()} == dict.fromkeys(
        ("store", "inventory", "eventBus", "outbox", "diskSpace"), ComponentStatus.UP
    )
    assert all(part.details for part in found.values())
    await service.close()


async def test_an_inventory_that_can_not_be_reached_is_unknown_and_moves_no_breaker(tmp_path: Path) -> None:
    settings = {"APP_DATA_DIR": str(tmp_path), "INVENTORY_GRPC_ADDRESS": "127.0.0.1:9"}
    service = build(load(settings), FakeClock())
    found = await service.health.components()
    assert found["inventory"].status is ComponentStatus.UNKNOWN
    assert found["inventory"].details["error"]
    assert found["circuitBreakers"].details["inventory"]["buffered_calls"] == 0
    await service.close()


async def test_a_bug_in_a_check_is_not_hidden() -> None:
    async def broken() -> Component:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await shared(broken, Watch())()
