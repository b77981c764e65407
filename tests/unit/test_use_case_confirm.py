"""Confirming: what is sold once, what is refused for good, and what a worker finishes."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.clock import FakeClock
from tests.support.faults import DECLINED
from tests.support.process import EVENT, Process, command
from tests.support.runtimes import Ports, sqlite_on_disk

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.command import Answer
from reservation_api.application.outbox_entries import RECOVERY_SECONDS
from reservation_api.domain.errors import (
    HoldExpiredError,
    InventoryUnavailableError,
    PaymentAlreadyUsedError,
    PaymentRefusedError,
    ReservationApiError,
    UnavailableError,
    WrongStateError,
)
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import Money, PaymentIntentId, ReservationId
from reservation_api.ports.inventory import CommitOutcome, CommitSeats, Inventory
from reservation_api.ports.outbox import OutboxType
from reservation_api.ports.store import GuardPayment

SEATS: Final = 4
UNHEARD: Final = InventoryUnavailableError("no answer")


class ScriptedInventory:
    """Commits as it is told, one answer after the other, then as the real one."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self.script: deque[CommitOutcome | Exception] = deque()
        self.asked: list[CommitSeats] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        self.asked.append(request)
        if not self.script:
            return await self._inventory.commit(request)
        answer = self.script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Shop:
    """A process, and the inventory that a test can script."""

    def __init__(self, ports: Ports, clock: FakeClock) -> None:
        self.clock = clock
        self.inventory = ScriptedInventory(ports.inventory)
        self.process = Process(replace(ports, inventory=self.inventory), clock)

    async def held(self, *seats: str, by: str = "alice") -> ReservationId:
        answer = await self.process.hold(by, f"hold {seats}", seats or ("A-1-1",))
        assert answer.reservation is not None
        return answer.reservation.reservation_id

    async def confirm(self, hold: ReservationId, key: str = "confirm", payment: str = "pi_1") -> Answer:
        return await self.process.confirm("alice", key, hold, payment)

    async def left_unheard(self) -> ReservationId:
        """Leave a confirm half done: the inventory did not answer."""
        hold = await self.held()
        self.inventory.script.append(UNHEARD)
        with pytest.raises(InventoryUnavailableError):
            await self.confirm(hold)
        return hold

    async def recover(self) -> int:
        self.clock.advance(RECOVERY_SECONDS)
        return await self.process.relay.run_once(OutboxType.RECOVER_CONFIRM)

    async def reservation(self, hold: ReservationId) -> Reservation:
        found = await self.process.ports.store.get_reservation(hold)
        assert found is not None
        return found

    def events(self, hold: ReservationId) -> list[dict[str, Any]]:
        """The events of a reservation that wait in the outbox, in order."""
        entries = [entry for entry in self.process.ports.look().outbox if entry.aggregate_id == hold]
        events = [
            json.loads(entry.payload) for entry in entries if entry.type.value.startswith("Reservation")
        ]
        return sorted(events, key=lambda event: event["version"])

    def waiting(self, kind: OutboxType) -> int:
        return sum(entry.type is kind for entry in self.process.ports.look().outbox)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def shop(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Shop]:
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=SEATS)
        await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
        yield Shop(ports, clock)


# -- sold -----------------------------------------------------------------------------------------


async def test_a_confirm_sells_the_seats_for_the_price_of_the_hold(shop: Shop, clock: FakeClock) -> None:
    hold = await shop.held("A-1-1", "A-1-2")
    clock.advance(59.999)
    answer = await shop.confirm(hold)
    world = shop.process.ports.look()
    assert (answer.replayed, answer.as_of, answer.refusal) == (False, clock.now(), None)
    assert (world.reservations, world.orders) == ([answer.reservation], [answer.order])
    (order,) = world.orders
    assert (order.reservation_id, order.user_id, order.payment_intent_id) == (hold, "alice", "pi_1")
    assert (order.total_amount, order.created_at) == (Money(2000, "KRW"), clock.now())
    sold = await shop.reservation(hold)
    assert (sold.status, sold.order_id, sold.intent) == (Status.CONFIRMED, order.order_id, None)
    (section,) = (await shop.inventory.status(EVENT)).sections
    assert (section.sold, section.held) == (2, 0)


