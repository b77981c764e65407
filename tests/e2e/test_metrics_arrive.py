"""After a known day of a shop, what a foreign collector was told is what the store says, to the last count.

two servers on a port, a worker, an inventory ──▶ rotel ──▶ what the test looks at
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
from tests.support.collector import rotel
from tests.support.durable import look, wait_until_settled
from tests.support.otlp_sink import Sink, sink
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, running, wait_until
from tests.support.shops import inventory_on, is_serving

from reservation_api.telemetry import names
from reservation_api.telemetry.names import METRICS

pytestmark = pytest.mark.e2e

EVENT = "evt_1"
HOLDS, CONFIRMS, CANCELS, CONFLICTS, REPLAYS, FAILURES = 20, 5, 4, 3, 3, 3
SETTINGS = {
    "APP_HOLD_SECONDS": "4",
    "APP_OTLP_INTERVAL_SECONDS": "0.5",
    "APP_DRAIN_SECONDS": "0",
    "APP_INVENTORY_CIRCUITBREAKER_MINIMUM_NUMBER_OF_CALLS": "10000",
}
INVENTORY = "reservation.v1.InventoryService"
_keys = count(1)


@dataclass
class Client:
    """Sends each request on a connection of its own, so that both servers get some; counts its answers."""

    url: str
    headers: Mapping[str, str]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def post(self, path: str, body: Mapping[str, Any], endpoint: str, key: str = "") -> httpx.Response:
        headers = {**self.headers, "Idempotency-Key": key or f"key-{next(_keys)}"}
        answer = httpx.post(self.url + path, json=body, headers=headers, timeout=20, trust_env=False)
        self.answers[endpoint, answer.status_code] += 1
        return answer

    def hold(self, key: str = "", **body: object) -> httpx.Response:
        wanted = {"event_id": EVENT, "qty": 1, **body}
        return self.post("/v1/reservations", wanted, "POST /v1/reservations", key)

    def move(self, reservation_id: str, verb: str, body: Mapping[str, Any]) -> None:
        path, template = f"/v1/reservations/{reservation_id}/{verb}", "/v1/reservations/{reservation_id}/"
        assert self.post(path, body, f"POST {template}{verb}").status_code == 200


@dataclass
class Day:
    """What happened, who saw it, and what was told of it."""

    client: Client
    arrived: Sink
    server: Running
    worker: Running


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    with ExitStack() as stack:
        arrived = stack.enter_context(sink())
        port = free_port()
        inventory = stack.enter_context(inventory_on(port, folder / "inventory"))
        inventory.command("events", "create", EVENT, "--section", "A:10x5:1000")
        settings = {
            **SETTINGS,
            "INVENTORY_GRPC_ADDRESS": f"{HOST}:{port}",
            "OTLP_ENDPOINT": stack.enter_context(rotel(arrived)),
        }
        data = folder / "service"
        server = stack.enter_context(running(["serve", "--workers", "2"], settings, data_dir=data))
        worker = stack.enter_context(running(["worker"], settings, data_dir=data))
        client = Client(server.url, server.bearer("alice"))
        sell(client)
        inventory.kill()
        for _ in range(FAILURES):
            assert client.hold().status_code == 503
        stack.enter_context(inventory_on(port, folder / "inventory"))
        wait_until(lambda: is_serving(port))
        wait_until_settled(server.environment, 60)
        assert (server.stop(), worker.stop()) == (0, 0)
        wait_for_silence(arrived)
        yield Day(client, arrived, server, worker)


def sell(client: Client) -> None:
    for n in range(HOLDS):
        held = client.hold(key=f"hold-{n}")
        assert held.status_code == 201
        reservation_id = held.json()["reservation_id"]
        if n < REPLAYS:
            assert client.hold(key=f"hold-{n}").headers["idempotency-replayed"] == "true"
        if n < CONFIRMS:
            client.move(reservation_id, "confirm", {"payment_intent_id": f"pi_{n}"})
        elif n < CONFIRMS + CANCELS:
            client.move(reservation_id, "cancel", {})
        elif n < CONFIRMS + CANCELS + CONFLICTS:
            assert client.hold(seat_ids=held.json()["seat_ids"]).status_code == 409


def wait_for_silence(arrived: Sink) -> None:
    """Wait until every metric of the last flush has passed through the collector."""
    expected = {"HOLD": HOLDS, "EXPIRED": HOLDS - CONFIRMS - CANCELS}
    wait_until(
        lambda: all(arrived.counter(STATUSES, status=s) >= n for s, n in expected.items()),
        lambda: f"arrived: { {s: arrived.counter(STATUSES, status=s) for s in expected} }",
    )
    seen = [-1]

    def is_quiet() -> bool:
        seen.append(arrived.requests)
        return len(seen) > 60 and len(set(seen[-50:])) == 1

    wait_until(is_quiet)


STATUSES = names.RESERVATION_STATUS_COUNT.name


def test_moves_are_what_the_store_says(day: Day) -> None:
    world = look(day.server.environment)
    stored = Counter(reservation.status.value for reservation in world.reservations)
    assert stored == {
        "CONFIRMED": CONFIRMS,
        "CANCELLED": CANCELS,
        "EXPIRED": HOLDS - CONFIRMS - CANCELS,
    }
    told = {status: day.arrived.counter(STATUSES, status=status) for status in stored}
    assert told == dict(stored)
    assert day.arrived.counter(STATUSES, status="HOLD") == len(world.reservations) == HOLDS
    assert day.arrived.counter(STATUSES) == len(world.published)


def test_each_move_is_told_by_the_process_that_made_it(day: Day) -> None:
    by_instance: dict[str, set[str]] = {}
    for sent in day.arrived.sent(STATUSES):
        for point in sent.points:
            by_instance.setdefault(sent.instance, set()).add(point.attributes[0].value.string_value)
    workers = [statuses for statuses in by_instance.values() if "EXPIRED" in statuses]
    assert workers == [{"EXPIRED"}]
    assert 1 <= len(by_instance) - 1 <= 2


def test_requests_errors_and_replays_are_what_the_client_saw(day: Day) -> None:
    answers = day.client.answers
    assert day.arrived.counter("HTTPRequests") == sum(answers.values())
    assert day.arrived.counter("HTTPErrors") == FAILURES
    assert day.arrived.counter("IdempotentReplays") == REPLAYS
    by_endpoint: Counter[str] = Counter()
    for (endpoint, _), n in answers.items():
        by_endpoint[endpoint] += n
    told = {endpoint: day.arrived.count("APILatency", endpoint=endpoint) for endpoint in by_endpoint}
    assert told == dict(by_endpoint)


def test_calls_of_the_inventory_are_what_the_commands_need(day: Day) -> None:
    holds = HOLDS + REPLAYS + CONFLICTS + FAILURES
    reserved = day.arrived.count("gRPCCallDuration", method=f"{INVENTORY}/ReserveSeat")
    assert reserved == holds
    assert day.arrived.count("gRPCCallDuration", method=f"{INVENTORY}/CommitReservation") == CONFIRMS
    released = day.arrived.count("gRPCCallDuration", method=f"{INVENTORY}/ReleaseHold")
    assert released >= HOLDS - CONFIRMS


def test_expiry_and_relay_tell_what_they_did(day: Day) -> None:
    lag = day.arrived.count("ExpiryLag")
    assert lag == HOLDS - CONFIRMS - CANCELS
    world = look(day.server.environment)
    events = sum(
        day.arrived.counter("RelayDeliveries", type=kind, outcome="done")
        for kind in ("Reservation Created", "Reservation Status Changed")
    )
    assert events >= len(world.published)
    released = day.arrived.counter("RelayDeliveries", type="Release Seats", outcome="done")
    assert released >= HOLDS - CONFIRMS


def test_who_works_tells_of_the_outbox_and_all_of_their_loop(day: Day) -> None:
    def instances(name: str) -> set[str]:
        return {sent.instance for sent in day.arrived.sent(name)}

    everybody = instances("EventLoopLag")
    assert len(everybody) == 3
    assert len(instances("OutboxOldestPendingAge")) == 1
    assert len(instances("RequestsInFlight")) == 2


def test_every_metric_that_arrives_is_of_the_list(day: Day) -> None:
    by_name = {metric.name: metric for metric in METRICS}
    seen: set[str] = set()
    for sent in day.arrived.sent():
        metric = by_name[sent.metric.name]
        assert sent.metric.unit == metric.unit
        for point in sent.points:
            assert tuple(pair.key for pair in point.attributes) == metric.labels
        seen.add(metric.name)
    of_aws = {"DynamoDBOperationLatency", "CallsWaiting", "CallsThrottled"}
    of_trouble = {"TelemetryDropped", "CallRetries", "RequestsShed"}
    assert seen | of_aws | of_trouble == by_name.keys()
    assert not seen & {"DynamoDBOperationLatency", "TelemetryDropped", "RequestsShed"}


def test_processes_are_named_alike_and_told_apart(day: Day) -> None:
    resources = day.arrived.resources()
    assert {resource["service.name"] for resource in resources} == {"reservation-api"}
    assert len({resource["service.instance.id"] for resource in resources}) == 3


def test_the_service_log_has_nothing_to_say_about_it(day: Day) -> None:
    for process in (day.server, day.worker):
        assert not [line for line in process.logs() if "telemetry" in line["logger"]]
