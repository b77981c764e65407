"""How a serving process ends: by stages, in time, at once when told twice (document section 9.1)."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals
from typing import IO, Any

import httpx
import pytest
from tests.support.ports import HOST
from tests.support.processes import READINESS, Running, running, status_of, wait_until

pytestmark = pytest.mark.e2e

SERVE = ["serve"]


@contextmanager
def slow_request(server: Running) -> Iterator["SlowRequest"]:
    """Begin a hold whose body arrives when the test wants it to."""
    body = json.dumps({"event_id": "evt_demo", "qty": 1}).encode()
    headers = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Expect": "100-continue",
        "Idempotency-Key": "slow",
        **server.bearer("alice"),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(f"POST /v1/reservations HTTP/1.1\r\n{head}\r\n".encode())
        with connection.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"  # the handler has begun to read
            assert answer.readline() == b"\r\n"
            yield SlowRequest(connection, answer, body)


@dataclass(frozen=True)
class SlowRequest:
    connection: socket.socket
    answer: IO[bytes]
    body: bytes

    def finish(self) -> str:
        """Send the body; return the answer's status line."""
        self.connection.sendall(self.body)
        return self.answer.readline().decode().strip()


@contextmanager
def serving(**env: str) -> Iterator[Running]:
    with running(SERVE, env) as server:
        server.command("events", "create", "evt_demo", "--section", "A:1x10:1000")
        yield server


def is_refused(server: Running) -> bool:
    try:
        socket.create_connection((HOST, server.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def last_words(server: Running) -> dict[str, Any]:
    return next(line for line in server.logs() if "left" in line)


def test_readiness_refuses_while_requests_are_served_until_the_drain_is_over() -> None:
    with serving(APP_DRAIN_SECONDS="2") as server:
        alice = server.bearer("alice")
        began = time.monotonic()
        server.signal(SIGTERM)
        wait_until(lambda: status_of(server.url + READINESS) == 503)

        answer = httpx.get(f"{server.url}/v1/reservations", headers=alice)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert status_of(f"{server.url}/actuator/health/liveness") == 200
        assert server.wait() == 0
        assert time.monotonic() - began >= 2


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_an_idle_server_ends_at_once_when_it_need_not_drain(number: Signals) -> None:
    with serving() as server:
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < 3
        assert server.logs()[-1]["message"] == "ended"


def test_a_connection_that_is_kept_open_delays_nothing() -> None:
    with serving() as server, httpx.Client(base_url=server.url) as client:
        client.get("/actuator/health")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5


def test_a_request_in_flight_is_answered_and_no_new_one_is_let_in() -> None:
    with serving() as server, slow_request(server) as slow:
        server.signal(SIGTERM)
        wait_until(lambda: is_refused(server))

        assert server.is_alive()
        assert slow.finish() == "HTTP/1.1 201 Created"
        assert server.wait() == 0
        assert '"status":"HOLD"' in server.command("events", "tail"), "its event was published, too"


@pytest.mark.parametrize(("number", "code"), [(SIGTERM, 143), (SIGINT, 130)])
def test_a_second_signal_ends_at_once(number: Signals, code: int) -> None:
    with serving(APP_DRAIN_SECONDS="20") as server:
        server.signal(number)
        server.wait_for_log("shutting down")
        began = time.monotonic()
        assert server.stop(number) == code
        assert time.monotonic() - began < 2


def test_whoever_is_not_done_in_time_is_cut_off_and_says_where() -> None:
    with serving(APP_SHUTDOWN_SECONDS="3") as server, slow_request(server):
        began = time.monotonic()
        assert server.stop() == 1
        assert 1.5 < time.monotonic() - began < 3
        words = last_words(server)
        assert (words["level"], words["stage"], words["left"]) == ("ERROR", "finishing requests", 1)


def test_a_worker_ends_on_request() -> None:
    with running(["worker"]) as worker:
        began = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - began < 3
