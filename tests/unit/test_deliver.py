"""What a relay makes of each answer of the bus."""

from collections.abc import Sequence
from typing import Any, Final, cast

from tests.support.examples import outbox_entry

from reservation_api.application.deliver import Deliver, Delivery, Verdict, done_ids
from reservation_api.application.recover import Recover
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import OutgoingEvent, PublishOutcome
from reservation_api.ports.inventory import Inventory

NONE_OF_ITS_BUSINESS: Final = cast("Any", None)


class AnsweringBus:
    """Gives these answers, one for each event."""

    def __init__(self, *outcomes: PublishOutcome) -> None:
        self._outcomes = outcomes

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[PublishOutcome]:
        assert len(events) == len(self._outcomes)
        return self._outcomes


async def delivered(*outcomes: PublishOutcome) -> list[Delivery]:
    deliver = Deliver(
        AnsweringBus(*outcomes),
        cast("Inventory", NONE_OF_ITS_BUSINESS),
        cast("Recover", NONE_OF_ITS_BUSINESS),
    )
    return await deliver([outbox_entry(f"rsv_{n}") for n in range(len(outcomes))])


async def test_each_event_has_the_verdict_of_its_own_answer() -> None:
    throttled = EventBusUnavailableError("ThrottlingException: slow down")
    deliveries = await delivered(None, "MalformedDetail: no", throttled, None)
    assert [(d.verdict, d.error) for d in deliveries] == [
        (Verdict.DONE, None),
        (Verdict.REFUSED, "MalformedDetail: no"),
        (Verdict.OUTAGE, "ThrottlingException: slow down"),
        (Verdict.DONE, None),
    ]
    assert done_ids(deliveries) == ["rsv_0.1", "rsv_3.1"]


async def test_an_empty_reason_is_a_refusal_all_the_same() -> None:
    (delivery,) = await delivered("")
    assert delivery.verdict is Verdict.REFUSED
