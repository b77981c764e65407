"""What goes to PutEvents in one call, and what its answers mean for each event."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import START, TRACE

from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.eventbridge.entries import SIZE_LIMIT_BYTES, batches_of, entry_of, size_of
from reservation_api.adapters.eventbridge.outcomes import CONTENT_ERRORS, OUTAGES
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES, OutgoingEvent, PublishOutcome

EVENT: Final = OutgoingEvent(
    "e", "reservation.service", "Reservation Created", '{"id":"e"}', START + timedelta(seconds=1.987), TRACE
)
REST_BYTES: Final = 14 + len("reservation.service") + len("Reservation Created")
DOCUMENTED: Final = {
    "InternalFailure": True,
    "ThrottlingException": True,
    "AccessDeniedException": True,
    "InvalidAccountIdException": True,
    "InvalidArgument": False,
    "MalformedDetail": False,
    "NotAuthorizedForDetailTypeException": True,
    "NotAuthorizedForSourceException": True,
    "RedactionFailure": False,
}
"""The error codes of PutEventsResultEntry in the API Reference, and whether they pass for an outage."""
Answer = Callable[[Sequence[Mapping[str, Any]]], Any]


class ScriptedEvents:
    """An AwsCaller that answers as it is told, and remembers what each call put."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[Sequence[Mapping[str, Any]]] = []

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        assert operation == "PutEvents"
        assert repeatable
        self.calls.append(request["Entries"])
        await asyncio.sleep(0)
        return self._answer(request["Entries"])


def taken(entries: Sequence[Mapping[str, Any]]) -> Any:
    return {"FailedEntryCount": 0, "Entries": [{"EventId": f"b{n}"} for n in range(len(entries))]}


def raising(error: AwsCallError) -> Answer:
    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        raise error

    return answer


def refusing(code: str, detail: str) -> Answer:
    """Refuse every call that has an entry with this detail."""

    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        if any(entry["Detail"] == detail for entry in entries):
            raise AwsRefusedError("PutEvents", 400, code, {"message": "bad"})
        return taken(entries)

    return answer


def sized(size: int) -> OutgoingEvent:
    """An event that counts so many bytes."""
    return replace(EVENT, detail="x" * (size - REST_BYTES))


async def published(answer: Answer, *events: OutgoingEvent) -> Sequence[PublishOutcome]:
    return await EventBridgeBus(ScriptedEvents(answer), "bus").publish(events)


def test_an_entry_is_what_the_bus_is_to_show() -> None:
    assert entry_of(EVENT, "bus") == {
        "EventBusName": "bus",
        "Source": "reservation.service",
        "DetailType": "Reservation Created",
        "Detail": '{"id":"e"}',
        "Time": int(START.timestamp()) + 1,
        "TraceHeader": "Root=1-0af76519-16cd43dd8448eb211c80319c",
    }


def test_a_trace_that_is_recorded_goes_on_from_the_request_that_made_the_event() -> None:
    recorded = entry_of(replace(EVENT, trace_id=TRACE, span_id="00f067aa0ba902b7"), "bus")
    root = f"Root=1-{TRACE[:8]}-{TRACE[8:]}"
    assert recorded["TraceHeader"] == f"{root};Parent=00f067aa0ba902b7;Sampled=1"
    assert entry_of(replace(EVENT, trace_id=TRACE), "bus")["TraceHeader"] == root


@pytest.mark.parametrize("trace_id", ["", "unknown", TRACE.upper(), TRACE + "0", TRACE[1:], f"{TRACE}\n"])
def test_a_trace_that_x_ray_would_not_know_is_left_out(trace_id: str) -> None:
    assert "TraceHeader" not in entry_of(replace(EVENT, trace_id=trace_id), "bus")


def test_every_field_is_one_that_put_events_has() -> None:
    model = Loader().load_service_model("events", "service-2")
    known = model["shapes"]["PutEventsRequestEntry"]["members"]
    assert entry_of(EVENT, "bus").keys() <= known.keys()


def test_size_counts_bytes_and_the_time_as_fourteen() -> None:
    event = replace(EVENT, source="ü", detail_type="좌석", detail='{"a":"€"}', trace_id="")
    assert size_of(entry_of(event, "a bus whose name counts nothing")) == 14 + 2 + 6 + 11


@given(st.lists(st.integers(REST_BYTES, SIZE_LIMIT_BYTES - 1), max_size=40))
def test_batches_keep_the_order_and_both_limits_and_are_no_smaller_than_need_be(sizes: list[int]) -> None:
    assert [size_of(entry_of(sized(size), "bus")) for size in sizes] == sizes
    batches = list(batches_of(sizes))
    assert [index for batch in batches for index in batch] == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= MAX_BATCH_ENTRIES
        assert sum(sizes[i] for i in batch) < SIZE_LIMIT_BYTES
    for batch, after in pairwise(batches):
        is_full = len(batch) == MAX_BATCH_ENTRIES
        assert is_full or sum(sizes[i] for i in batch) + sizes[after[0]] >= SIZE_LIMIT_BYTES


