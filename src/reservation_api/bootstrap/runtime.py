"""What a runtime is: the ports that differ between one machine and AWS, opened."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.sqlite.database import Database
from reservation_api.application.health import Component
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox
from reservation_api.ports.read_model import ReadModel
from reservation_api.ports.store import ReservationStore

PURGE_BATCH_SIZE = 500
"""Rows deleted at a time: a few milliseconds for which other writes wait."""

Purge = Callable[[datetime, int], Awaitable[int]]
"""Deletes up to so many rows that are over at an instant; returns how many went."""
Close = Callable[[], Awaitable[None]]
Check = Callable[[], Awaitable[Component]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """Opened ports, and what goes with them.

    Requests use `store` and `read_model`, which refuse at once while their service is known to be down;
    workers use `unguarded_store`: they pace themselves, and what they finish frees seats.
    """

    store: ReservationStore
    unguarded_store: ReservationStore
    outbox: Outbox
    read_model: ReadModel
    event_bus: EventBus
    inventory: Inventory | None
    """The built-in one, if there is one."""
    database: Database | None
    """The embedded runtime's file."""
    checks: Mapping[str, Check]
    purges: Mapping[str, Purge]
    close: Close
    waited_seconds: Callable[[], float]
    """How long all calls so far waited in this process for their turn at the store, together."""
    breakers: Sequence[CircuitBreaker] = field(default=())
