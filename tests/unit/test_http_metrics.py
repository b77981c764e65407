from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.api import Client, make_api, make_use_cases, offer_to_nobody
from tests.support.clock import FakeClock
from tests.support.overload import full
from tests.support.runtimes import sqlite_on_disk
from tests.support.venues import venue

from reservation_api.bootstrap.counting import counting_moves
from reservation_api.domain.reservation import Status
from reservation_api.telemetry.metrics import Metrics

ONE_SEAT = {"event_id": "evt_1", "qty": 1}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    clock = FakeClock()
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        await ports.load_event(venue({"A": ["....."]}))
        metrics = Metrics()
        use_cases = make_use_cases(ports, clock, offer=counting_moves(offer_to_nobody, metrics, clock))
        yield Client(make_api(use_cases, clock, metrics=metrics), "user-1+reservation:ops")


async def count(client: Client, status: str) -> float:
    answer = await client.get(f"/actuator/metrics/ReservationStatusCount?tag=status:{status}")
    value: float = answer.json["measurements"][0]["value"]
    return value


async def test_each_move_is_counted_once_by_its_status(client: Client) -> None:
    held = [(await client.post("/v1/reservations", ONE_SEAT)).json["reservation_id"] for _ in range(3)]
    await client.post(f"/v1/reservations/{held[0]}/confirm", {"payment_intent_id": "pi_1"})
    await client.post(f"/v1/reservations/{held[1]}/cancel")
    await client.post(f"/v1/reservations/{held[2]}/extend", {"seconds": 5})
    seen = {status: await count(client, status) for status in ("HOLD", "CONFIRMED", "CANCELLED", "EXPIRED")}
    assert seen == {"HOLD": 3, "CONFIRMED": 1, "CANCELLED": 1, "EXPIRED": 0}


async def test_neither_replays_nor_refusals_are_counted(client: Client) -> None:
    for _ in range(2):
        held = await client.post("/v1/reservations", ONE_SEAT, idempotency_key="k")
        path = f"/v1/reservations/{held.json['reservation_id']}"
        await client.post(f"{path}/confirm", {"payment_intent_id": "pi_1"}, idempotency_key="c")
        await client.post(f"{path}/cancel")
    seen = {status: await count(client, status) for status in ("HOLD", "CONFIRMED", "CANCELLED")}
    assert seen == {"HOLD": 1, "CONFIRMED": 1, "CANCELLED": 0}


async def test_latency_is_kept_by_route_not_by_path(client: Client) -> None:
    for reservation_id in ("rsv_1", "rsv_2"):
        await client.get(f"/v1/reservations/{reservation_id}")
    await client.get("/v1/nothing")
    tag = "endpoint:GET /v1/reservations/{reservation_id}".replace(" ", "%20")
    latency = (await client.get(f"/actuator/metrics/APILatency?tag={tag}")).json
    assert [item["statistic"] for item in latency["measurements"]] == ["COUNT", "TOTAL"]
    assert latency["measurements"][0]["value"] == 2
    assert latency["availableTags"] == []
    every = (await client.get("/actuator/metrics/APILatency")).json
    assert [tag["tag"] for tag in every["availableTags"]] == ["endpoint"]
    assert not any("rsv_1" in value or "nothing" in value for value in every["availableTags"][0]["values"])


async def test_metrics_are_listed_by_name(client: Client) -> None:
    names = (await client.get("/actuator/metrics")).json["names"]
    assert {"APILatency", "ReservationStatusCount", "process_cpu_seconds"} <= set(names)
    for name in names:
        assert (await client.get(f"/actuator/metrics/{name}")).status == 200


@pytest.mark.parametrize("path", ["Nothing", "ReservationStatusCount?tag=status:BORED", "APILatency?tag=a:b"])
async def test_what_is_not_measured_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(f"/actuator/metrics/{path}")).status == 404


@pytest.mark.parametrize("query", ["tag=", "tag=status", "tag=status:A&tag=status:B"])
async def test_a_tag_is_a_label_and_a_value(client: Client, query: str) -> None:
    assert (await client.get(f"/actuator/metrics/ReservationStatusCount?{query}")).status == 400


async def test_prometheus_can_read_it_all(client: Client) -> None:
    await client.post("/v1/reservations", ONE_SEAT)
    answer = await client.get("/actuator/prometheus")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    held = [
        sample
        for sample in families["reservation_status_count"].samples
        if sample.labels == {"status": "HOLD"}
    ]
    assert [sample.value for sample in held if sample.name.endswith("_total")] == [1]
    bounds = {sample.labels.get("le") for sample in families["api_latency_seconds"].samples}
    assert "0.12" in bounds


async def number(client: Client, name: str) -> float:
    answer = await client.get(f"/actuator/metrics/{name}")
    value: float = answer.json["measurements"][0]["value"]
    return value


async def test_requests_are_counted_but_for_the_actuators(client: Client) -> None:
    """Probes are no traffic: while a process drains they are answered with 503, and nothing is wrong."""
    for path in ("/v1/orders", "/v1/nothing", "/v1/orders?limit=0", "/docs"):
        await client.get(path)
    client.api.guards = full()
    assert (await client.get("/v1/orders")).status == 503
    for path in ("health", "health/readiness", "info"):
        await client.get(f"/actuator/{path}")
    names = ("HTTPRequests", "HTTPErrors")
    assert {name: await number(client, name) for name in names} == {
        "HTTPRequests": 5,
        "HTTPErrors": 1,
    }


async def test_replays_are_counted_refusals_on_record_too(client: Client) -> None:
    for _ in range(3):
        held = await client.post("/v1/reservations", ONE_SEAT, idempotency_key="k")
        path = f"/v1/reservations/{held.json['reservation_id']}"
        await client.post(f"{path}/confirm", {"payment_intent_id": "pi_1"}, idempotency_key="c")
    assert await number(client, "IdempotentReplays") == 4


async def test_neither_paths_nor_events_nor_users_add_a_series(client: Client) -> None:
    async def ask(n: int) -> None:
        client.token = f"user-{n}"
        await client.get(f"/v1/reservations/rsv_{n}")
        await client.get(f"/v1/events/evt_{n}/availability")
        await client.get(f"/v1/events/evt_1/{n}")
        await client.post("/v1/reservations", {"event_id": f"evt_{n}", "qty": 1})

    async def series() -> int:
        client.token = "user-1+reservation:ops"
        return len((await client.get("/actuator/prometheus")).body.splitlines())

    await ask(0)
    await series()
    before = await series()
    for n in range(1, 2_501):
        await ask(n)
    assert await series() == before


def test_two_registries_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.statuses[Status.EXPIRED].inc()
    for metrics, expected in ((one, 1), (other, 0)):
        reading = metrics.reading("ReservationStatusCount", ("status", "EXPIRED"))
        assert reading is not None
        assert reading.measurements[0].value == expected
