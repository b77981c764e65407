"""What `/actuator/health` looks at."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.settings import BreakerState
from reservation_api.application.deliver import EVENT_TYPES, Delivery, Verdict
from reservation_api.application.health import Component, ComponentStatus
from reservation_api.application.relay import Carry
from reservation_api.bootstrap.runtime import Check
from reservation_api.domain.errors import NotFoundError, UnavailableError
from reservation_api.domain.values import EventId, to_iso
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxStatus

MAX_COUNTED_FAILURES = 100
"""FAILED rows are counted no further: whoever is called needs no more exact number."""
LATE_SECONDS = 60.0
"""As of the alarm on the outbox: due rows are taken within seconds."""
NOBODYS_EVENT = EventId("evt_health")
SHARED_SECONDS = 3.0
"""For one look at a shared service, however many calls it makes. After CHECK_SECONDS it would be this
process's own failure, and would take all processes out of the balancer at once."""
REMEMBERED_SECONDS = 2.0
"""Anybody may ask for health, at any rate; what asks a shared service is asked no more often than this."""


async def check_breakers(breakers: Sequence[CircuitBreaker]) -> Component:
    """Tell each one's state; one that is not closed is a shared dependency's trouble, and drains nobody."""
    details = {breaker.name: asdict(breaker.metrics()) for breaker in breakers}
    is_closed = all(breaker.state is BreakerState.CLOSED for breaker in breakers)
    return Component(ComponentStatus.UP if is_closed else ComponentStatus.UNKNOWN, details)


async def check_outbox(outbox: Outbox, clock: Clock) -> Component:
    """Tell of rows that wait for a person, and for how long the oldest of the others waits."""
    failed = await outbox.list(OutboxStatus.FAILED, MAX_COUNTED_FAILURES)
    oldest = await outbox.list(OutboxStatus.PENDING, 1)
    lag = max(0.0, (clock.now() - oldest[0].created_at).total_seconds()) if oldest else 0.0
    details = {
        "failed": len(failed),
        "oldest_pending": to_iso(oldest[0].created_at) if oldest else None,
        "lag_seconds": lag,
    }
    is_well = not failed and lag <= LATE_SECONDS
    return Component(ComponentStatus.UP if is_well else ComponentStatus.UNKNOWN, details)


async def check_inventory(inventory: Inventory, where: str) -> Component:
    """Ask for an event that nobody has: an inventory that does not know it has answered."""
    with suppress(NotFoundError):
        await inventory.status(NOBODYS_EVENT)
    return Component(ComponentStatus.UP, {"address": where})


class BusHealth:
    """How the bus is, by what became of this process's last events: its role may ask the bus nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_out = False
        self._details: dict[str, str | None] = {
            "last_published": None,
            "last_failed": None,
            "last_error": None,
        }

    def watching(self, deliver: Carry) -> Carry:
        """Look at each delivery of an event."""

        async def carry(entries: Sequence[OutboxEntry]) -> list[Delivery]:
            deliveries = await deliver(entries)
            for delivery in deliveries:
                if delivery.entry.type in EVENT_TYPES:
                    self._note(delivery)
            return deliveries

        return carry

    async def check(self) -> Component:
        """Tell; an outage is a shared service's trouble."""
        return Component(ComponentStatus.UNKNOWN if self._is_out else ComponentStatus.UP, dict(self._details))

    def _note(self, delivery: Delivery) -> None:
        now = to_iso(self._clock.now())
        self._is_out = delivery.verdict is Verdict.OUTAGE
        if delivery.verdict is Verdict.DONE:
            self._details["last_published"] = now
        else:
            self._details |= {"last_failed": now, "last_error": delivery.error}


def shared(check: Check, monotonic: Callable[[], float], seconds: float = SHARED_SECONDS) -> Check:
    """Make a check of a service that all processes share: its failure drains none, and it is asked seldom."""
    remembered: tuple[float, Component] | None = None
    asking = asyncio.Lock()

    async def look() -> Component:
        nonlocal remembered
        try:
            async with asyncio.timeout(seconds), asking:
                if remembered is None or monotonic() - remembered[0] >= REMEMBERED_SECONDS:
                    remembered = (monotonic(), await _unless_unavailable(check))
                return remembered[1]
        except TimeoutError:
            return Component(ComponentStatus.UNKNOWN, {"error": f"no answer within {seconds:g} s"})

    return look


async def _unless_unavailable(check: Check) -> Component:
    try:
        return await check()
    except UnavailableError as error:
        return Component(ComponentStatus.UNKNOWN, {"error": str(error)})
