"""A store and its read model behind a circuit breaker and a bulkhead: what can not answer now is not asked.

A call is made however little time its caller has left: what is half done must be written.
"""

from collections.abc import Sequence
from datetime import datetime

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.guard import Call, Guard
from reservation_api.adapters.resilience.ticket import Ticket
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, OrderId, RecordKey, ReservationId, UserId
from reservation_api.ports.read_model import InvalidCursorError, Page, ReadModel
from reservation_api.ports.store import Conflict, IdempotencyRecord, ReservationStore, Write


class GuardedStore:
    """Implements ports.store.ReservationStore over another one; a conflict is an answer.

    A `transact` whose outcome is unknown is a failure, whether it was written or not.
    """

    def __init__(self, store: ReservationStore, admission: Admission) -> None:
        self._store = store
        self._guard = Guard(admission, StoreUnavailableError)

    def admission(self) -> Ticket:
        """Hold the permit for one call; entering raises StoreUnavailableError if there is none."""
        return self._guard.admission()

    def transact(self, writes: Sequence[Write]) -> Call[Conflict | None]:
        """Write all or nothing; raises as the port says."""
        return self._guard.call(lambda: self._store.transact(writes))

    def get_reservation(self, reservation_id: ReservationId) -> Call[Reservation | None]:
        """Read by key; raises as the port says."""
        return self._guard.call(lambda: self._store.get_reservation(reservation_id))

    def get_order(self, order_id: OrderId) -> Call[Order | None]:
        """Read by key; raises as the port says."""
        return self._guard.call(lambda: self._store.get_order(order_id))

    def find_record(self, key: RecordKey, now: datetime) -> Call[IdempotencyRecord | None]:
        """Read by key; raises as the port says."""
        return self._guard.call(lambda: self._store.find_record(key, now))

    def due_holds(self, now: datetime, limit: int) -> Call[Sequence[Reservation]]:
        """List holds that are over; raises as the port says."""
        return self._guard.call(lambda: self._store.due_holds(now, limit))

    def purge_records(self, now: datetime, limit: int) -> Call[int]:
        """Delete records that are over; raises as the port says."""
        return self._guard.call(lambda: self._store.purge_records(now, limit))


class GuardedReadModel:
    """Implements ports.read_model.ReadModel over another one; a bad cursor is an answer."""

    def __init__(self, read_model: ReadModel, admission: Admission) -> None:
        self._read_model = read_model
        self._guard = Guard(admission, StoreUnavailableError, answers=(InvalidCursorError,))

    def reservations_of_user(
        self, user_id: UserId, status: Status | None, limit: int, after: str | None
    ) -> Call[Page[Reservation]]:
        """List a subject's reservations; raises as the port says."""
        return self._guard.call(lambda: self._read_model.reservations_of_user(user_id, status, limit, after))

    def orders_of_user(self, user_id: UserId, limit: int, after: str | None) -> Call[Page[Order]]:
        """List a subject's orders; raises as the port says."""
        return self._guard.call(lambda: self._read_model.orders_of_user(user_id, limit, after))

    def orders_of_event(self, event_id: EventId, limit: int, after: str | None) -> Call[Page[Order]]:
        """List an event's orders; raises as the port says."""
        return self._guard.call(lambda: self._read_model.orders_of_event(event_id, limit, after))
