"""Spans of what the embedded runtime does in its own file: the store, its lists, the built-in inventory."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from reservation_api.bootstrap.tracing import Call, Outcome, Spans, by_its_class
from reservation_api.domain.errors import RefusedError
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, OrderId, RecordKey, ReservationId, SeatId, UserId
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    HoldEndedError,
    Inventory,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)
from reservation_api.ports.read_model import Page, ReadModel
from reservation_api.ports.store import Conflict, IdempotencyRecord, ReservationStore, Write
from reservation_api.telemetry.spans import Attributes, SpanKind, Tracer


class TracedStore:
    """A ReservationStore whose calls for requests are spans."""

    def __init__(self, store: ReservationStore, tracer: Tracer) -> None:
        self._store = store
        self._spans = Spans(tracer, SpanKind.CLIENT)

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to one call; see the port."""
        return self._store.admission()

    def transact(self, writes: Sequence[Write]) -> Call[Conflict | None]:
        """Write all or nothing; see the port."""
        return self._spans.around(self._store.transact(writes), "store.transact", _of_sqlite)

    def get_reservation(self, reservation_id: ReservationId) -> Call[Reservation | None]:
        """Read by key; see the port."""
        call = self._store.get_reservation(reservation_id)
        return self._spans.around(call, "store.get_reservation", _of_sqlite)

    def get_order(self, order_id: OrderId) -> Call[Order | None]:
        """Read by key; see the port."""
        return self._spans.around(self._store.get_order(order_id), "store.get_order", _of_sqlite)

    def find_record(self, key: RecordKey, now: datetime) -> Call[IdempotencyRecord | None]:
        """Read by key; see the port."""
        return self._spans.around(self._store.find_record(key, now), "store.find_record", _of_sqlite)

    async def due_holds(self, now: datetime, limit: int) -> Sequence[Reservation]:
        """List holds that are over, which no request asks for; see the port."""
        return await self._store.due_holds(now, limit)

    async def purge_records(self, now: datetime, limit: int) -> int:
        """Delete records that are over, which no request asks for; see the port."""
        return await self._store.purge_records(now, limit)


class TracedReadModel:
    """A ReadModel whose calls are spans."""

    def __init__(self, read_model: ReadModel, tracer: Tracer) -> None:
        self._read_model = read_model
        self._spans = Spans(tracer, SpanKind.CLIENT)

    def reservations_of_user(
        self, user_id: UserId, status: Status | None, limit: int, after: str | None
    ) -> Call[Page[Reservation]]:
        """List a subject's reservations; see the port."""
        call = self._read_model.reservations_of_user(user_id, status, limit, after)
        return self._spans.around(call, "store.reservations_of_user", _of_sqlite)

    def orders_of_user(self, user_id: UserId, limit: int, after: str | None) -> Call[Page[Order]]:
        """List a subject's orders; see the port."""
        call = self._read_model.orders_of_user(user_id, limit, after)
        return self._spans.around(call, "store.orders_of_user", _of_sqlite)

    def orders_of_event(self, event_id: EventId, limit: int, after: str | None) -> Call[Page[Order]]:
        """List an event's orders; see the port."""
        call = self._read_model.orders_of_event(event_id, limit, after)
        return self._spans.around(call, "store.orders_of_event", _of_sqlite)


class TracedInventory:
    """An Inventory whose calls are spans; a refusal is an answer."""

    def __init__(self, inventory: Inventory, tracer: Tracer) -> None:
        self._inventory = inventory
        self._spans = Spans(tracer, SpanKind.INTERNAL, _judge_answer)

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to one commit; see the port."""
        return self._inventory.admission()

    def reserve(self, request: ReserveSeats) -> Call[SeatHold]:
        """Hold all the seats or none; see the port."""
        return self._spans.around(self._inventory.reserve(request), "inventory.reserve", _of_sqlite)

    def commit(self, request: CommitSeats) -> Call[CommitOutcome]:
        """Sell all the seats or none; see the port."""
        return self._spans.around(self._inventory.commit(request), "inventory.commit", _of_sqlite)

    def release(self, request: ReleaseSeats) -> Call[ReleaseOutcome]:
        """Free the seats that this id holds; see the port."""
        return self._spans.around(self._inventory.release(request), "inventory.release", _of_sqlite)

    def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Call[Availability]:
        """List free seats; see the port."""
        call = self._inventory.availability(event_id, seat_ids=seat_ids, section=section)
        return self._spans.around(call, "inventory.availability", _of_sqlite)

    def status(self, event_id: EventId, *, section: str | None = None) -> Call[InventoryStatus]:
        """Count an event's seats; see the port."""
        call = self._inventory.status(event_id, section=section)
        return self._spans.around(call, "inventory.status", _of_sqlite)


def _of_sqlite() -> Attributes:
    return {"db.system": "sqlite"}


def _judge_answer(error: BaseException | None) -> Outcome:
    return Outcome() if isinstance(error, (RefusedError, HoldEndedError)) else by_its_class(error)
