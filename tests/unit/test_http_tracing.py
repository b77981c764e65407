import io
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.api import Client, answering, make_api
from tests.support.clock import FakeClock

from reservation_api.application.command import Answer
from reservation_api.domain.errors import NotFoundError, SoldOutError, StoreUnavailableError
from reservation_api.domain.reservation import NewHold, held
from reservation_api.domain.values import EventId, Money, RecordKey, ReservationId, Seat, SeatId, UserId
from reservation_api.entrypoints.http.trace_context import RequestTraces
from reservation_api.ports.request_context import Trace
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.logs import JsonFormatter, LineHandler
from reservation_api.telemetry.spans import Tracer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CLOCK = FakeClock()
SEATS = (Seat(SeatId("A-1"), "A", "1", "1", Money(110_000, "KRW")),)
HOLD = NewHold(ReservationId("rsv_1"), EventId("evt_1"), UserId("user-1"), RecordKey("r"))
ANSWER = Answer(as_of=CLOCK.now(), reservation=held(HOLD, SEATS, CLOCK.now(), CLOCK.now()))
BODY = {"event_id": "evt_1", "qty": 1}


def trace_of(traceparent: str | None, tracestate: str | None = None) -> Trace:
    headers = {"traceparent": traceparent, "tracestate": tracestate}
    return RequestTraces().of({name: value for name, value in headers.items() if value is not None})


def client_of(answer: Any) -> Client:
    return Client(make_api(answering(answer), CLOCK))


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    return msgspec.structs.asdict(record.__dict__["fields"])


def fields_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    [record] = caplog.records
    return line_of(record)


@pytest.mark.parametrize("header", [PARENT, f"00-{TRACE}-00f067aa0ba902b7-00", f"cc-{PARENT[3:]}-later"])
def test_the_callers_trace_goes_on(header: str) -> None:
    assert trace_of(header).trace_id == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE,
        PARENT[:-1],
        PARENT + "0",
        PARENT + "-more",
        PARENT.upper(),
        f"ff-{PARENT[3:]}",
        f"cc-{PARENT[3:]}later",
        PARENT.replace("-", "_"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-0é",
    ],
)
def test_anything_else_begins_a_new_trace(header: str | None) -> None:
    trace_id = trace_of(header).trace_id
    assert trace_id not in (TRACE, "0" * 32)
    assert len(trace_id) == 32
    assert not set(trace_id) - set("0123456789abcdef")


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (PARENT, True),
        (f"{PARENT[:-2]}00", False),
        (f"{PARENT[:-2]}02", False),
        (f"{PARENT[:-2]}ff", True),
        (f"cc-{PARENT[3:]}-later", True),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (None, False),
    ],
)
def test_a_trace_is_recorded_if_the_caller_says_so(header: str | None, *, is_sampled: bool) -> None:
    assert trace_of(header).is_sampled is is_sampled


@pytest.mark.parametrize(
    ("tracestate", "passed_on"),
    [
        ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        ("x" * 512, "x" * 512),
        ("x" * 513, ""),
        ("a=é", ""),
        ("a=1\n", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_what_others_want_passed_on_is_if_it_can_be(tracestate: str | None, passed_on: str) -> None:
    for header in (PARENT, f"{PARENT[:-2]}00"):
        assert trace_of(header, tracestate).state == passed_on


def test_a_new_trace_takes_no_state_from_one_that_is_not_valid() -> None:
    assert trace_of("nonsense", "congo=t61rcWkgMzE").state == trace_of(None, "congo=1").state == ""


def test_who_records_nothing_passes_on_the_callers_span_and_who_does_one_of_its_own() -> None:
    headers, tracer = {"traceparent": PARENT}, Tracer(0.0, CLOCK.now, Counter())
    assert RequestTraces().of(headers).traceparent == PARENT
    recorded = RequestTraces(tracer).of(headers)
    assert recorded.traceparent == f"00-{TRACE}-{recorded.span_id}-01"
    assert recorded.parent_id == PARENT[36:52] != recorded.span_id
    unrecorded = RequestTraces(tracer).of({"traceparent": f"{PARENT[:-2]}00"})
    assert unrecorded.span_id is None
    assert unrecorded.traceparent[:36] == PARENT[:36]
    assert unrecorded.traceparent[-3:] == "-00"


@given(st.text())
def test_any_header_leads_to_a_trace(header: str) -> None:
    assert len(trace_of(header).trace_id) == 32


async def test_a_command_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "reservation_api.http"):
        await client_of(ANSWER).post("/v1/reservations", BODY, traceparent=PARENT)
    fields = fields_of(caplog)
    assert fields.pop("milliseconds") >= 0
    assert fields == {
        "trace_id": TRACE,
        "reservation_id": "rsv_1",
        "subject": "user-1",
        "route": "POST /v1/reservations",
        "status": 201,
        "code": None,
        "reason": None,
        "replayed": False,
    }
    assert caplog.records[0].levelno == logging.INFO


async def test_a_refused_command_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "reservation_api.http"):
        await client_of(SoldOutError("2 seats are free")).post("/v1/reservations", BODY)
    fields = fields_of(caplog)
    assert (fields["status"], fields["code"], fields["reason"]) == (409, "sold_out", "2 seats are free")
    assert fields["reservation_id"] is None


async def test_an_unknown_outcome_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "reservation_api.http"):
        await client_of(StoreUnavailableError("the disk is full")).post("/v1/reservations/rsv_2/cancel")
    assert caplog.records[0].levelno == logging.WARNING
    assert fields_of(caplog)["reservation_id"] == "rsv_2"


