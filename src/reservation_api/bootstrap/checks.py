"""What `/actuator/health` looks at."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.settings import BreakerState
from reservation_api.application.health import Component, ComponentStatus
from reservation_api.bootstrap.runtime import Check
from reservation_api.domain.errors import UnavailableError
from reservation_api.domain.values import to_iso
from reservation_api.ports.outbox import Outbox, OutboxStatus

MAX_COUNTED_FAILURES = 100
"""FAILED rows are counted no further: whoever is called needs no more exact number."""
REMEMBERED_SECONDS = 2.0
"""Anybody may ask for health, at any rate; what asks a shared service is asked no more often than this."""


async def check_breakers(breakers: Sequence[CircuitBreaker]) -> Component:
    """Tell each one's state; one that is not closed is a shared dependency's trouble, and drains nobody."""
    details = {breaker.name: asdict(breaker.metrics()) for breaker in breakers}
    is_closed = all(breaker.state is BreakerState.CLOSED for breaker in breakers)
    return Component(ComponentStatus.UP if is_closed else ComponentStatus.UNKNOWN, details)


async def check_outbox(outbox: Outbox) -> Component:
    """Tell of rows that wait for a person, and since when the oldest of the others waits."""
    failed = await outbox.list(OutboxStatus.FAILED, MAX_COUNTED_FAILURES)
    oldest = await outbox.list(OutboxStatus.PENDING, 1)
    details = {"failed": len(failed), "oldest_pending": to_iso(oldest[0].created_at) if oldest else None}
    return Component(ComponentStatus.UNKNOWN if failed else ComponentStatus.UP, details)


def shared(check: Check, monotonic: Callable[[], float]) -> Check:
    """Make a check of a service that all processes share: its failure drains none, and it is asked seldom."""
    remembered: tuple[float, Component] | None = None
    asking = asyncio.Lock()

    async def look() -> Component:
        nonlocal remembered
        async with asking:
            if remembered is None or monotonic() - remembered[0] >= REMEMBERED_SECONDS:
                remembered = (monotonic(), await _unless_unavailable(check))
            return remembered[1]

    return look


async def _unless_unavailable(check: Check) -> Component:
    try:
        return await check()
    except UnavailableError as error:
        return Component(ComponentStatus.UNKNOWN, {"error": str(error)})
