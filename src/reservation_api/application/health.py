"""This process's own state, and what it sees of its dependencies (document section 9.1)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

CHECK_SECONDS: Final = 4.0
"""Shorter than balancers wait for health; services that all share have limits of their own, shorter still."""


class Readiness(StrEnum):
    """Spring Boot's readiness states: only the process's own state, never a shared dependency's."""

    STARTING = "STARTING"
    ACCEPTING_TRAFFIC = "ACCEPTING_TRAFFIC"
    REFUSING_TRAFFIC = "REFUSING_TRAFFIC"


class ComponentStatus(StrEnum):
    """UP; DOWN for the process's own failure; UNKNOWN for a shared dependency's, which drains nobody."""

    UP = "UP"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Component:
    """How one part is."""

    status: ComponentStatus
    details: dict[str, Any] = field(default_factory=dict)


Check = Callable[[], Awaitable[Component]]


class Health:
    """Readiness as set by the process's life, and checks to run when somebody asks."""

    def __init__(self, checks: Mapping[str, Check], check_seconds: float = CHECK_SECONDS) -> None:
        self.readiness = Readiness.STARTING
        self._check_seconds = check_seconds
        self._checks = dict(checks)

    async def components(self) -> dict[str, Component]:
        """Run all checks at once; one that raises, or takes too long, is DOWN with its error."""
        found = await asyncio.gather(*map(self._checked, self._checks.values()))
        return dict(zip(self._checks, found, strict=True))

    async def _checked(self, check: Check) -> Component:
        try:
            async with asyncio.timeout(self._check_seconds):
                return await check()
        except TimeoutError:
            return Component(ComponentStatus.DOWN, {"error": f"no answer within {self._check_seconds:g} s"})
        except Exception as error:  # noqa: BLE001 (a failing check is the answer, not a failure to answer)
            return Component(ComponentStatus.DOWN, {"error": str(error)})
