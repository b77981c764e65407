"""What is deployed in an account, as it says itself; read by operators, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Facts = Mapping[str, object]
"""What a resource is, by the words of the infrastructure document; a value may be Unreadable."""


class AbsentError(Exception):
    """There is no such resource."""


class UnreadableError(Exception):
    """Whether there is one can not be told; the message says what was asked and refused."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a fact would, and says what was asked and refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Alarms:
    """All alarms of an account and region, as CloudWatch describes them."""

    metric: Sequence[Mapping[str, Any]]
    composite: Sequence[Mapping[str, Any]]


class Deployment(Protocol):
    """An account and region. All but `account` raise UnreadableError for what may not be read."""

    def account(self) -> str:
        """Return the account's number; raises OperationFailedError, since without it nothing can be read."""
        ...

    def facts(self, kind: str, name: str) -> Facts:
        """Return what a resource is; raises AbsentError."""
        ...

    def alarms(self) -> Alarms:
        """Return all alarms: the document fixes what they watch, not what they are called."""
        ...
