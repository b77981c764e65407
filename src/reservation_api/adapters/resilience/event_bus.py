"""An event bus behind a circuit breaker and a bulkhead: what can not answer now is not asked."""

from collections.abc import Sequence

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.guard import Call, Guard
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import EventBus, OutgoingEvent, PublishOutcome


class GuardedEventBus:
    """Implements ports.event_bus.EventBus over another one; what it says of each entry is an answer."""

    def __init__(self, bus: EventBus, admission: Admission) -> None:
        self._bus = bus
        self._guard = Guard(admission, EventBusUnavailableError)

    def publish(self, events: Sequence[OutgoingEvent]) -> Call[Sequence[PublishOutcome]]:
        """Publish events; raises EventBusUnavailableError if that is what became of every one of them."""
        return self._guard.call(lambda: self._bus.publish(events))
