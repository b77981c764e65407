"""The archive of an event bus."""

from datetime import UTC, datetime
from typing import Any

from reservation_api.adapters.aws_operations.client import told
from reservation_api.ports.operations import (
    Archive,
    OperationFailedError,
    Replay,
    ReplayProgress,
    ReplayState,
)


class EventBridgeArchive:
    """Implements ports.operations.EventArchive over botocore's client of EventBridge."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def find(self, name: str) -> Archive:
        """Return an archive by its name."""
        with told(f"DescribeArchive {name}"):
            found = self._events.describe_archive(ArchiveName=name)
        return Archive(found["ArchiveArn"], found["EventSourceArn"], int(found.get("EventCount", 0)))

    def find_rule(self, bus_name: str, rule: str) -> str:
        """Return a rule's ARN by its name."""
        with told(f"DescribeRule {rule}"):
            return str(self._events.describe_rule(Name=rule, EventBusName=bus_name)["Arn"])

    def start(self, replay: Replay) -> None:
        """Start a replay; see the port."""
        destination: dict[str, Any] = {"Arn": replay.archive.bus_arn}
        if replay.rule_arns:
            destination["FilterArns"] = list(replay.rule_arns)
        with told(f"StartReplay {replay.name}"):
            self._events.start_replay(
                ReplayName=replay.name,
                EventSourceArn=replay.archive.arn,
                EventStartTime=replay.from_at,
                EventEndTime=replay.until_at,
                Destination=destination,
            )

    def progress(self, name: str) -> ReplayProgress:
        """Return how a replay stands."""
        with told(f"DescribeReplay {name}"):
            found = self._events.describe_replay(ReplayName=name)
        until: datetime | None = found.get("EventLastReplayedTime")
        return ReplayProgress(
            state=_state_of(found.get("State")),
            reason=found.get("StateReason"),
            replayed_until=None if until is None else until.astimezone(UTC),
        )


def _state_of(text: object) -> ReplayState:
    try:
        return ReplayState(text)
    except ValueError as error:
        raise OperationFailedError(f"DescribeReplay: a state that is not known: {text}") from error
