"""The design's invariants as checks on everything durable."""

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

from tests.support.runtimes import World

from reservation_api.application.command import IDEMPOTENCY_SECONDS
from reservation_api.domain.events import SOURCE
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, OutboxId, from_iso
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import OutboxType

LONGEST_GRACE = timedelta(seconds=600)
"""Later than this after the end of a hold, no inventory holds its seats any more."""


def check_always(world: World, now: datetime) -> None:
    """What must hold at every moment, whatever is under way."""
    _check_seats_once(world, now)
    _check_orders(world)
    _check_events_not_lost(world)
    _check_keys_took_effect_once(world)
    _check_intents_are_recoverable(world)


async def check_settled(world: World, now: datetime, inventory: Inventory, event_id: str) -> None:
    """What must hold besides when the workers have had their time."""
    check_always(world, now)
    assert not world.outbox, f"left in the outbox: {world.outbox}"
    for reservation in world.reservations:
        assert reservation.intent is None, f"half done: {reservation}"
        overdue = reservation.status is Status.HOLD and reservation.hold_expires_at <= now
        assert not overdue, f"still on hold: {reservation}"
    await _check_inventory_agrees(world, now, inventory, event_id)


def _check_seats_once(world: World, now: datetime) -> None:
    owners: dict[tuple[str, str], Reservation] = {}
    for reservation in world.reservations:
        if reservation.is_live(now):
            for seat_id in reservation.seat_ids:
                other = owners.setdefault((reservation.event_id, seat_id), reservation)
                assert other is reservation, f"invariant 1: {seat_id} is in {other} and {reservation}"


def _check_orders(world: World) -> None:
    orders = {order.reservation_id: order for order in world.orders}
    assert len(orders) == len(world.orders), "invariant 2: two orders of one reservation"
    payments = Counter(order.payment_intent_id for order in world.orders)
    assert not payments or max(payments.values()) == 1, f"invariant 2: one payment for two: {payments}"
    confirmed = {r.reservation_id: r for r in world.reservations if r.status is Status.CONFIRMED}
    assert confirmed.keys() == orders.keys(), "invariant 2: an order for each confirmed reservation, no other"
    for reservation_id, order in orders.items():
        reservation = confirmed[reservation_id]
        assert order.order_id == reservation.order_id
        assert order.total_amount == reservation.total_amount
        assert order.seats == reservation.seats
        assert order.user_id == reservation.user_id


def _check_events_not_lost(world: World) -> None:
    """Invariants 3 and 5: as many events as moves, each on the bus or in the outbox, with the right words."""
    waiting = {entry.outbox_id: entry.payload for entry in world.outbox}
    published = {OutboxId(event.id): event.detail for event in world.published}
    for reservation in world.reservations:
        for version in range(1, reservation.version + 1):
            event_id = OutboxId(f"{reservation.reservation_id}.{version}")
            detail = published.get(event_id) or waiting.get(event_id)
            assert detail is not None, f"invariant 5: {event_id} is lost"
            expected = Status.HOLD if version == 1 else reservation.status
            assert json.loads(detail)["status"] == expected.value
            assert json.loads(detail)["version"] == version
        moves = 0 if reservation.status is Status.ABANDONED else 1 if reservation.status is Status.HOLD else 2
        assert reservation.version == moves, f"invariant 3: {reservation}"
    known = {r.reservation_id for r in world.reservations}
    for event in world.published:
        assert event.source == SOURCE
        first = json.loads(event.detail)["status"] == "HOLD"
        assert event.detail_type == ("Reservation Created" if first else "Reservation Status Changed")
        assert json.loads(event.detail)["reservation_id"] in known, "invariant 3: an event of nothing"


def _check_keys_took_effect_once(world: World) -> None:
    """Invariant 4, for holds: two of one key are at least 5 minutes apart, from commit to commit."""
    committed_at = _hold_commits(world)
    by_key: defaultdict[str, list[datetime]] = defaultdict(list)
    for reservation in world.reservations:
        if reservation.status is not Status.ABANDONED:
            by_key[reservation.record_key].append(committed_at[reservation.reservation_id])
    for committed in by_key.values():
        committed.sort()
        for earlier, later in pairwise(committed):
            apart = later - earlier
            assert apart >= timedelta(seconds=IDEMPOTENCY_SECONDS), f"invariant 4: {apart} apart"


def _hold_commits(world: World) -> dict[str, datetime]:
    """When each hold was committed, by its event: a retried one began before, with the inventory's."""
    created = OutboxType.RESERVATION_CREATED
    details = [json.loads(entry.payload) for entry in world.outbox if entry.type is created]
    details += [json.loads(event.detail) for event in world.published if event.detail_type == created]
    return {detail["reservation_id"]: from_iso(detail["occurred_at"]) for detail in details}


def _check_intents_are_recoverable(world: World) -> None:
    recoveries = {entry.aggregate_id for entry in world.outbox if entry.type is OutboxType.RECOVER_CONFIRM}
    for reservation in world.reservations:
        if reservation.intent is not None:
            assert reservation.reservation_id in recoveries, f"invariant 8: stuck: {reservation}"
            assert reservation.status is Status.HOLD


async def _check_inventory_agrees(world: World, now: datetime, inventory: Inventory, event_id: str) -> None:
    counted = await inventory.status(EventId(event_id))
    sold = sum(r.qty for r in world.reservations if r.status is Status.CONFIRMED)
    live = sum(r.qty for r in world.reservations if r.status is Status.HOLD and r.is_live(now))
    assert sum(section.sold for section in counted.sections) == sold, "sold seats and orders differ"
    held = sum(section.held for section in counted.sections)
    assert held >= live, "invariant 1: a live hold without its seats"
    if now >= max((r.hold_expires_at + LONGEST_GRACE for r in world.reservations), default=now):
        assert held == 0, "invariant 6: seats held for nobody"
