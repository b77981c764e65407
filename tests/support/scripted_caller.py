"""An AwsCaller that answers what a test says, one answer a call; the last one stays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Called:
    """A call as it was made."""

    operation: str
    request: Mapping[str, Any]
    repeatable: bool


@dataclass
class ScriptedCaller:
    """Errors are raised, anything else is answered."""

    answers: list[Any]
    calls: list[Called] = field(default_factory=list)

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        self.calls.append(Called(operation, request, repeatable))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Pauses:
    """Waits for nothing, and remembers for how long."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