async def test_a_confirm_leaves_its_event_and_no_recovery(shop: Shop) -> None:
    hold = await shop.held()
    await shop.confirm(hold)
    assert [event["status"] for event in shop.events(hold)] == ["HOLD", "CONFIRMED"]
    assert shop.waiting(OutboxType.RECOVER_CONFIRM) == 0
    assert [entry.outbox_id for entry in shop.process.offered] == [f"{hold}.1", f"{hold}.2"]


async def test_a_retry_gets_the_same_order_and_the_inventory_is_not_asked_again(shop: Shop) -> None:
    hold = await shop.held()
    first = await shop.confirm(hold)
    shop.clock.advance(299.999)
    again = await shop.confirm(hold)
    assert again.replayed
    assert (again.order, again.reservation, again.as_of) == (first.order, first.reservation, first.as_of)
    assert len(shop.inventory.asked) == 1


async def test_the_inventory_is_asked_under_one_key_each_time_and_never_under_the_subjects(
    shop: Shop,
) -> None:
    hold = await shop.left_unheard()
    await shop.confirm(hold)
    first, second = shop.inventory.asked
    assert first == second
    assert first.idempotency_key.startswith(f"{hold}:confirm:ord_")
    assert (first.seat_ids, first.payment_intent_id, first.user_id) == (("A-1-1",), "pi_1", "alice")


async def test_one_request_sent_twice_at_once_sells_once(shop: Shop) -> None:
    hold = await shop.held()
    results = await asyncio.gather(*(shop.confirm(hold) for _ in range(4)), return_exceptions=True)
    answers = [result for result in results if isinstance(result, Answer)]
    assert all(isinstance(result, Answer | UnavailableError) for result in results)
    assert len({answer.order.order_id for answer in answers if answer.order is not None}) == 1
    assert len(shop.process.ports.look().orders) == 1


async def test_of_two_keys_at_once_one_sells_and_the_other_is_refused(shop: Shop) -> None:
    hold = await shop.held()
    results = await asyncio.gather(
        *(shop.confirm(hold, key, payment) for key, payment in (("a", "pi_a"), ("b", "pi_b"))),
        return_exceptions=True,
    )
    (answer,) = [result for result in results if isinstance(result, Answer)]
    (refusal,) = [result for result in results if not isinstance(result, Answer)]
    assert type(refusal) is WrongStateError
    assert shop.process.ports.look().orders == [answer.order]


