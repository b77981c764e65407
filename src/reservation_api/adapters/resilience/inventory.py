"""An inventory behind a circuit breaker and a bulkhead: what can not answer now is not asked.

reserve, availability, status   a permit each, judged by what came of the call
admission ── commit             one permit, asked for before anything is written, judged by the commit
commit without admission        } whoever recovers a confirm or releases seats paces itself: made at
release                         } once and not judged, or an open breaker would keep seats blocked
"""

from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Final

from reservation_api.adapters.resilience.admission import Admission, Admitted
from reservation_api.adapters.resilience.guard import Guard
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

    def admission(self) -> "_Ticket":
        """Hold the permit for one commit; entering raises InventoryUnavailableError if there is none."""
        return _Ticket(self._guard)

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Hold all the seats or none; raises as the port says."""
        return await self._guard.call(lambda: self._inventory.reserve(request))

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell all the seats or none, on the admission's permit if there is one."""
        ticket = _TICKET.get()
        admitted = None if ticket is None else ticket.take_for(self._guard)
        if admitted is None:
            return await self._inventory.commit(request)
        return await self._guard.call(lambda: self._inventory.commit(request), admitted)

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Free the seats that this id holds, whatever the breaker says."""
        return await self._inventory.release(request)

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List free seats; raises as the port says."""
        return await self._guard.call(
            lambda: self._inventory.availability(event_id, seat_ids=seat_ids, section=section)
        )

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count an event's seats; raises as the port says."""
        return await self._guard.call(lambda: self._inventory.status(event_id, section=section))


class _Ticket:
    """The permit of an admission. It counts once, whoever uses it: a second commit is not judged by it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._admitted: Admitted | None = None

    def take_for(self, guard: Guard) -> Admitted | None:
        """Return the permit to its guard; None to any other."""
        return self._admitted if guard is self._guard else None

    async def __aenter__(self) -> None:
        self._admitted = await self._guard.admit()
        self._outer = _TICKET.set(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _TICKET.reset(self._outer)
        # Tasks that were begun in the block still see the ticket: a permit that is given back says nothing.
        if self._admitted is not None:
            self._admitted.release()


_TICKET: Final[ContextVar[_Ticket | None]] = ContextVar("_TICKET", default=None)
"""The admission that this task is in; one variable for all guards, since they are never given up."""
