"""CloudWatch's embedded metric format, as its user guide specifies it."""

import asyncio
import json
import os
import select
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.support.clock import FakeClock

from reservation_api.domain.reservation import Status
from reservation_api.telemetry import names
from reservation_api.telemetry.emf import FLUSH_SECONDS, MAX_VALUES, EmfWriter
from reservation_api.telemetry.line_sink import LineSink
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


class Written:
    """What a sink has written so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.sink = LineSink(self._descriptor)

    def lines(self) -> list[bytes]:
        self.sink.flush(FLUSH_SECONDS)
        return self._path.read_bytes().splitlines(keepends=True)

    def clear(self) -> None:
        os.truncate(self._descriptor, 0)

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    found = Written(tmp_path / "stdout")
    yield found
    found.close()


@pytest.fixture
def writer(metrics: Metrics, written: Written) -> EmfWriter:
    return EmfWriter(metrics, FakeClock().now, written.sink)


def lines_of(writer: EmfWriter, written: Written) -> list[dict[str, Any]]:
    written.clear()
    writer.write_once()
    lines = [json.loads(line) for line in written.lines()]
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


def test_only_essential_metrics_are_told_by_the_documents_dimensions(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    use_all(metrics)
    found = {told(line)["Metrics"][0]["Name"]: told(line) for line in lines_of(writer, written)}
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


def test_a_count_is_a_number_beside_its_dimensions(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    for _ in range(3):
        metrics.statuses[Status.EXPIRED].inc()
    (line,) = lines_of(writer, written)
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
    assert lines_of(writer, written) == []


def test_a_histogram_is_values_and_how_often_each_came(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    latency = metrics.latency_of("GET /v1/orders")
    for milliseconds in (0.0, 3.0, 3.0, 119.0):
        latency.observe(milliseconds)
    (line,) = lines_of(writer, written)
    value = line["APILatency"]
    assert value["Counts"] == [1, 2, 1]
    assert value["Values"] == pytest.approx([0, 3, 119], rel=0.09)
    assert {key: value[key] for key in ("Count", "Sum", "Min", "Max")} == {
        "Count": 4,
        "Sum": 125.0,
        "Min": 0.0,
        "Max": 119.0,
    }


def test_more_values_than_a_line_may_have_go_into_several(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    latency = metrics.latency_of("GET /v1/orders")
    values = [1.1**n for n in range(-60, 130)]
    for milliseconds in values:
        latency.observe(milliseconds)
    parts = [line["APILatency"] for line in lines_of(writer, written)]
    assert len(parts) == 2
    assert max(map(len, written.lines())) <= select.PIPE_BUF
    assert max(len(part["Values"]) for part in parts) == MAX_VALUES
    assert sum(part["Count"] for part in parts) == sum(sum(part["Counts"]) for part in parts) == len(values)
    assert sum(part["Sum"] for part in parts) == pytest.approx(sum(values))
    assert min(part["Min"] for part in parts) == pytest.approx(values[0], rel=0.09)
    assert max(part["Max"] for part in parts) == pytest.approx(values[-1], rel=0.09)


def test_probes_are_no_endpoints_that_users_wait_for(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    for endpoint in ("GET /actuator/health", "GET /docs"):
        metrics.latency_of(endpoint).observe(1)
    metrics.latency_of("reservation.v1.ReservationService/GetReservation").observe(1)
    assert [line["endpoint"] for line in lines_of(writer, written)] == [
        "reservation.v1.ReservationService/GetReservation"
    ]


def test_a_server_says_nothing_of_an_outbox_that_it_does_not_look_at(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    assert lines_of(writer, written) == []
    metrics.gauge(names.OUTBOX_OLDEST_PENDING_AGE).set(0)
    assert [line["OutboxOldestPendingAge"] for line in lines_of(writer, written)] == [0.0]


async def test_what_there_is_at_the_end_is_written(
    metrics: Metrics, writer: EmfWriter, written: Written
) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(writer.run(stopping))
    await asyncio.sleep(0)
    metrics.requests.inc(2)
    stopping.set()
    await asyncio.wait_for(task, FLUSH_SECONDS)
    assert [json.loads(line)["HTTPRequests"] for line in written.lines()] == [2.0]


def test_lines_that_can_not_be_written_are_counted(metrics: Metrics) -> None:
    with Path("/dev/full").open("wb") as full:
        sink = LineSink(full.fileno())
        writer = EmfWriter(metrics, FakeClock().now, sink)
        metrics.requests.inc()
        writer.write_once()
        sink.flush(FLUSH_SECONDS)
    reading = metrics.reading("TelemetryDropped", ("signal", "emf"))
    assert reading is not None
    assert reading.measurements[0].value == 1