@pytest.mark.parametrize(("second", "calls"), [(SIZE_LIMIT_BYTES // 2 - 1, 1), (SIZE_LIMIT_BYTES // 2, 2)])
def test_a_call_stays_below_its_limit_by_a_byte(second: int, calls: int) -> None:
    assert len(list(batches_of([SIZE_LIMIT_BYTES // 2, second]))) == calls


async def test_events_that_are_too_large_together_go_in_calls_of_their_own() -> None:
    events = ScriptedEvents(taken)
    assert await EventBridgeBus(events, "bus").publish([sized(SIZE_LIMIT_BYTES // 2)] * 3) == [None] * 3
    assert [len(call) for call in events.calls] == [1, 1, 1]


async def test_more_events_than_a_call_takes_go_in_several() -> None:
    events = ScriptedEvents(taken)
    assert await EventBridgeBus(events, "bus").publish([EVENT] * 23) == [None] * 23
    assert sorted(map(len, events.calls)) == [3, 10, 10]


async def test_an_event_that_no_bus_takes_is_refused_and_the_others_go() -> None:
    events = ScriptedEvents(taken)
    largest, too_large = sized(SIZE_LIMIT_BYTES - 1), sized(SIZE_LIMIT_BYTES)
    outcomes = await EventBridgeBus(events, "bus").publish([EVENT, too_large, largest, EVENT])
    assert outcomes == [
        None,
        "the event has 262144 bytes, and an event bus takes less than 262144",
        None,
        None,
    ]
    assert sorted(len(entry["Detail"]) for call in events.calls for entry in call) == sorted(
        [len(EVENT.detail)] * 2 + [len(largest.detail)]
    )


async def test_events_that_are_all_too_large_are_no_call_and_no_outage() -> None:
    events = ScriptedEvents(taken)
    (outcome,) = await EventBridgeBus(events, "bus").publish([sized(SIZE_LIMIT_BYTES)])
    assert isinstance(outcome, str)
    assert events.calls == []


async def test_nothing_to_publish_is_no_call() -> None:
    events = ScriptedEvents(taken)
    assert await EventBridgeBus(events, "bus").publish([]) == []
    assert events.calls == []


async def test_each_entry_has_its_own_outcome_whatever_the_count_says() -> None:
    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        failed = [{"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}, {"ErrorCode": "InternalFailure"}]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}, *failed, {"EventId": "4"}]}

    first, second, third, fourth = await published(answer, *[EVENT] * 4)
    assert (first, second, fourth) == (None, "MalformedDetail: no", None)
    assert isinstance(third, EventBusUnavailableError)
    assert str(third) == "InternalFailure: no message"


@pytest.mark.parametrize(("code", "is_outage"), DOCUMENTED.items())
async def test_every_documented_code_of_an_entry_is_told_apart(code: str, *, is_outage: bool) -> None:
    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        return {
            "FailedEntryCount": 1,
            "Entries": [{"ErrorCode": code, "ErrorMessage": "m"}, {"EventId": "2"}],
        }

    outcome, other = await published(answer, EVENT, EVENT)
    assert other is None
    assert str(outcome) == f"{code}: m"
    assert isinstance(outcome, EventBusUnavailableError) is is_outage


async def test_an_unknown_code_of_an_entry_counts_an_attempt() -> None:
    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "NewException"}]}

    assert await published(answer, EVENT) == ["NewException: no message"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Entries": []},
        {"Entries": [{"EventId": "1"}]},
        {"Entries": [{"EventId": str(n)} for n in range(3)]},
        {"Entries": None},
        {"Entries": [{}, {"EventId": ""}]},
        {"Entries": ["1", None]},
        [],
        None,
    ],
)
async def test_an_answer_that_does_not_tell_of_each_event_is_not_believed(answer: Any) -> None:
    with pytest.raises(EventBusUnavailableError):
        await published(lambda _: answer, EVENT, EVENT)


@pytest.mark.parametrize(
    "error",
    [
        AwsThrottledError("PutEvents", 400, "ThrottlingException", {"message": "Rate exceeded"}),
        AwsNotSentError("PutEvents: no connection"),
        AwsOutcomeUnknownError("PutEvents: no answer"),
        *(
            AwsRefusedError("PutEvents", 400, code, {})
            for code in ("AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException")
        ),
    ],
    ids=lambda error: getattr(error, "code", type(error).__name__),
)
async def test_a_call_that_fails_for_what_is_no_events_fault_is_an_outage(error: AwsCallError) -> None:
    with pytest.raises(EventBusUnavailableError) as caught:
        await published(raising(error), EVENT, EVENT)
    assert str(caught.value) == str(error)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("code", sorted(CONTENT_ERRORS))
async def test_an_entry_that_spoils_its_call_is_refused_alone(code: str) -> None:
    events = ScriptedEvents(refusing(code, "bad"))
    outcomes = await EventBridgeBus(events, "bus").publish([EVENT, replace(EVENT, detail="bad"), EVENT])
    assert outcomes == [None, f"PutEvents: {code}: bad", None]
    assert list(map(len, events.calls)) == [3, 1, 1, 1]


async def test_an_outage_of_one_of_two_calls_is_an_outage_of_its_events_only() -> None:
    def answer(entries: Sequence[Mapping[str, Any]]) -> Any:
        if len(entries) < MAX_BATCH_ENTRIES:
            raise AwsNotSentError("PutEvents: no connection")
        return taken(entries)

    outcomes = await published(answer, *[EVENT] * 12)
    assert outcomes[:10] == [None] * 10
    assert [str(outcome) for outcome in outcomes[10:]] == ["PutEvents: no connection"] * 2


async def test_an_event_is_refused_although_all_the_others_meet_an_outage() -> None:
    outcomes = await published(raising(AwsNotSentError("no")), EVENT, sized(SIZE_LIMIT_BYTES))
    assert isinstance(outcomes[0], EventBusUnavailableError)
    assert isinstance(outcomes[1], str)


def test_no_code_is_both_an_outage_and_the_contents_fault() -> None:
    assert not OUTAGES & CONTENT_ERRORS
    assert {code for code, is_outage in DOCUMENTED.items() if is_outage} <= OUTAGES
