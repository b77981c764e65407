"""Commands while the store or the payment service is not to be called: nothing is left behind anywhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.api import Client, make_api, make_use_cases, offer_to_nobody
from tests.support.clock import FakeClock
from tests.support.guards import WAIT_SECONDS, Admitting, Scripted
from tests.support.process import EVENT as PROCESS_EVENT
from tests.support.process import Process, command
from tests.support.runtimes import Ports, sqlite_on_disk
from tests.support.venues import EVENT, venue
from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.errors import CallNotPermittedError
from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.payments import GuardedPaymentVerifier
from reservation_api.adapters.resilience.settings import BulkheadSettings
from reservation_api.adapters.resilience.store import GuardedReadModel, GuardedStore
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.confirm import Confirm, Payment
from reservation_api.application.extend import Extension
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.domain.errors import PaymentUnavailableError, StoreUnavailableError
from reservation_api.domain.values import PaymentIntentId, ReservationId
from reservation_api.ports.inventory import Inventory, ReserveSeats, SeatHold
from reservation_api.ports.store import ReservationStore

HOLD = {"event_id": EVENT, "qty": 1}


@dataclass(frozen=True, slots=True)
class Shop:
    """A service whose inventory is watched, over a store of which the guard may know nothing good."""

    ports: Ports
    """Unguarded, to look at."""
    guarded: Ports
    store: Admitting
    watched: Scripted
    clock: FakeClock

    @property
    def client(self) -> Client:
        return Client(make_api(make_use_cases(self.guarded, self.clock), self.clock))

    async def world(self) -> object:
        """Everything durable, and what the inventory has."""
        return self.ports.look(), await self.ports.inventory.status(EVENT)

    async def close_the_store(self) -> None:
        """Let the breaker open."""
        await self.store.open_up(
            lambda: self.guarded.store.get_reservation(ReservationId("rsv_none")),
            StoreUnavailableError("no answer"),
        )


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock = FakeClock()
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        await ports.load_event(venue({"A": ["...."]}, EVENT))
        watched = Scripted(ManualClock(), ports.inventory)
        store, read_model = Admitting(ports.store), Admitting(ports.read_model)
        guarded = replace(
            ports,
            store=GuardedStore(store.peer, store.admission),
            read_model=GuardedReadModel(read_model.peer, store.admission),
            inventory=cast("Inventory", watched),
        )
        yield Shop(ports, guarded, store, watched, clock)


async def hold_a_seat(shop: Shop) -> str:
    held = await shop.client.post("/v1/reservations", HOLD, idempotency_key="held")
    reservation_id: str = held.json["reservation_id"]
    shop.watched.calls.clear()
    return reservation_id


async def test_while_the_store_is_out_nobody_takes_seats_and_all_are_told_when_to_come_back(
    shop: Shop,
) -> None:
    path = f"/v1/reservations/{await hold_a_seat(shop)}"
    await shop.close_the_store()
    before = await shop.world()
    client = shop.client
    for answer in (
        await client.post("/v1/reservations", HOLD),
        await client.post(f"{path}/extend", {"seconds": 5}),
        await client.post(f"{path}/confirm", {"payment_intent_id": "pi_1"}),
        await client.post(f"{path}/cancel"),
        await client.get(path),
        await client.get("/v1/reservations"),
    ):
        assert (answer.status, answer.code) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == f"{WAIT_SECONDS:.0f}"
    assert await shop.world() == before
    assert (shop.watched.calls, shop.store.script.calls) == ([], [])


async def test_what_was_refused_works_under_the_same_key_when_the_store_is_back(shop: Shop) -> None:
    await shop.close_the_store()
    refused = await shop.client.post("/v1/reservations", HOLD, idempotency_key="k")
    shop.store.clock.advance(WAIT_SECONDS)
    held = await shop.client.post("/v1/reservations", HOLD, idempotency_key="k")
    assert (refused.status, held.status) == (503, 201)


class Meanwhile:
    """An inventory during whose answer the store gets busy."""

    def __init__(self, inventory: Inventory, happens: Callable[[], object]) -> None:
        self._inventory = inventory
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await self._inventory.reserve(request)
        self._happens()
        return hold


def every_slot_is_taken(shop: Shop) -> None:
    while shop.store.bulkhead.try_acquire():
        pass


def every_trial_call_is_made(shop: Shop) -> None:
    with suppress(CallNotPermittedError):
        while True:
            shop.store.breaker.acquire()


def the_breaker_opens(shop: Shop) -> None:
    shop.store.breaker.force_open()


BUSY = [every_slot_is_taken, every_trial_call_is_made, the_breaker_opens]


@pytest.mark.parametrize("happens", BUSY, ids=lambda it: it.__name__)
@pytest.mark.parametrize("qty", [1, 2], ids=["a hold", "another request under a key that is used"])
async def test_seats_that_were_taken_are_written_down_or_given_back_however_busy_the_store_gets(
    shop: Shop, happens: Callable[[Shop], None], qty: int
) -> None:
    if qty == 2:
        await shop.client.post("/v1/reservations", HOLD, idempotency_key="k")
    await shop.close_the_store()
    shop.store.clock.advance(WAIT_SECONDS)
    inventory = Meanwhile(shop.ports.inventory, lambda: happens(shop))
    guarded = replace(shop.guarded, inventory=cast("Inventory", inventory))
    client = Client(make_api(make_use_cases(guarded, shop.clock), shop.clock))
    answer = await client.post("/v1/reservations", {**HOLD, "qty": qty}, idempotency_key="k")
    assert answer.status in ({201} if qty == 1 else {422, 503})
    shop.clock.advance(10)
    await Process(shop.ports, shop.clock).run_workers()
    availability = await shop.ports.inventory.availability(EVENT)
    assert availability.remaining == 3


@pytest.mark.parametrize("happens", [every_slot_is_taken, the_breaker_opens], ids=lambda it: it.__name__)
async def test_an_extension_is_written_down_however_busy_the_store_gets(
    shop: Shop, happens: Callable[[Shop], None]
) -> None:
    held = await hold_a_seat(shop)
    inventory = Meanwhile(shop.ports.inventory, lambda: happens(shop))
    guarded = replace(shop.guarded, inventory=cast("Inventory", inventory))
    client = Client(make_api(make_use_cases(guarded, shop.clock), shop.clock))
    assert (await client.post(f"/v1/reservations/{held}/extend", {"seconds": 5})).status == 200


async def test_commands_that_wait_for_both_never_wait_for_each_other(shop: Shop) -> None:
    one = BulkheadSettings(max_concurrent_calls=1, max_wait_duration_seconds=600)
    store, inventory = (
        Admitting(it, bulkhead=one) for it in (Slow(shop.ports.store), Slow(shop.ports.inventory))
    )
    guarded = replace(
        shop.ports,
        store=GuardedStore(store.peer, store.admission),
        inventory=GuardedInventory(inventory.peer, inventory.admission),
    )
    await shop.ports.load_event(venue({"A": ["...."]}, PROCESS_EVENT))
    process = Process(guarded, shop.clock)
    held = [(await process.hold("alice", f"h{n}", qty=1)).reservation for n in range(2)]
    ids = [it.reservation_id for it in held if it is not None]
    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            process.confirm("alice", "c", ids[0], "pi_1"),
            *(process.hold("bob", f"b{n}", qty=1) for n in range(2)),
            process.extend("alice", "e", ids[1], 5),
        )
    assert [answer.refusal for answer in answers] == [None] * 4


class Slow:
    """A port whose every call lets the other tasks go on before and after."""

    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            result = await getattr(self._port, name)(*arguments)
            await asyncio.sleep(0)
            return result

        return call


class ClosingStore:
    """A store whose breaker opens while a reservation is being read."""

    def __init__(self, store: ReservationStore, breaker: CircuitBreaker) -> None:
        self._store = store
        self._breaker = breaker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get_reservation(self, reservation_id: ReservationId) -> Any:
        found = await self._store.get_reservation(reservation_id)
        self._breaker.force_open()
        return found


async def test_an_extension_asks_the_inventory_for_nothing_that_can_not_be_written(shop: Shop) -> None:
    held = ReservationId(await hold_a_seat(shop))
    before = await shop.world()
    closing = cast("ReservationStore", ClosingStore(shop.guarded.store, shop.store.breaker))
    use_cases = make_use_cases(replace(shop.guarded, store=closing), shop.clock)
    with pytest.raises(StoreUnavailableError, match="FORCED_OPEN"):
        await use_cases.extend(command("user-1", "extend"), Extension(held, 5))
    assert await shop.world() == before
    assert shop.watched.calls == []


async def test_while_payments_can_not_be_asked_about_a_confirm_leaves_nothing_behind(shop: Shop) -> None:
    held = ReservationId(await hold_a_seat(shop))
    before = await shop.world()
    payments = Admitting(TrustingPaymentVerifier())
    verifier = GuardedPaymentVerifier(payments.peer, payments.admission)
    finish = FinishConfirm(shop.ports.store, shop.guarded.inventory, shop.clock, offer_to_nobody)
    use_cases = replace(
        make_use_cases(shop.ports, shop.clock),
        confirm=Confirm(shop.ports.store, verifier, shop.clock, finish),
    )
    client = Client(make_api(use_cases, shop.clock))

    async def confirm() -> None:
        payment = Payment(held, PaymentIntentId("pi_1"))
        await use_cases.confirm(command("user-1", "confirm"), payment)

    await payments.open_up(confirm, PaymentUnavailableError("no answer"))
    answer = await client.post(f"/v1/reservations/{held}/confirm", {"payment_intent_id": "pi_1"})
    assert (answer.status, answer.code) == (503, "payment_unavailable")
    assert answer.headers["retry-after"] == f"{WAIT_SECONDS:.0f}"
    assert await shop.world() == before
    assert (shop.watched.calls, payments.script.calls) == ([], [])
