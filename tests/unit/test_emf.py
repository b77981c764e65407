"""CloudWatch's embedded metric format, as its user guide specifies it."""

import asyncio
import io
import json
import select
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from tests.support.clock import FakeClock

from reservation_api.domain.reservation import Status
from reservation_api.telemetry import names
from reservation_api.telemetry.emf import FLUSH_SECONDS, MAX_VALUES, EmfWriter
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import METRICS, Kind

SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "items": {"type": "string"}, "maxItems": 30},
                            },
                            "Metrics": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Milliseconds", "Seconds", "Count"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def written() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def writer(metrics: Metrics, written: io.BytesIO) -> EmfWriter:
    return EmfWriter(metrics, FakeClock().now, written)


async def lines_of(writer: EmfWriter, written: io.BytesIO) -> list[dict[str, Any]]:
    written.seek(0)
    written.truncate()
    await writer.write_once()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    return lines


def told(line: Mapping[str, Any]) -> Any:
    (metric,) = line["_aws"]["CloudWatchMetrics"]
    return metric


def use_all(metrics: Metrics) -> None:
    for metric in METRICS:
        labels = tuple(f"/v1/{label}" for label in metric.labels)
        match metric.kind:
            case Kind.COUNTER:
                metrics.counter(metric, *labels).inc()
            case Kind.HISTOGRAM:
                metrics.histogram(metric, *labels).observe(3)
            case Kind.GAUGE | Kind.PEAK:
                metrics.gauge(metric, *labels).set(1)


async def test_only_essential_metrics_are_told_by_the_documents_dimensions(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    use_all(metrics)
    found = {told(line)["Metrics"][0]["Name"]: told(line) for line in await lines_of(writer, written)}
    assert {name: (one["Dimensions"], one["Metrics"][0]["Unit"]) for name, one in found.items()} == {
        "ReservationStatusCount": ([["status"]], "Count"),
        "APILatency": ([["endpoint"], []], "Milliseconds"),
        "gRPCCallDuration": ([["method"]], "Milliseconds"),
        "DynamoDBOperationLatency": ([["table", "operation"]], "Milliseconds"),
        "HTTPRequests": ([[]], "Count"),
        "HTTPErrors": ([[]], "Count"),
        "OutboxOldestPendingAge": ([[]], "Seconds"),
    }
    assert {one["Namespace"] for one in found.values()} == {"TrafficTacos/Reservation"}


async def test_a_count_is_a_number_beside_its_dimensions(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    for _ in range(3):
        metrics.count_status(Status.EXPIRED)
    (line,) = await lines_of(writer, written)
    assert line == {
        "_aws": {
            "Timestamp": int(FakeClock().now().timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "TrafficTacos/Reservation",
                    "Dimensions": [["status"]],
                    "Metrics": [{"Name": "ReservationStatusCount", "Unit": "Count"}],
                }
            ],
        },
        "status": "EXPIRED",
        "ReservationStatusCount": 3.0,
    }
    assert await lines_of(writer, written) == []


async def test_a_histogram_is_values_and_how_often_each_came(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    latency = metrics.latency_of("GET /v1/orders")
    for milliseconds in (0.0, 3.0, 3.0, 119.0):
        latency.observe(milliseconds)
    (line,) = await lines_of(writer, written)
    value = line["APILatency"]
    assert value["Counts"] == [1, 2, 1]
    assert value["Values"] == pytest.approx([0, 3, 119], rel=0.09)
    assert {key: value[key] for key in ("Count", "Sum", "Min", "Max")} == {
        "Count": 4,
        "Sum": 125.0,
        "Min": 0.0,
        "Max": 119.0,
    }


async def test_more_values_than_a_line_may_have_go_into_several(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    latency = metrics.latency_of("GET /v1/orders")
    values = [1.1**n for n in range(-60, 130)]
    for milliseconds in values:
        latency.observe(milliseconds)
    parts = [line["APILatency"] for line in await lines_of(writer, written)]
    assert len(parts) == 2
    assert max(map(len, written.getvalue().splitlines(keepends=True))) <= select.PIPE_BUF
    assert max(len(part["Values"]) for part in parts) == MAX_VALUES
    assert sum(part["Count"] for part in parts) == sum(sum(part["Counts"]) for part in parts) == len(values)
    assert sum(part["Sum"] for part in parts) == pytest.approx(sum(values))
    assert min(part["Min"] for part in parts) == pytest.approx(values[0], rel=0.09)
    assert max(part["Max"] for part in parts) == pytest.approx(values[-1], rel=0.09)


async def test_probes_are_no_endpoints_that_users_wait_for(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    for endpoint in ("GET /actuator/health", "GET /docs"):
        metrics.latency_of(endpoint).observe(1)
    metrics.latency_of("reservation.v1.ReservationService/GetReservation").observe(1)
    assert [line["endpoint"] for line in await lines_of(writer, written)] == [
        "reservation.v1.ReservationService/GetReservation"
    ]


async def test_a_server_says_nothing_of_an_outbox_that_it_does_not_look_at(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    assert await lines_of(writer, written) == []
    metrics.gauge(names.OUTBOX_OLDEST_PENDING_AGE).set(0)
    assert [line["OutboxOldestPendingAge"] for line in await lines_of(writer, written)] == [0.0]


async def test_what_there_is_at_the_end_is_written(
    metrics: Metrics, writer: EmfWriter, written: io.BytesIO
) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(writer.run(stopping))
    await asyncio.sleep(0)
    metrics.requests.inc(2)
    stopping.set()
    await asyncio.wait_for(task, FLUSH_SECONDS)
    assert [json.loads(line)["HTTPRequests"] for line in written.getvalue().splitlines()] == [2.0]


async def test_a_stream_that_is_gone_ends_nothing(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    closed = io.BytesIO()
    closed.close()
    metrics.requests.inc()
    await EmfWriter(metrics, FakeClock().now, closed).write_once()
    assert "can not be written" in caplog.text
