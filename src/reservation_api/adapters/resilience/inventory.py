"""An inventory behind a circuit breaker and a bulkhead: what can not answer now is not asked.

reserve, availability, status   a permit each, judged by what came of the call
admission ── commit             one permit, asked for before anything is written, judged by the commit
commit without admission        } whoever recovers a confirm or releases seats paces itself: made at
release                         } once and not judged, or an open breaker would keep seats blocked
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Final, TypeVar

from reservation_api.adapters.resilience.admission import Admission, Admitted
from reservation_api.adapters.resilience.errors import NotTriedError
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

T = TypeVar("T")


class GuardedInventory:
    """Implements ports.inventory.Inventory over another one; `monotonic` measures calls, in seconds.

    A call fails for the breaker if its outcome is unknown. A refusal is an answer. A cancelled call, or one
    that met a fault of our own, says nothing of the inventory and gives its permit back.
    """

    def __init__(self, inventory: Inventory, admission: Admission, monotonic: Callable[[], float]) -> None:
        self._inventory = inventory
        self._admission = admission
        self._monotonic = monotonic

    def admission(self) -> "_Ticket":
        """Hold the permit for one commit; entering raises InventoryUnavailableError if there is none."""
        return _Ticket(self)

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Hold all the seats or none; raises as the port says."""
        return await self._judged(await self.admit(), lambda: self._inventory.reserve(request))

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell all the seats or none, on the admission's permit if there is one."""
        ticket = _TICKET.get()
        admitted = None if ticket is None else ticket.take_for(self)
        if admitted is None:
            return await self._inventory.commit(request)
        return await self._judged(admitted, lambda: self._inventory.commit(request))

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Free the seats that this id holds, whatever the breaker says."""
        return await self._inventory.release(request)

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List free seats; raises as the port says."""
        return await self._judged(
            await self.admit(),
            lambda: self._inventory.availability(event_id, seat_ids=seat_ids, section=section),
        )

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count an event's seats; raises as the port says."""
        return await self._judged(
            await self.admit(), lambda: self._inventory.status(event_id, section=section)
        )

    async def admit(self) -> Admitted:
        """Return the right to one call; raises InventoryUnavailableError with `retry_after_seconds`."""
        try:
            return await self._admission.acquire()
        except NotTriedError as error:
            raise InventoryUnavailableError(
                f"the inventory was not asked: {error}", retry_after_seconds=error.retry_after_seconds
            ) from error

    async def _judged(self, admitted: Admitted, call: Callable[[], Awaitable[T]]) -> T:
        started_at = self._monotonic()
        try:
            result = await call()
            admitted.success(self._monotonic() - started_at)
        except InventoryUnavailableError as error:
            admitted.failure(self._monotonic() - started_at, error)
            raise
        except (RefusedError, HoldEndedError):
            admitted.success(self._monotonic() - started_at)
            raise
        finally:
            admitted.release()
        return result


class _Ticket:
    """The permit of an admission. It counts once, whoever uses it: a second commit is not judged by it."""

    def __init__(self, guard: GuardedInventory) -> None:
        self._guard = guard
        self._admitted: Admitted | None = None

    def take_for(self, guard: GuardedInventory) -> Admitted | None:
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
