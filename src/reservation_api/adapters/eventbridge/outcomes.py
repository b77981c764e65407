"""What EventBridge's answers mean for an event: it is there, it is refused, or nobody knows yet.

Only what is wrong with an event itself refuses it. All else passes for an outage, which counts no attempt:
a permission taken away or a bus that is gone is mended by people, in hours, while ten attempts are over in
minutes; the events wait PENDING in the outbox, whose oldest row is what the health tells and alarms watch.
An error that is not known yet refuses an entry, so that it ends where a person sees it, and never loops.
"""

from collections.abc import Sequence
from typing import Any

from reservation_api.adapters.aws_wire.errors import AwsCallError, AwsRefusedError
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import PublishOutcome

OUTAGES = frozenset(
    {
        # the bus's own trouble
        "InternalException",
        "InternalFailure",
        "ServiceUnavailable",
        "ThrottlingException",
        # permissions and configuration: ours, and the same for each event
        "AccessDeniedException",
        "InvalidAccountIdException",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
        "ResourceNotFoundException",
    }
)
"""Error codes of an entry that say nothing against the event (API Reference, PutEventsResultEntry)."""
CONTENT_ERRORS = frozenset(
    {"ValidationException", "ValidationError", "SerializationException", "RequestEntityTooLargeException"}
)
"""Error codes of a whole call that speak of what is in it: one entry of it, perhaps, and not the others."""


def is_about_content(error: AwsCallError) -> bool:
    """Tell whether a call was refused for what is in it."""
    return isinstance(error, AwsRefusedError) and error.code in CONTENT_ERRORS


def unavailable(error: AwsCallError) -> EventBusUnavailableError:
    """Return what any other failure of a call is to whoever publishes."""
    found = EventBusUnavailableError(str(error))
    found.__cause__ = error
    return found


def outcomes_of(answer: Any, count: int) -> Sequence[PublishOutcome]:
    """Read an answer entry by entry; one that does not tell of `count` entries is not believed."""
    entries = answer.get("Entries") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or len(entries) != count:
        return [EventBusUnavailableError("PutEvents answered for another number of entries")] * count
    return [_outcome_of(entry) for entry in entries]


def _outcome_of(entry: Any) -> PublishOutcome:
    if not isinstance(entry, dict):
        return EventBusUnavailableError("PutEvents answered with what is no entry")
    code = entry.get("ErrorCode")
    if code is None:
        return (
            None if entry.get("EventId") else EventBusUnavailableError("PutEvents answered with no event id")
        )
    reason = f"{code}: {entry.get('ErrorMessage') or 'no message'}"
    return EventBusUnavailableError(reason) if code in OUTAGES else reason
