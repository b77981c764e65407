"""What becomes of reservations and of outbox rows, counted in passing."""

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from reservation_api.application.deliver import EVENT_TYPES, Delivery
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.relay import Carry
from reservation_api.domain.reservation import Status
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.telemetry import names
from reservation_api.telemetry.logs import log_struct
from reservation_api.telemetry.metrics import Metrics

MOVE = "move"

_log = logging.getLogger("reservation_api.moves")


class _Moved(msgspec.Struct):
    """What counts of an event: unknown fields are skipped without being looked at."""

    status: Status
    user_id: str
    event_id: str
    version: int
    hold_expires_at: datetime
    created_at: datetime
    occurred_at: datetime


class MoveLine(msgspec.Struct, frozen=True):
    """The line that each change of a reservation's status leaves in the log."""

    trace_id: str
    reservation_id: str
    subject: str
    event_id: str
    moved_to: str
    version: int
    milliseconds: float
    """Since the reservation was made."""


_decode = msgspec.json.Decoder(_Moved).decode


def counting_moves(offer: Offer, metrics: Metrics, clock: Clock) -> Offer:
    """Count each move, and log it, where its commit offers what it has left behind: there it passes once.

    Replays, refusals and those who lose a race have committed nothing, and offer nothing.
    """

    def count(entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            if entry.type in EVENT_TYPES:
                moved = _decode(entry.payload)
                metrics.count_status(moved.status)
                if moved.status is Status.EXPIRED:
                    _observe_lag(moved)
                _log_move(entry, moved)
        offer(entries)

    def _observe_lag(moved: _Moved) -> None:
        seconds = (clock.now() - moved.hold_expires_at).total_seconds()
        if seconds >= 0:  # seats that were gone at a confirm expire early, and are late for nothing
            metrics.expiry_lag.observe(seconds * 1000)

    return count


def _log_move(entry: OutboxEntry, moved: _Moved) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    line = MoveLine(
        trace_id=entry.trace_id,
        reservation_id=entry.aggregate_id,
        subject=moved.user_id,
        event_id=moved.event_id,
        moved_to=moved.status.value,
        version=moved.version,
        milliseconds=(moved.occurred_at - moved.created_at).total_seconds() * 1000,
    )
    log_struct(_log, logging.INFO, MOVE, line, is_quoting=False)


def counting_deliveries(deliver: Carry, metrics: Metrics) -> Carry:
    """Count what became of each row that was tried."""

    async def carry(entries: Sequence[OutboxEntry]) -> list[Delivery]:
        deliveries = await deliver(entries)
        for delivery in deliveries:
            outcome = (delivery.entry.type.value, delivery.verdict.value)
            metrics.counter(names.RELAY_DELIVERIES, *outcome).inc()
        return deliveries

    return carry
