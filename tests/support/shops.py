"""A shop of three processes: an inventory with data of its own, a server that asks it over gRPC, a worker."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, running, wait_until

EVENT = "evt_1"
BREAKER = "APP_INVENTORY_CIRCUITBREAKER"

DEFAULTS: Mapping[str, str] = {}

_keys = count(1)


@dataclass
class Shop:
    """The processes, and a client that is alice and may see the details of health."""

    stack: ExitStack
    inventory_port: int
    inventory_data: Path
    inventory: Running
    server: Running
    worker: Running
    http: httpx.Client
    statuses: set[int] = field(default_factory=set)

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
        state: str = self.breaker_details()["state"]
        return state

    def breaker_details(self) -> Mapping[str, Any]:
        health = self.get("/actuator/health")
        assert health.status_code == 200
        details: Mapping[str, Any] = health.json()["components"]["circuitBreakers"]["details"]["inventory"]
        return details

    def breaker_moves(self) -> list[str]:
        """What the server has logged of its breaker's states, such as `CLOSED to OPEN`."""
        subject = "circuit breaker inventory: "
        messages = [line["message"] for line in self.server.logs()]
        return [told.removeprefix(subject) for told in messages if told.startswith(subject)]

    def start_inventory(self) -> None:
        """Start it again where it was."""
        self.inventory = self.stack.enter_context(inventory_on(self.inventory_port, self.inventory_data))
        wait_until(lambda: is_serving(self.inventory_port))

    def _seen(self, response: httpx.Response) -> httpx.Response:
        self.statuses.add(response.status_code)
        return response


@contextmanager
def open_shop(folder: Path, settings: Mapping[str, str], *, rows: int, seats_per_row: int) -> Iterator[Shop]:
    """Start the processes on new data, with an event of so many seats."""
    port, data = free_port(), folder / "inventory"
    with ExitStack() as stack:
        inventory = stack.enter_context(inventory_on(port, data))
        inventory.command("events", "create", EVENT, "--section", f"A:{rows}x{seats_per_row}:1000")
        settings = {**settings, "INVENTORY_GRPC_ADDRESS": f"{HOST}:{port}"}
        server = stack.enter_context(running(["serve"], settings, data_dir=folder / "service"))
        worker = stack.enter_context(running(["worker"], settings, data_dir=folder / "service"))
        headers = server.bearer("alice", "reservation:ops")
        http = stack.enter_context(httpx.Client(base_url=server.url, headers=headers, timeout=20))
        yield Shop(stack, port, data, inventory, server, worker, http)


def inventory_on(
    port: int, data_dir: Path, settings: Mapping[str, str] = DEFAULTS
) -> AbstractContextManager[Running]:
    arguments = ["inventory", "serve", "--host", HOST, "--port", str(port)]
    return running(arguments, settings, data_dir=data_dir)


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
