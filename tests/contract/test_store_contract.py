"""What every store must do: conditions refuse, refused transactions leave nothing, committed ones last."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.examples import START, intent, order, outbox_entry, record, reservation, seat
from tests.support.runtimes import Ports

from reservation_api.domain.reservation import Status
from reservation_api.domain.values import OrderId, PaymentIntentId, RecordKey, ReservationId
from reservation_api.ports.store import (
    AddOutboxEntry,
    CompleteRecord,
    DropPaymentGuard,
    GuardPayment,
    IdempotencyRecord,
    InsertOrder,
    InsertRecord,
    InsertReservation,
    RemoveOutboxEntry,
    UpdateReservation,
    Write,
)

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


async def test_a_store_that_is_open_may_be_written_to(ports: Ports) -> None:
    async with ports.store.admission():
        assert await ports.store.transact([InsertOrder(order())]) is None


async def test_a_reservation_reads_back_as_it_was_written(ports: Ports) -> None:
    full = reservation(
        seats=(seat("A-1-2", 5), seat("A-1-1", 7)),
        intent=intent(),
        extensions=2,
        order_id=OrderId("ord_9"),
        payment_intent_id=PaymentIntentId("pi_9"),
        reservation_token="token \N{SNOWMAN}",
        updated_at=START + MILLISECOND,
    )
    assert await ports.store.transact([InsertReservation(full)]) is None
    assert await ports.store.get_reservation(full.reservation_id) == full


async def test_an_order_reads_back_as_it_was_written(ports: Ports) -> None:
    assert await ports.store.transact([InsertOrder(order())]) is None
    assert await ports.store.get_order(OrderId("ord_1")) == order()


async def test_what_is_not_there_is_none(ports: Ports) -> None:
    assert await ports.store.get_reservation(ReservationId("rsv_none")) is None
    assert await ports.store.get_order(OrderId("ord_none")) is None
    assert await ports.store.find_record(RecordKey("none"), START) is None


async def test_another_process_reads_what_was_committed(ports: Ports, other_ports: Ports) -> None:
    await ports.store.transact([InsertReservation(reservation()), InsertRecord(record(), START)])
    assert await other_ports.store.get_reservation(ReservationId("rsv_1")) == reservation()
    assert await other_ports.store.find_record(RecordKey("key"), START) == record()


async def test_a_refused_transaction_writes_nothing(ports: Ports) -> None:
    await ports.store.transact([InsertReservation(reservation("rsv_taken"))])
    conflict = await ports.store.transact(
        [
            InsertRecord(record(), START),
            InsertReservation(reservation("rsv_new")),
            InsertOrder(order()),
            GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_new")),
            AddOutboxEntry(outbox_entry("rsv_new")),
            InsertReservation(reservation("rsv_taken", "bob")),
        ]
    )
    assert conflict is not None
    assert conflict.refused == {InsertReservation}
    assert conflict.reservation == reservation("rsv_taken")
    assert await ports.store.find_record(RecordKey("key"), START) is None
    assert await ports.store.get_reservation(ReservationId("rsv_new")) is None
    assert await ports.store.get_order(OrderId("ord_1")) is None
    assert ports.look().outbox == []
    bobs = GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_other"))
    assert await ports.store.transact([bobs]) is None


async def test_a_conflict_names_every_refused_condition_with_what_was_found(ports: Ports) -> None:
    await ports.store.transact(
        [
            InsertRecord(record(request_hash="first"), START),
            InsertReservation(reservation()),
            GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_1")),
        ]
    )
    conflict = await ports.store.transact(
        [
            InsertRecord(record(request_hash="second"), START),
            InsertReservation(reservation(user_id="bob")),
            GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_2")),
        ]
    )
    assert conflict is not None
    assert conflict.refused == {InsertRecord, InsertReservation, GuardPayment}
    assert conflict.record == record(request_hash="first")
    assert conflict.reservation == reservation()
    assert conflict.payment_owner == "rsv_1"


async def test_a_record_is_replaced_from_the_second_of_its_ttl(ports: Ports) -> None:
    await ports.store.transact([InsertRecord(record(ttl=10), START)])
    newer = record(request_hash="newer")
    just_before = START + 10 * SECOND - MILLISECOND
    assert await ports.store.transact([InsertRecord(newer, just_before)]) is not None
    assert await ports.store.find_record(RecordKey("key"), just_before) == record(ttl=10)
    assert await ports.store.find_record(RecordKey("key"), START + 10 * SECOND) is None
    assert await ports.store.transact([InsertRecord(newer, START + 10 * SECOND)]) is None
    assert await ports.store.find_record(RecordKey("key"), START + 10 * SECOND) == newer


@pytest.mark.parametrize(
    ("stored", "accepted"),
    [
        (None, True),
        (record(snapshot=None), True),
        (record(snapshot=None, request_hash="other"), False),
        (record(snapshot="done"), False),
        (record(snapshot="done", ttl=0), True),
        (record(snapshot=None, request_hash="other", ttl=0), True),
    ],
    ids=["absent", "own pending", "other's pending", "completed", "completed, past", "other's, past"],
)
async def test_a_record_is_completed_only_if_it_is_nobody_elses(
    ports: Ports, stored: IdempotencyRecord | None, *, accepted: bool
) -> None:
    if stored is not None:
        await ports.store.transact([InsertRecord(stored, START - SECOND)])
    conflict = await ports.store.transact([CompleteRecord(record(snapshot="answer"), START)])
    assert (conflict is None) is accepted
    found = await ports.store.find_record(RecordKey("key"), START)
    assert found == (record(snapshot="answer") if accepted else stored)


async def test_an_update_is_refused_once_the_row_is_not_as_it_was(ports: Ports) -> None:
    before = reservation()
    fenced = before.with_intent(intent())
    extended = before.extended(START + 90 * SECOND, START)
    changed = {
        "another intent": fenced,
        "an extension": extended,
        "another status": before.cancelled(START),
    }
    for name, change in changed.items():
        ours = replace(before, reservation_id=ReservationId(name))
        row = replace(change, reservation_id=ours.reservation_id)
        await ports.store.transact([InsertReservation(row)])
        conflict = await ports.store.transact([UpdateReservation(ours, ours.cancelled(START))])
        assert conflict is not None, name
        assert conflict.refused == {UpdateReservation}
        assert conflict.reservation == row
        assert await ports.store.get_reservation(ours.reservation_id) == row


async def test_an_update_from_an_intent_needs_that_very_intent(ports: Ports) -> None:
    standing = reservation().with_intent(intent("ord_new"))
    stale = reservation().with_intent(intent("ord_old"))
    await ports.store.transact([InsertReservation(standing)])
    assert await ports.store.transact([UpdateReservation(stale, stale.confirmed(START))]) is not None
    assert await ports.store.transact([UpdateReservation(standing, standing.confirmed(START))]) is None


async def test_an_update_of_nothing_is_refused(ports: Ports) -> None:
    conflict = await ports.store.transact([UpdateReservation(reservation(), reservation().cancelled(START))])
    assert conflict is not None
    assert conflict.reservation is None


@pytest.mark.parametrize(
    ("seconds", "not_past", "past"), [(59.999, True, False), (60.0, False, True), (60.001, False, True)]
)
async def test_late_is_decided_at_the_write(
    ports: Ports, seconds: float, *, not_past: bool, past: bool
) -> None:
    now = START + timedelta(seconds=seconds)
    for name, expected in (("not_past", not_past), ("past", past)):
        row = reservation(f"rsv_{name}")
        await ports.store.transact([InsertReservation(row)])
        ended = replace(row, status=Status.CANCELLED, version=2)
        conflict = await ports.store.transact([UpdateReservation(row, ended, **{name: now})])
        assert (conflict is None) is expected, name


async def test_an_update_changes_what_a_move_may_change_and_nothing_else(ports: Ports) -> None:
    before = reservation()
    await ports.store.transact([InsertReservation(before)])
    fenced = before.with_intent(intent())
    await ports.store.transact([UpdateReservation(before, fenced)])
    assert await ports.store.get_reservation(before.reservation_id) == fenced
    confirmed = fenced.confirmed(START + SECOND)
    await ports.store.transact([UpdateReservation(fenced, confirmed)])
    assert await ports.store.get_reservation(before.reservation_id) == confirmed


async def test_a_payment_intent_pays_for_one_reservation_only(ports: Ports) -> None:
    payment, first, second = PaymentIntentId("pi"), ReservationId("rsv_1"), ReservationId("rsv_2")
    assert await ports.store.transact([GuardPayment(payment, first)]) is None
    assert await ports.store.transact([GuardPayment(payment, first)]) is None
    conflict = await ports.store.transact([GuardPayment(payment, second)])
    assert conflict is not None
    assert conflict.payment_owner == first
    assert await ports.store.transact([DropPaymentGuard(payment, second)]) is None
    assert await ports.store.transact([GuardPayment(payment, second)]) is not None
    assert await ports.store.transact([DropPaymentGuard(payment, first)]) is None
    assert await ports.store.transact([GuardPayment(payment, second)]) is None


@pytest.mark.parametrize(
    "write",
    [InsertReservation(reservation()), InsertOrder(order()), AddOutboxEntry(outbox_entry())],
    ids=lambda write: type(write).__name__,
)
async def test_what_is_inserted_twice_is_refused(ports: Ports, write: Write) -> None:
    assert await ports.store.transact([write]) is None
    conflict = await ports.store.transact([write])
    assert conflict is not None
    assert conflict.refused == {type(write)}


async def test_removing_what_is_absent_refuses_nothing(ports: Ports) -> None:
    removals: list[Write] = [
        RemoveOutboxEntry(outbox_entry().outbox_id),
        DropPaymentGuard(PaymentIntentId("pi"), ReservationId("rsv_1")),
    ]
    assert await ports.store.transact(removals) is None


async def test_due_holds_are_those_past_their_end_without_an_intent(ports: Ports) -> None:
    rows = [
        reservation("rsv_due"),
        reservation("rsv_due_longer", hold_expires_at=START + 10 * SECOND),
        reservation("rsv_later", hold_expires_at=START + 61 * SECOND),
        reservation("rsv_fenced").with_intent(intent()),
        reservation("rsv_cancelled").cancelled(START),
        reservation("rsv_expired", status=Status.EXPIRED),
    ]
    await ports.store.transact([InsertReservation(row) for row in rows])
    due = await ports.store.due_holds(START + 60 * SECOND, 10)
    assert [row.reservation_id for row in due] == ["rsv_due_longer", "rsv_due"]
    assert len(await ports.store.due_holds(START + 60 * SECOND, 1)) == 1


async def test_of_many_due_holds_two_workers_are_given_different_ones(
    ports: Ports, other_ports: Ports
) -> None:
    ends = [START + n * MILLISECOND for n in range(100)]
    holds = [reservation(f"rsv_{n}", hold_expires_at=end) for n, end in enumerate(ends)]
    await ports.store.transact([InsertReservation(hold) for hold in holds])
    given = [await each.store.due_holds(START + 60 * SECOND, 16) for each in (ports, other_ports)]
    ids = [hold.reservation_id for holds in given for hold in holds]
    assert len(ids) == 32
    assert len(set(ids)) > 20
    assert all(list(holds) == sorted(holds, key=lambda hold: hold.hold_expires_at) for holds in given)


async def test_the_purge_takes_records_past_their_ttl_and_no_others(ports: Ports) -> None:
    rows = [record(f"key {ttl}", ttl=ttl) for ttl in (1, 2, 3, 10)]
    await ports.store.transact([InsertRecord(row, START) for row in rows])
    assert await ports.store.purge_records(START + 3 * SECOND, 2) == 2
    assert await ports.store.purge_records(START + 3 * SECOND, 100) == 1
    assert await ports.store.purge_records(START + 3 * SECOND, 100) == 0
    assert await ports.store.find_record(RecordKey("key 10"), START + 3 * SECOND) == rows[3]


async def test_of_many_at_once_one_insert_wins(ports: Ports, other_ports: Ports) -> None:
    def attempt(n: int) -> list[Write]:
        mine = record(snapshot=f"{n}")
        return [InsertRecord(mine, START), InsertReservation(reservation(f"rsv_{n}"))]

    stores = (ports.store, other_ports.store)
    conflicts = await asyncio.gather(*(stores[n % 2].transact(attempt(n)) for n in range(40)))
    winners = [n for n, conflict in enumerate(conflicts) if conflict is None]
    assert len(winners) == 1
    assert [row.reservation_id for row in ports.look().reservations] == [f"rsv_{winners[0]}"]
    seen = {conflict.record.response_snapshot for conflict in conflicts if conflict and conflict.record}
    assert seen == {f"{winners[0]}"}


async def test_of_many_moves_at_once_one_wins(ports: Ports, other_ports: Ports) -> None:
    before = reservation()
    await ports.store.transact([InsertReservation(before)])
    moves = [
        before.cancelled(START),
        replace(before, status=Status.EXPIRED, version=2),
        before.with_intent(intent()),
    ]
    stores = (ports.store, other_ports.store)
    conflicts = await asyncio.gather(
        *(stores[n % 2].transact([UpdateReservation(before, moves[n % 3])]) for n in range(30))
    )
    assert conflicts.count(None) == 1
    assert await ports.store.get_reservation(before.reservation_id) == moves[conflicts.index(None) % 3]
