"""An inventory for reckoning: it has whatever seats are asked for, until it is said to be sold out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from reservation_api.domain.errors import SoldOutError
from reservation_api.domain.values import EventId, Money, Seat, SeatId
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)

_PRICE: Final = Money(120_000, "KRW")


class RehearsedInventory:
    """Implements ports.inventory.Inventory."""

    def __init__(self) -> None:
        self.is_sold_out = False

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Admit."""
        yield

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Give seats of one row, named as a venue's are."""
        if self.is_sold_out:
            raise SoldOutError("there are no seats left", remaining=0)
        return SeatHold(tuple(map(_seat, range(10, 10 + request.qty))), request.expires_at)

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell."""
        del request
        return CommitOutcome.SOLD

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Take back."""
        del request
        return ReleaseOutcome.RELEASED

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List none."""
        del event_id, section
        return Availability((), tuple(seat_ids), 0)

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count none."""
        del section
        return InventoryStatus(event_id, event_id, ())


def _seat(number: int) -> Seat:
    return Seat(SeatId(f"A-12-{number}"), "A", "12", str(number), _PRICE)
