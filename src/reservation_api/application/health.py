"""This process's own state, and what it sees of its dependencies (document section 9.1)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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


class Health:
    """Readiness as set by the process's life, and checks to run when somebody asks."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[Component]]]) -> None:
        self.readiness = Readiness.STARTING
        self._checks = dict(checks)

    async def components(self) -> dict[str, Component]:
        """Run all checks; a check that raises is DOWN with its error."""
        return {name: await _checked(check) for name, check in self._checks.items()}


async def _checked(check: Callable[[], Awaitable[Component]]) -> Component:
    try:
        return await check()
    except Exception as error:  # noqa: BLE001 (a failing check is the answer, not a failure to answer)
        return Component(ComponentStatus.DOWN, {"error": str(error)})
