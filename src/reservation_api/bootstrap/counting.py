"""Where the metrics get their numbers from: what the parts of a process do, counted in passing."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any

import msgspec

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.errors import AwsCaller
from reservation_api.application.deliver import EVENT_TYPES, Delivery
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.relay import Carry
from reservation_api.domain.reservation import Status
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter, Histogram
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


def watch_client(metrics: Metrics, peer: str, client: AwsClient) -> None:
    """Show how an AWS client stands."""
    metrics.watch(names.CALL_RETRIES, (peer,), lambda: client.metrics().retries)
    metrics.watch(names.CALLS_THROTTLED, (peer,), lambda: client.metrics().throttles)
    metrics.watch(names.CALLS_WAITING, (peer,), lambda: client.metrics().calls_waiting)


class TimedDynamoDb:
    """An AwsCaller that takes the time of each call, by table and operation."""

    def __init__(self, caller: AwsCaller, metrics: Metrics) -> None:
        self._caller = caller
        self._metrics = metrics

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Make the call; see AwsCaller."""
        began = perf_counter()
        try:
            return await self._caller.call(operation, request, repeatable=repeatable)
        finally:
            labels = (_table_of(request), operation)
            histogram = self._metrics.histogram(names.DYNAMODB_OPERATION_LATENCY, *labels)
            histogram.observe((perf_counter() - began) * 1000)


class PeerMetrics:
    """What is measured of the calls of one gRPC peer."""

    def __init__(self, peer: str, metrics: Metrics) -> None:
        self.retries: Counter = metrics.counter(names.CALL_RETRIES, peer)
        self._metrics = metrics
        self._durations: dict[str, Histogram] = {}

    def observe(self, path: str, began: float) -> None:
        """Take the time of a call that began then, by perf_counter, and is over."""
        duration = self._durations.get(path)
        if duration is None:
            duration = self._metrics.histogram(names.GRPC_CALL_DURATION, path.removeprefix("/"))
            self._durations[path] = duration
        duration.observe((perf_counter() - began) * 1000)


def _table_of(request: Mapping[str, Any]) -> str:
    """Return the table that a call is about; a transaction's, or a batch's, is the first one's."""
    if "TableName" in request:
        return str(request["TableName"])
    if "RequestItems" in request:
        return str(next(iter(request["RequestItems"])))
    (action,) = request["TransactItems"][0].values()
    return str(action["TableName"])
