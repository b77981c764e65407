"""The right to one call, held from before something else is done until the call has been made.

    admission ┬─ seats are reserved, or an intent is written ─┬─ the call ─ judged, slot free
              └ permit and slot are in hand ──────────────────┘

A ticket is its task's: the calls in its block find it by themselves. The first one is judged by it; any
further one is made as well, for it mends what the first has left, and counts for nothing.
"""

from contextvars import ContextVar
from types import TracebackType
from typing import Final, Protocol

from reservation_api.adapters.resilience.admission import Admitted


class Doorkeeper(Protocol):
    """Who admits: a guard."""

    async def admit(self) -> Admitted:
        """Return the right to one call, or raise what the guarded port raises."""
        ...


class Ticket:
    """A permit and a slot, given back at the end of the block if no call has done so."""

    __slots__ = ("_token", "admitted", "doorkeeper", "outer")

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self.doorkeeper = doorkeeper
        self.admitted: Admitted | None = None
        self.outer = _TICKET.get()

    async def __aenter__(self) -> None:
        self.admitted = await self.doorkeeper.admit()
        self._token = _TICKET.set(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _TICKET.reset(self._token)
        # Tasks that were begun in the block still see the ticket: a permit that is given back says nothing.
        if self.admitted is not None:
            self.admitted.release()


def in_hand(doorkeeper: Doorkeeper) -> Admitted | None:
    """Return the permit that this doorkeeper gave to the innermost such admission that this task is in."""
    ticket = _TICKET.get()
    while ticket is not None and ticket.doorkeeper is not doorkeeper:
        ticket = ticket.outer
    return None if ticket is None else ticket.admitted


_TICKET: Final[ContextVar[Ticket | None]] = ContextVar("_TICKET", default=None)
"""The innermost one; a single variable for all guards, since variables are never given up."""