async def test_of_two_reservations_paid_at_once_with_one_payment_one_is_sold(shop: Shop) -> None:
    holds = [await shop.held("A-1-1"), await shop.held("A-1-2")]
    results = await asyncio.gather(*(shop.confirm(h, f"key {h}") for h in holds), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Answer", "PaymentAlreadyUsedError"]
    assert len(shop.process.ports.look().orders) == 1


# -- refused for good -----------------------------------------------------------------------------


async def replayed(shop: Shop, hold: ReservationId, payment: str = "pi_1") -> ReservationApiError:
    """Ask again with the same key; the answer must come from the record."""
    asked = len(shop.inventory.asked)
    with pytest.raises(ReservationApiError) as caught:
        await shop.confirm(hold, payment=payment)
    assert caught.value.replayed
    assert len(shop.inventory.asked) == asked
    return caught.value


async def test_a_declined_payment_leaves_the_hold_and_another_may_be_tried(shop: Shop) -> None:
    hold = await shop.held()
    with pytest.raises(PaymentRefusedError) as caught:
        await shop.confirm(hold, payment=DECLINED)
    assert not caught.value.replayed
    after = await shop.reservation(hold)
    assert (after.status, after.intent, after.version) == (Status.HOLD, None, 1)
    assert shop.waiting(OutboxType.RECOVER_CONFIRM) == 0
    paid = await shop.confirm(hold, "another key", "pi_2")
    assert paid.order is not None
    assert paid.order.payment_intent_id == "pi_2"


async def test_a_declined_payment_is_on_record_with_the_first_trace(shop: Shop) -> None:
    hold = await shop.held()
    with pytest.raises(PaymentRefusedError) as first:
        await shop.confirm(hold, payment=DECLINED)
    again = await replayed(shop, hold, DECLINED)
    assert type(again) is PaymentRefusedError
    assert (again.trace_id, again.message) == (first.value.trace_id, first.value.message)
    assert again.trace_id == "0" * 32


async def test_a_declined_payment_is_no_longer_tied_to_the_reservation(shop: Shop) -> None:
    hold = await shop.held()
    with pytest.raises(PaymentRefusedError):
        await shop.confirm(hold, payment=DECLINED)
    other = GuardPayment(PaymentIntentId(DECLINED), ReservationId("rsv_other"))
    assert await shop.process.ports.store.transact([other]) is None


SEATS_GONE: Final = pytest.mark.parametrize(
    "outcome", [CommitOutcome.HOLD_EXPIRED, CommitOutcome.SEATS_CONFLICT], ids=lambda o: o.name
)


@SEATS_GONE
async def test_seats_that_are_gone_expire_the_hold_and_the_event_names_the_payment(
    shop: Shop, outcome: CommitOutcome
) -> None:
    hold = await shop.held()
    shop.inventory.script.append(outcome)
    with pytest.raises(HoldExpiredError, match="will be refunded"):
        await shop.confirm(hold)
    after = await shop.reservation(hold)
    assert (after.status, after.payment_intent_id, after.order_id) == (Status.EXPIRED, "pi_1", None)
    event = shop.events(hold)[-1]
    assert (event["status"], event["payment_intent_id"], event["version"]) == ("EXPIRED", "pi_1", 2)
    assert shop.process.ports.look().orders == []
    assert shop.waiting(OutboxType.RELEASE_SEATS) == 1
    assert shop.waiting(OutboxType.RECOVER_CONFIRM) == 0


@SEATS_GONE
async def test_seats_that_are_gone_are_on_record(shop: Shop, outcome: CommitOutcome) -> None:
    hold = await shop.held()
    shop.inventory.script.append(outcome)
    with pytest.raises(HoldExpiredError):
        await shop.confirm(hold)
    again = await replayed(shop, hold)
    assert type(again) is HoldExpiredError
    assert again.data == {"hold_expires_at": "2026-11-23T12:01:00.000Z"}


async def test_a_payment_for_seats_that_are_gone_stays_tied_to_be_refunded_once(shop: Shop) -> None:
    hold, other = await shop.held("A-1-1"), await shop.held("A-1-2")
    shop.inventory.script.append(CommitOutcome.HOLD_EXPIRED)
    with pytest.raises(HoldExpiredError):
        await shop.confirm(hold)
    with pytest.raises(PaymentAlreadyUsedError):
        await shop.confirm(other, "another key")


# -- nobody knows ---------------------------------------------------------------------------------


async def test_a_confirm_without_an_answer_leaves_an_intent_and_a_recovery(shop: Shop) -> None:
    hold = await shop.left_unheard()
    fenced = await shop.reservation(hold)
    assert fenced.status is Status.HOLD
    assert fenced.intent is not None
    assert fenced.intent.payment_intent_id == "pi_1"
    (recovery,) = [e for e in shop.process.ports.look().outbox if e.type is OutboxType.RECOVER_CONFIRM]
    assert recovery.next_retry_at == shop.clock.now() + timedelta(seconds=RECOVERY_SECONDS)
    record = await shop.process.ports.store.find_record(fenced.intent.record_key, shop.clock.now())
    assert record is not None
    assert record.response_snapshot is None


async def test_a_retry_goes_on_from_the_standing_intent(shop: Shop) -> None:
    hold = await shop.left_unheard()
    fenced = await shop.reservation(hold)
    answer = await shop.confirm(hold)
    assert fenced.intent is not None
    assert answer.order is not None
    assert (answer.order.order_id, answer.replayed) == (fenced.intent.order_id, False)
    assert shop.waiting(OutboxType.RECOVER_CONFIRM) == 0


async def test_a_worker_finishes_what_nobody_asks_for_again(shop: Shop) -> None:
    hold = await shop.left_unheard()
    assert await shop.recover() == 1
    assert (await shop.reservation(hold)).status is Status.CONFIRMED
    again = await shop.confirm(hold)
    assert again.replayed
    assert shop.process.ports.look().orders == [again.order]
    assert shop.waiting(OutboxType.RECOVER_CONFIRM) == 0


async def test_a_worker_leaves_a_young_confirm_to_its_request(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.clock.advance(RECOVERY_SECONDS - 0.001)
    assert await shop.process.relay.run_once(OutboxType.RECOVER_CONFIRM) == 0
    assert (await shop.reservation(hold)).intent is not None


async def test_a_worker_tries_until_there_is_an_answer(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.inventory.script.extend([UNHEARD] * 12)
    for _ in range(12):
        assert await shop.recover() == 0
    (recovery,) = [e for e in shop.process.ports.look().outbox if e.type is OutboxType.RECOVER_CONFIRM]
    assert (recovery.attempts, recovery.last_error) == (0, "no answer")
    assert await shop.recover() == 1
    assert (await shop.reservation(hold)).status is Status.CONFIRMED


async def test_a_worker_writes_down_a_refusal_too(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.inventory.script.append(CommitOutcome.PAYMENT_REFUSED)
    assert await shop.recover() == 1
    after = await shop.reservation(hold)
    assert (after.status, after.intent) == (Status.HOLD, None)
    assert type(await replayed(shop, hold)) is PaymentRefusedError


async def test_a_recovery_of_what_is_finished_does_nothing(shop: Shop) -> None:
    await shop.left_unheard()
    (recovery,) = [e for e in shop.process.ports.look().outbox if e.type is OutboxType.RECOVER_CONFIRM]
    await shop.recover()
    before, asked = shop.process.ports.look(), len(shop.inventory.asked)
    shop.process.offered[:] = [recovery]
    await shop.process.run_fast_path()
    assert shop.process.ports.look() == before
    assert len(shop.inventory.asked) == asked


async def test_a_standing_intent_outlives_the_hold_and_is_not_expired(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.clock.advance(90)
    assert await shop.process.expire.run_once() == 0
    assert await shop.recover() == 1
    assert (await shop.reservation(hold)).status is Status.CONFIRMED


async def test_an_intent_beyond_the_grace_ends_as_expired_with_its_payment(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.clock.advance(120)
    assert await shop.recover() == 1
    after = await shop.reservation(hold)
    assert (after.status, after.payment_intent_id) == (Status.EXPIRED, "pi_1")


async def test_a_recovery_leaves_a_key_that_means_another_request_by_now(shop: Shop) -> None:
    hold = await shop.left_unheard()
    shop.clock.advance(310)
    key = command("alice", "confirm").record_key
    await shop.process.hold("alice", "confirm", ["A-1-2"])
    record = await shop.process.ports.store.find_record(key, shop.clock.now())
    assert record is not None
    assert await shop.recover() == 1
    assert (await shop.reservation(hold)).status is Status.EXPIRED
    assert record == await shop.process.ports.store.find_record(key, shop.clock.now())


async def test_a_recovery_of_an_earlier_attempt_leaves_a_later_one_alone(shop: Shop) -> None:
    hold = await shop.left_unheard()
    (earlier,) = [e for e in shop.process.ports.look().outbox if e.type is OutboxType.RECOVER_CONFIRM]
    shop.inventory.script.extend([CommitOutcome.PAYMENT_REFUSED, UNHEARD])
    for key, payment, error in (("confirm", "pi_1", PaymentRefusedError), ("b", "pi_2", UnavailableError)):
        with pytest.raises(error):
            await shop.confirm(hold, key, payment)
    later, asked = await shop.reservation(hold), len(shop.inventory.asked)
    shop.process.offered[:] = [earlier]
    await shop.process.run_fast_path()
    assert await shop.reservation(hold) == later
    assert later.intent is not None
    assert len(shop.inventory.asked) == asked
