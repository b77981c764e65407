"""The service with its inventory in another process: it works, it fails at once, and it heals by itself."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ports import HOST, free_port
from tests.support.processes import run_command, running, wait_until
from tests.support.shops import BREAKER, EVENT, Shop, is_serving, open_shop

pytestmark = pytest.mark.e2e

ROWS, SEATS_PER_ROW = 10, 20
WAIT_SECONDS = 2
SETTINGS = {
    f"{BREAKER}_MINIMUM_NUMBER_OF_CALLS": "4",
    f"{BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS": str(WAIT_SECONDS),
    f"{BREAKER}_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE": "2",
    "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "3000",
}
"""Short where the test waits; a long time limit, since this machine may be busy."""
AT_ONCE_SECONDS = 1.5
"""Half the time limit: whoever is answered sooner did not wait for the inventory."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_shop(tmp_path, SETTINGS, rows=ROWS, seats_per_row=SEATS_PER_ROW) as opened:
        yield opened


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
    moves = shop.breaker_moves()
    assert moves[:2] == ["CLOSED to OPEN", "OPEN to HALF_OPEN"]
    assert moves[-1] == "HALF_OPEN to CLOSED"
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
