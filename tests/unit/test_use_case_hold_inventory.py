"""Holding over an inventory that can not be believed, or knows better."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.clock import FakeClock
from tests.support.process import Process
from tests.support.sales import free_seats, of, relay, selling

from reservation_api.domain.errors import (
    InventoryUnavailableError,
    StoreUnavailableError,
)
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import Money, Seat, SeatId, to_iso
from reservation_api.ports.inventory import Inventory, ReserveSeats, SeatHold

SEATS: Final = 6
HOLD: Final = timedelta(seconds=60)
GRACE: Final = timedelta(seconds=60)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def process(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Process]:
    async with selling(SEATS, tmp_path, clock) as opened:
        yield opened


class RememberingInventory:
    """Remembers what it was asked to reserve, and changes what it answers."""

    def __init__(self, inventory: Inventory, change: Callable[[SeatHold], SeatHold] = lambda a: a) -> None:
        self._inventory = inventory
        self._change = change
        self.asked: list[ReserveSeats] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        self.asked.append(request)
        return self._change(await self._inventory.reserve(request))


def asking(process: Process, inventory: RememberingInventory) -> Process:
    return Process(replace(process.ports, inventory=inventory), process.clock)


async def test_the_inventory_keeps_the_seats_a_grace_longer_and_never_sees_the_subjects_key(
    process: Process, clock: FakeClock
) -> None:
    inventory = RememberingInventory(process.ports.inventory)
    hold = of(await asking(process, inventory).hold("alice", "secret key", ["A-1-1"]))
    (request,) = inventory.asked
    assert request.expires_at == hold.hold_expires_at + GRACE
    assert request.idempotency_key == f"{hold.reservation_id}:hold:0"
    assert "secret key" not in repr(request)


async def test_a_hold_is_never_longer_than_ours_though_the_inventory_offers_more(
    process: Process, clock: FakeClock
) -> None:
    generous = RememberingInventory(
        process.ports.inventory, lambda a: replace(a, expires_at=a.expires_at + timedelta(hours=1))
    )
    hold = of(await asking(process, generous).hold("alice", "k", ["A-1-1"]))
    assert hold.hold_expires_at == clock.now() + HOLD


def other_prices(answer: SeatHold, *prices: Money) -> SeatHold:
    seats = [replace(seat, price=price) for seat, price in zip(answer.seats, prices, strict=True)]
    return replace(answer, seats=tuple(seats))


STRANGE: Final = Seat(SeatId("A-1-6"), "A", "1", "6", Money(1000, "KRW"))
WON: Final = Money(1000, "KRW")
NONSENSE: Final[dict[str, Callable[[SeatHold], SeatHold]]] = {
    "a seat too few": lambda a: replace(a, seats=a.seats[:1]),
    "a seat too many": lambda a: replace(a, seats=(*a.seats, STRANGE)),
    "no seats": lambda a: replace(a, seats=()),
    "one seat twice": lambda a: replace(a, seats=a.seats[:1] * 2),
    "another seat": lambda a: replace(a, seats=(a.seats[0], STRANGE)),
    "two currencies": lambda a: other_prices(a, WON, Money(1, "USD")),
    "no currency": lambda a: other_prices(a, Money(1000, ""), Money(1000, "")),
    "a price below nothing": lambda a: other_prices(a, WON, Money(-1, "KRW")),
    "an expiry without a time zone": lambda a: replace(a, expires_at=a.expires_at.replace(tzinfo=None)),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_not_believed_and_the_hold_is_abandoned(
    process: Process, nonsense: Callable[[SeatHold], SeatHold]
) -> None:
    confused = asking(process, RememberingInventory(process.ports.inventory, nonsense))
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await confused.hold("alice", "k", ["A-1-1", "A-1-2"])
    (given_up,) = process.ports.look().reservations
    assert given_up.status is Status.ABANDONED
    assert await free_seats(process) == SEATS - 2
    await relay(process)
    assert await free_seats(process) == SEATS
    assert of(await process.hold("alice", "k", ["A-1-1", "A-1-2"])).status is Status.HOLD


async def test_seats_that_cost_nothing_are_no_nonsense(process: Process) -> None:
    free = RememberingInventory(process.ports.inventory, lambda a: other_prices(a, Money(0, "KRW")))
    assert of(await asking(process, free).hold("alice", "k", qty=1)).total_amount == Money(0, "KRW")


async def test_any_seats_are_good_if_none_were_named_but_not_any_number(process: Process) -> None:
    def another(answer: SeatHold) -> SeatHold:
        return replace(answer, seats=(STRANGE,) * len(answer.seats))

    confused = asking(process, RememberingInventory(process.ports.inventory, another))
    assert of(await confused.hold("alice", "k", qty=1)).seat_ids == ("A-1-6",)
    with pytest.raises(InventoryUnavailableError, match="1 seats instead of 2"):
        await confused.hold("alice", "l", qty=2)


async def test_an_expiry_in_another_time_zone_is_the_same_instant(process: Process) -> None:
    korean = timezone(timedelta(hours=9))
    inventory = RememberingInventory(
        process.ports.inventory,
        lambda a: replace(a, expires_at=(a.expires_at - timedelta(seconds=20)).astimezone(korean)),
    )
    hold = of(await asking(process, inventory).hold("alice", "k", qty=1))
    assert to_iso(hold.hold_expires_at) == "2026-11-23T12:00:40.000Z"
    assert process.ports.look().reservations == [hold]


async def test_an_abandon_that_could_not_be_written_leaves_the_seats_to_the_inventorys_expiry(
    process: Process, clock: FakeClock
) -> None:
    class FullStore:
        async def transact(self, writes: object) -> None:
            raise StoreUnavailableError(f"no room for {writes}")

        def __getattr__(self, name: str) -> Any:
            return getattr(process.ports.store, name)

    confused = RememberingInventory(process.ports.inventory, lambda a: replace(a, seats=()))
    ports = replace(process.ports, inventory=confused, store=FullStore())
    with pytest.raises(StoreUnavailableError):
        await Process(ports, clock).hold("alice", "k", qty=1)
    assert process.ports.look().reservations == []
    clock.advance((HOLD + GRACE).total_seconds() - 0.001)
    assert await free_seats(process) == SEATS - 1
    clock.advance(0.001)
    assert await free_seats(process) == SEATS


async def test_an_extension_that_was_answered_asks_the_inventory_no_more(process: Process) -> None:
    inventory = RememberingInventory(process.ports.inventory)
    buyer = asking(process, inventory)
    hold = of(await buyer.hold("alice", "k", qty=1))
    first = await buyer.extend("alice", "extend", hold.reservation_id, 60)
    asked = list(inventory.asked)
    again = await buyer.extend("alice", "extend", hold.reservation_id, 60)
    assert (again.reservation, again.replayed) == (first.reservation, True)
    assert inventory.asked == asked
