"""The service with its inventory in another process: it works, it fails at once, and it heals by itself."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.processes import HOST, Running, free_port, run_command, running, wait_until

pytestmark = pytest.mark.e2e

EVENT = "evt_1"
ROWS, SEATS_PER_ROW = 10, 20
WAIT_SECONDS = 2
BREAKER = "APP_INVENTORY_CIRCUITBREAKER"
SETTINGS = {
    f"{BREAKER}_MINIMUM_NUMBER_OF_CALLS": "4",
    f"{BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS": str(WAIT_SECONDS),
    f"{BREAKER}_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE": "2",
    "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "3000",
}
"""Short where the test waits; a long time limit, since this machine may be busy."""
AT_ONCE_SECONDS = 1.5
"""Half the time limit: whoever is answered sooner did not wait for the inventory."""

_keys = count(1)


@dataclass
class Shop:
    """Three processes: an inventory with data of its own, a server, a worker."""

    stack: ExitStack
    inventory_port: int
    inventory_data: Path
    inventory: Running
    server: Running
    worker: Running
    http: httpx.Client
    statuses: set[int]

    def hold(self, qty: int = 1, key: str | None = None) -> httpx.Response:
        return self.post("/v1/reservations", {"event_id": EVENT, "qty": qty}, key)

    def post(self, path: str, body: Mapping[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key or f"key-{next(_keys)}"}
        return self._seen(self.http.post(path, json=body, headers=headers))

    def get(self, path: str) -> httpx.Response:
        return self._seen(self.http.get(path))

    def free_seats(self) -> int:
        answer = self.get(f"/v1/events/{EVENT}/availability").json()
        available: int = answer["available"]
        return available

    def breaker(self) -> str:
        health = self.get("/actuator/health")
        assert health.status_code == 200
        state: str = health.json()["components"]["circuitBreakers"]["details"]["inventory"]["state"]
        return state

    def start_inventory(self) -> None:
        self.inventory = self.stack.enter_context(inventory_on(self.inventory_port, self.inventory_data))
        wait_until(lambda: is_serving(self.inventory_port))

    def _seen(self, response: httpx.Response) -> httpx.Response:
        self.statuses.add(response.status_code)
        return response


def inventory_on(port: int, data_dir: Path) -> Any:
    arguments = ["inventory", "serve", "--host", HOST, "--port", str(port)]
    return running(arguments, data_dir=data_dir)


def is_serving(port: int, service: str = "") -> bool:
    """Ask a gRPC server for its health, on a connection of its own."""
    with grpc.insecure_channel(f"{HOST}:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=2
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    port, data = free_port(), tmp_path / "inventory"
    with ExitStack() as stack:
        run_command(
            *("events", "create", EVENT, "--section", f"A:{ROWS}x{SEATS_PER_ROW}:1000"),
            environment={"APP_DATA_DIR": str(data)},
        )
        inventory = stack.enter_context(inventory_on(port, data))
        settings = {**SETTINGS, "INVENTORY_GRPC_ADDRESS": f"{HOST}:{port}"}
        server = stack.enter_context(running(["serve"], settings, data_dir=tmp_path / "service"))
        worker = stack.enter_context(running(["worker"], settings, data_dir=tmp_path / "service"))
        headers = server.bearer("alice", "reservation:ops")
        http = stack.enter_context(httpx.Client(base_url=server.url, headers=headers, timeout=20))
        yield Shop(stack, port, data, inventory, server, worker, http, set())


def test_the_whole_way_of_a_seat_with_the_inventory_in_another_process(shop: Shop) -> None:
    kept, given_back = shop.hold(2, "k1"), shop.hold(3)
    assert (kept.status_code, given_back.status_code) == (201, 201)
    assert shop.hold(2, "k1").json()["seat_ids"] == kept.json()["seat_ids"]
    assert shop.free_seats() == ROWS * SEATS_PER_ROW - 5

    confirm = f"/v1/reservations/{kept.json()['reservation_id']}/confirm"
    assert shop.post(confirm, {"payment_intent_id": "pi_1"}).status_code == 200
    cancel = f"/v1/reservations/{given_back.json()['reservation_id']}/cancel"
    assert shop.post(cancel, {}).status_code == 200
    wait_until(lambda: shop.free_seats() == ROWS * SEATS_PER_ROW - 2)

    taken = {"event_id": EVENT, "qty": 1, "seat_ids": kept.json()["seat_ids"][:1]}
    refused = shop.post("/v1/reservations", taken)
    assert (refused.status_code, refused.json()["conflicts"]) == (409, taken["seat_ids"])
    assert shop.breaker() == "CLOSED"
    assert not list((shop.server.data_dir).glob("inventory*"))


def test_an_inventory_that_is_killed_is_left_alone_and_taken_up_again_when_it_is_back(shop: Shop) -> None:
    held = [shop.hold().json()["reservation_id"] for _ in range(2)]
    shop.inventory.kill()
    for _ in range(20):
        if shop.breaker() == "OPEN":
            break
        assert shop.hold().status_code == 503
    assert shop.breaker() == "OPEN"

    began = time.monotonic()
    refused = shop.hold(1, "later")
    assert refused.status_code == 503
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert refused.json()["code"] == "inventory_unavailable"
    assert 1 <= int(refused.headers["retry-after"]) <= WAIT_SECONDS
    confirm = f"/v1/reservations/{held[0]}/confirm"
    assert shop.post(confirm, {"payment_intent_id": "pi_1"}, "pay").status_code == 503
    assert shop.get("/v1/reservations").status_code == 200
    assert shop.get(f"/v1/reservations/{held[0]}").json()["status"] == "HOLD"
    assert shop.get("/actuator/health/readiness").status_code == 200
    metrics = shop.get("/actuator/prometheus").text
    assert 'resilience4j_circuitbreaker_state{name="inventory",state="closed"} 0.0' in metrics
    # Cancelling asks no inventory; its seats come back with it.
    assert shop.post(f"/v1/reservations/{held[1]}/cancel", {}).status_code == 200

    shop.start_inventory()
    wait_until(lambda: shop.hold(1, "later").status_code == 201)
    wait_until(lambda: shop.hold().status_code == 201 and shop.breaker() == "CLOSED")
    assert shop.post(confirm, {"payment_intent_id": "pi_1"}, "pay").status_code == 200
    told = [line["message"] for line in shop.server.logs() if line["message"].startswith("circuit breaker")]
    assert told[:2] == [
        "circuit breaker inventory: CLOSED to OPEN",
        "circuit breaker inventory: OPEN to HALF_OPEN",
    ]
    assert told[-1] == "circuit breaker inventory: HALF_OPEN to CLOSED"
    assert {status for status in shop.statuses if status >= 500} == {503}


def test_both_ends_stop_when_they_are_asked_to(shop: Shop) -> None:
    assert shop.hold().status_code == 201
    assert [shop.server.stop(), shop.worker.stop(), shop.inventory.stop()] == [0, 0, 0]


def test_a_served_inventory_keeps_every_obligation(shop: Shop) -> None:
    written = run_command(
        *("inventory", "check", f"{HOST}:{shop.inventory_port}", "--event", EVENT, "--timeout", "5000"),
        environment={},
    )
    assert "BROKEN" not in written
    assert written.count("kept") == 11


def test_serve_answers_grpc_on_its_port_until_it_is_asked_to_end() -> None:
    port = free_port()
    settings = {"GRPC_PORT": str(port), "APP_DRAIN_SECONDS": "5"}
    service = "reservation.v1.ReservationService"
    with running(["serve"], settings) as server:
        assert is_serving(port, service)
        server.process.terminate()
        server.wait_for_log("shutting down")
        with socket.create_connection((HOST, port)):  # it still listens
            assert not is_serving(port, service)
        assert server.wait() == 0


def test_children_of_one_server_share_the_port_of_grpc() -> None:
    port = free_port()
    with running(["serve", "--workers", "2"], {"GRPC_PORT": str(port)}) as server:
        assert is_serving(port)
        assert server.stop() == 0


def test_a_second_dev_does_without_the_default_port_of_grpc() -> None:
    with running(["dev"]), running(["dev"]) as second:
        noted = second.wait_for_log("no gRPC: can not listen on 127.0.0.1 port 8011")
        assert noted["level"] == "WARNING"
        assert "gRPC   none" in second.output()
