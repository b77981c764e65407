"""What becomes of reservations and of outbox rows, counted in passing."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from reservation_api.application.deliver import Delivery
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.relay import Carry
from reservation_api.domain.events import ReservationEvent
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.telemetry import names
from reservation_api.telemetry.logs import StructLog
from reservation_api.telemetry.metrics import Metrics

MOVE = "move"

_lines = StructLog("reservation_api.moves", logging.INFO, MOVE)


class MoveLine(msgspec.Struct, frozen=True, gc=False):
    """The line that each change of a reservation's status leaves in the log."""

    trace_id: str
    reservation_id: str
    subject: str
    event_id: str
    moved_to: str
    version: int
    milliseconds: float
    """Since the reservation was made."""


def counting_moves(offer: Offer, metrics: Metrics, clock: Clock) -> Offer:
    """Count each move, and log it, where its commit offers what it has left behind: there it passes once.

    Replays, refusals and those who lose a race have committed nothing, and offer nothing.
    """
    statuses = metrics.statuses

    def count(entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            event = entry.event
            if event is not None:
                status = event.status
                statuses[status].inc()
                if status == "EXPIRED":
                    _observe_lag(event)
                if _lines.is_on():
                    _lines.write(_line_of(event), is_quoting=False)
        offer(entries)

    def _observe_lag(event: ReservationEvent) -> None:
        seconds = (clock.now() - datetime.fromisoformat(event.hold_expires_at)).total_seconds()
        if seconds >= 0:  # seats that were gone at a confirm expire early, and are late for nothing
            metrics.expiry_lag.observe(seconds * 1000)

    return count


def _line_of(event: ReservationEvent) -> MoveLine:
    return MoveLine(
        event.trace_id,
        event.reservation_id,
        event.user_id,
        event.event_id,
        event.status,
        event.version,
        # As a rule, a hold has just been made.
        0.0 if event.occurred_at == event.created_at else _age(event).total_seconds() * 1000,
    )


def _age(event: ReservationEvent) -> timedelta:
    return datetime.fromisoformat(event.occurred_at) - datetime.fromisoformat(event.created_at)


def counting_deliveries(deliver: Carry, metrics: Metrics) -> Carry:
    """Count what became of each row that was tried."""
    counters = metrics.counters(names.RELAY_DELIVERIES)

    async def carry(entries: Sequence[OutboxEntry]) -> list[Delivery]:
        deliveries = await deliver(entries)
        for delivery in deliveries:
            counters[delivery.entry.type._value_, delivery.verdict._value_].inc()
        return deliveries

    return carry
