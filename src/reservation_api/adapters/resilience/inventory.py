"""An inventory behind a circuit breaker and a bulkhead: what can not answer now is not asked.

reserve, availability, status     a permit each, judged by what came of the call
admission ── reserve, or commit   one permit, asked for before anything is written, judged by the call
commit without admission          } whoever recovers a confirm or releases seats paces itself: made at
release                           } once and not judged, or an open breaker would keep seats blocked
"""

from collections.abc import Sequence

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.guard import Call, Guard
from reservation_api.adapters.resilience.ticket import Ticket
from reservation_api.domain.errors import InventoryUnavailableError, RefusedError
from reservation_api.domain.values import EventId, SeatId
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
from reservation_api.ports.request_context import present_seconds_left


class GuardedInventory:
    """Implements ports.inventory.Inventory over another one."""

    def __init__(self, inventory: Inventory, admission: Admission) -> None:
        self._inventory = inventory
        self._guard = Guard(
            admission,
            InventoryUnavailableError,
            answers=(RefusedError, HoldEndedError),
            seconds_left=present_seconds_left,
        )

    def admission(self) -> Ticket:
        """Hold the permit for one call; entering raises InventoryUnavailableError if there is none."""
        return self._guard.admission()

    def reserve(self, request: ReserveSeats) -> Call[SeatHold]:
        """Hold all the seats or none; raises as the port says."""
        return self._guard.call(lambda: self._inventory.reserve(request))

    def commit(self, request: CommitSeats) -> Call[CommitOutcome]:
        """Sell all the seats or none, on the admission's permit if there is one."""
        if not self._guard.is_admitted:
            return self._inventory.commit(request)
        return self._guard.call(lambda: self._inventory.commit(request))

    def release(self, request: ReleaseSeats) -> Call[ReleaseOutcome]:
        """Free the seats that this id holds, whatever the breaker says."""
        return self._inventory.release(request)

    def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Call[Availability]:
        """List free seats; raises as the port says."""
        return self._guard.call(
            lambda: self._inventory.availability(event_id, seat_ids=seat_ids, section=section)
        )

    def status(self, event_id: EventId, *, section: str | None = None) -> Call[InventoryStatus]:
        """Count an event's seats; raises as the port says."""
        return self._guard.call(lambda: self._inventory.status(event_id, section=section))
