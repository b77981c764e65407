"""Which spans requests leave, on the embedded runtime as it is wired; those not recorded leave none."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.support.api import Client, answering, make_api
from tests.support.clock import FakeClock
from tests.support.http_sockets import get
from tests.support.overload import full

from reservation_api.adapters.sqlite.venues import demo_plan, load_event
from reservation_api.bootstrap import Service, build
from reservation_api.bootstrap.tracing import Spans
from reservation_api.config import load
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.app import Api
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.spans import Span, SpanKind, Tracer

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED, NOT_RECORDED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
COLLECTOR = {"APP_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}
EVENT = "evt_demo"


@asynccontextmanager
async def opened(folder: Path, **environ: str) -> AsyncIterator[tuple[Service, Client]]:
    service = build(load({"APP_DATA_DIR": str(folder), **environ}), FakeClock())
    try:
        await load_event(service.database, demo_plan())
        assert service.issuer is not None
        api = Api(service.use_cases, service.tokens, service.health, service.clock, service.metrics)
        api.trace_by(service.tracer)
        token = service.issuer.issue(UserId("alice"), (), 600, service.clock.now())
        yield service, Client(api, token)
    finally:
        await service.close()


async def everything(service: Service, client: Client, traceparent: str | None) -> None:
    """Do all that users can do, and publish what it leaves behind."""
    relaying = asyncio.create_task(service.fast_relay.run_forever())
    for ending, body in (("confirm", {"payment_intent_id": "pi_1"}), ("cancel", None)):
        held = await client.post("/v1/reservations", {"event_id": EVENT, "qty": 1}, traceparent=traceparent)
        place = f"/v1/reservations/{held.json['reservation_id']}"
        await client.get(place, traceparent=traceparent)
        await client.post(f"{place}/extend", {"seconds": 10}, traceparent=traceparent)
        ended = await client.post(f"{place}/{ending}", body, traceparent=traceparent)
        assert ended.status == 200
    await client.get("/v1/reservations", traceparent=traceparent)
    await client.get("/v1/orders", traceparent=traceparent)
    await client.get(f"/v1/events/{EVENT}/availability", traceparent=traceparent)
    await service.fast_relay.flush()
    relaying.cancel()
    await asyncio.wait([relaying])


def taken(tracer: Tracer | None) -> list[Span]:
    assert tracer is not None
    return tracer.take(1_000)


@contextmanager
def counting_spans() -> Iterator[Counter]:
    """Count every span that is begun or made meanwhile, kept or not."""
    made, begun = Span.__init__.__code__, Spans.recorded.__code__
    counter = Counter()

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in (made, begun):
            counter.inc()

    sys.setprofile(look)
    try:
        yield counter
    finally:
        sys.setprofile(None)


async def test_each_request_is_a_span_and_what_was_done_for_it_are_parts(tmp_path: Path) -> None:
    async with opened(tmp_path, **COLLECTOR, APP_TRACES_RATIO="0") as (service, client):
        await everything(service, client, RECORDED)
        spans = taken(service.tracer)
    by_id = {span.span_id: span for span in spans}
    assert {span.trace_id for span in spans} == {TRACE}
    found: dict[str, set[str]] = {}
    for span in spans:
        if span.kind is SpanKind.SERVER:
            assert span.parent_id == CALLER
            found.setdefault(span.name, set())
        else:
            assert span.parent_id is not None
            found.setdefault(by_id[span.parent_id].name, set()).add(span.name)
    changed = "publish Reservation Status Changed"
    assert found == {
        "POST /v1/reservations": {"inventory.reserve", "store.transact", "publish Reservation Created"},
        "GET /v1/reservations/{reservation_id}": {"store.get_reservation"},
        "POST /v1/reservations/{reservation_id}/extend": {
            "store.get_reservation",
            "inventory.reserve",
            "store.transact",
        },
        "POST /v1/reservations/{reservation_id}/confirm": {
            "store.get_reservation",
            "inventory.commit",
            "store.transact",
            changed,
        },
        "POST /v1/reservations/{reservation_id}/cancel": {
            "store.get_reservation",
            "store.transact",
            "inventory.release",
            changed,
        },
        "GET /v1/reservations": {"store.reservations_of_user"},
        "GET /v1/orders": {"store.orders_of_user"},
        "GET /v1/events/{event_id}/availability": {"inventory.status"},
    }
    assert not [span.name for span in spans if span.error is not None]


@pytest.mark.parametrize(
    ("ratio", "traceparent", "is_recorded"),
    [
        ("1", NOT_RECORDED, False),
        ("0", RECORDED, True),
        ("1", None, True),
        ("0", None, False),
        ("1", "nonsense", True),
    ],
)
async def test_the_caller_decides_and_without_one_the_ratio(
    tmp_path: Path, ratio: str, traceparent: str | None, *, is_recorded: bool
) -> None:
    async with opened(tmp_path, **COLLECTOR, APP_TRACES_RATIO=ratio) as (service, client):
        await client.get("/v1/orders", traceparent=traceparent)
        spans = taken(service.tracer)
    assert [span.name for span in spans] == ["store.orders_of_user", "GET /v1/orders"][: 2 * is_recorded]


async def test_a_request_that_is_not_recorded_makes_no_spans_at_all(tmp_path: Path) -> None:
    async with opened(tmp_path, **COLLECTOR, APP_TRACES_RATIO="0") as (service, client):
        with counting_spans() as counter:
            await everything(service, client, NOT_RECORDED)
        assert counter.value == 0
        with counting_spans() as counter:
            await client.get("/v1/orders", traceparent=RECORDED)
        # So they would have been seen: a call (again whenever it goes on), its span, and the request's.
        assert counter.value >= 3


@pytest.mark.parametrize("environ", [{}, {**COLLECTOR, "APP_TRACES": "false"}])
async def test_without_a_collector_for_them_nothing_is_recorded_whatever_callers_say(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    async with opened(tmp_path, **environ) as (service, client):
        assert service.tracer is None
        with counting_spans() as counter:
            await everything(service, client, RECORDED)
        assert counter.value == 0


async def test_a_trace_that_begins_here_has_no_parent_and_the_id_that_answers_and_logs_have(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, **COLLECTOR, APP_TRACES_RATIO="1") as (service, client):
        refused = await client.get("/v1/orders/ord_none")
        spans = taken(service.tracer)
    assert refused.status == 404
    assert {span.trace_id for span in spans} == {refused.json["trace_id"]}
    request = spans[-1]
    assert (request.parent_id, request.error) == (None, None)  # a client's mistake is no failure of ours
    assert request.attributes["http.response.status_code"] == 404


def recording(answer: Any) -> tuple[Client, Tracer]:
    clock = FakeClock()
    tracer = Tracer(1.0, clock.now, Counter())
    api = make_api(answering(answer), clock)
    api.trace_by(tracer)
    return Client(api), tracer


async def test_a_path_that_is_not_there_and_a_method_that_is_none_are_told_by_no_word_of_the_client() -> None:
    client, tracer = recording(None)
    await client.send("GET", "/secret/path")
    await client.send("STEAL", "/v1/orders")
    first, second = taken(tracer)
    assert (first.name, first.attributes) == (
        "GET",
        {"http.request.method": "GET", "url.scheme": "http", "http.response.status_code": 404},
    )
    assert second.name == second.attributes["http.request.method"] == "_OTHER"


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (StoreUnavailableError("the disk is full"), "store_unavailable", 503),
        (ZeroDivisionError(), "internal_error", 500),
    ],
)
async def test_what_fails_here_is_an_error_of_its_kind(answer: Exception, code: str, status: int) -> None:
    client, tracer = recording(answer)
    await client.get("/v1/orders/ord_1")
    [span] = taken(tracer)
    assert (span.error, span.attributes["http.response.status_code"]) == (code, status)


async def test_who_is_turned_away_leaves_a_span_too_whether_by_a_look_or_by_the_parser() -> None:
    client, tracer = recording(None)
    client.api.guards = full()
    await client.get("/v1/orders/ord_1")
    assert client.api.turn_away(get("/v1/orders/ord_1")) is not None
    first, second = taken(tracer)
    assert first.name == second.name == "GET /v1/orders/{order_id}"
    assert first.error == second.error == "overloaded"
    assert first.attributes == second.attributes
    assert first.attributes["http.response.status_code"] == 503
    assert first.trace_id != second.trace_id


async def test_a_client_that_hangs_up_leaves_a_span_without_a_status() -> None:
    client, tracer = recording(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await client.get("/v1/orders/ord_1")
    [span] = taken(tracer)
    assert span.error == "CancelledError"
    assert "http.response.status_code" not in span.attributes