async def test_a_replay_is_marked_in_the_line_too(caplog: pytest.LogCaptureFixture) -> None:
    replayed = Answer(as_of=ANSWER.as_of, reservation=ANSWER.reservation, replayed=True)
    with caplog.at_level(logging.INFO, "reservation_api.http"):
        await client_of(replayed).post("/v1/reservations", BODY)
    assert fields_of(caplog)["replayed"] is True


async def test_a_line_has_neither_token_nor_key_nor_a_path_that_is_no_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(make_api(answering(ANSWER), CLOCK), "user-1+secret-part")
    with caplog.at_level(logging.DEBUG):
        await client.post("/v1/reservations", BODY, idempotency_key="secret-key")
        await client.post("/v1/reservations/secret path/cancel")
    assert len(caplog.records) == 2
    assert "secret" not in repr([record.__dict__ for record in caplog.records])


async def test_reading_leaves_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await client_of(ANSWER.reservation).get("/v1/reservations/rsv_1")
        await client_of(ANSWER.reservation).get("/v1/events/evt_1/availability?limit=0")
        await client_of(ANSWER.reservation).get("/v1/secret-path")
    lines = [line_of(record) for record in caplog.records]
    assert [(line["route"], line["status"], line["reservation_id"]) for line in lines] == [
        ("GET /v1/reservations/{reservation_id}", 200, "rsv_1"),
        ("GET /v1/events/{event_id}/availability", 400, None),
        ("", 404, None),
    ]
    assert "secret" not in repr(lines)


@pytest.mark.parametrize("told", ["the path", "the reason"])
async def test_a_refused_requests_line_is_looked_through_for_tokens(told: str) -> None:
    stream, root = io.BytesIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = [LineHandler(JsonFormatter({}), stream.write)]
    root.setLevel(logging.INFO)
    try:
        of_path = told == "the path"
        error = NotFoundError("no such thing" if of_path else "got eyJhbGci.eyJzdWIi.c2ln")
        path = "/v1/reservations/eyJhbGci.eyJzdWIi.c2ln" if of_path else "/v1/reservations/rsv_1"
        await client_of(error).post(f"{path}/cancel")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert b"[redacted]" in stream.getvalue()
    assert b"eyJ" not in stream.getvalue()


async def test_keys_of_a_line_are_the_same_whatever_became_of_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "reservation_api.http"):
        for answer in (ANSWER, SoldOutError("none"), StoreUnavailableError("away")):
            await client_of(answer).post("/v1/reservations", BODY)
        await client_of(ANSWER).get("/v1/nothing")
    assert len({tuple(line_of(record)) for record in caplog.records}) == 1
    assert len(caplog.records) == 4


async def test_probes_leave_a_line_only_for_who_looks_closely(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await client_of(ANSWER).get("/actuator/health/readiness")
    assert caplog.records == []
    with caplog.at_level(logging.DEBUG, "reservation_api.http"):
        await client_of(ANSWER).get("/actuator/health/readiness")
    assert fields_of(caplog)["route"] == "GET /actuator/health/readiness"
