"""What operators do with the event archive and the tables; synchronous, since nothing else waits for it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class OperationFailedError(Exception):
    """The service refused, or gave no answer; the message says to what and why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of a bus."""

    arn: str
    bus_arn: str
    event_count: int
    """As counted at times; not exact."""


class ReplayState(Enum):
    """As EventBridge has them."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_over(self) -> bool:
        """Tell whether it changes no more."""
        return self in {ReplayState.COMPLETED, ReplayState.CANCELLED, ReplayState.FAILED}


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How a replay stands."""

    state: ReplayState
    reason: str | None = None
    replayed_until: datetime | None = None
    """The time of the latest event that was replayed; by it one sees how far it is."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Events of an archive from one time until another, once more to the bus that they came from."""

    name: str
    archive: Archive
    from_at: datetime
    until_at: datetime
    rule_arns: tuple[str, ...] = ()
    """To these rules alone; none: to all."""


class EventArchive(Protocol):
    """Every method raises OperationFailedError."""

    def find(self, name: str) -> Archive:
        """Return an archive by its name."""
        ...

    def find_rule(self, bus_name: str, rule: str) -> str:
        """Return a rule's ARN by its name."""
        ...

    def start(self, replay: Replay) -> None:
        """Start a replay; a name may be used once."""
        ...

    def progress(self, name: str) -> ReplayProgress:
        """Return how a replay stands."""
        ...


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a table is, as counted every six hours or so."""

    items: int
    size_bytes: int


class BackupState(Enum):
    """As DynamoDB has them."""

    CREATING = "CREATING"
    AVAILABLE = "AVAILABLE"
    DELETED = "DELETED"


class Backups(Protocol):
    """Backups of tables, each as the table was at one moment; every method raises OperationFailedError."""

    def size(self, table: str) -> TableSize:
        """Return how large a table is."""
        ...

    def create(self, table: str, name: str) -> str:
        """Begin a backup; return its ARN."""
        ...

    def state(self, arn: str) -> BackupState:
        """Return how a backup stands."""
        ...
