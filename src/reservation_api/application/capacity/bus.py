"""What the planned peak asks of the event bus and of those it calls."""

from collections.abc import Iterator

from reservation_api.application.capacity.lines import TIMES, Line, Question, must_raise, told, weighted
from reservation_api.application.capacity.processes import vcpus
from reservation_api.application.relay import GATHER_SECONDS
from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES


def events(question: Question) -> tuple[float, str]:
    """Return the events a second, with their formula."""
    return weighted(question.rates(), {name: charge.events for name, charge in question.charges.items()})


def bus_lines(question: Question) -> Iterator[Line]:
    """Yield events, the calls that carry them, those of their targets, and the functions they keep busy."""
    limits, assumed = question.tariff.limits, question.tariff.assumed
    amount, formula = events(question)
    yield Line("EventBridge", "events", amount, "events/s", formula, "the use cases, made on meters")
    processes = sum(vcpus(question))
    a_call = min(MAX_BATCH_ENTRIES, max(1.0, amount / processes * GATHER_SECONDS))
    calls = amount / a_call
    gathered = f"{told(amount)} / {processes} processes {TIMES} {GATHER_SECONDS} s, 1 to {MAX_BATCH_ENTRIES}"
    yield Line(
        "EventBridge",
        "PutEvents",
        calls,
        "requests/s",
        f"{told(amount)} / {told(a_call)} a call ({gathered})",
        f"application/relay.py; {limits.put_events.source}",
        must_raise(calls, limits.put_events),
    )
    called = amount * assumed.targets_per_event
    yield Line(
        "EventBridge",
        "calls of targets",
        called,
        "invocations/s",
        f"{told(amount)} {TIMES} {told(assumed.targets_per_event)} targets",
        limits.target_invocations.source,
        must_raise(called, limits.target_invocations),
    )
    busy = called * assumed.consumer_milliseconds / 1000
    yield Line(
        "EventBridge",
        "event processors at once",
        busy,
        "instances",
        f"{told(called)} {TIMES} {told(assumed.consumer_milliseconds)} ms",
        limits.function_concurrency.source,
        must_raise(busy, limits.function_concurrency),
    )
