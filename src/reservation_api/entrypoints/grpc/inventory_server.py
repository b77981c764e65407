"""An inventory as a gRPC server, with health (`grpc.health.v1`) and reflection."""

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from reservation_api.entrypoints.grpc.inventory_methods import SERVICE, inventory_handler
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.telemetry.spans import Tracer

STOP_SECONDS = 10.0
"""Longer than any call to the inventory takes, well inside the 30 s that a process has to stop."""
MAX_CALLS = 1_000
"""Calls under way at once; more would wait longer than their callers do."""
MAX_REQUEST_BYTES = 256 * 1024
"""Five hundred seat ids of the greatest length fit in."""

_OPTIONS: tuple[tuple[str, int], ...] = (
    # Two servers on one port would share its calls, by mistake more often than on purpose.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    # Callers that look after their connections may ping every ten seconds, also while they are idle.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class InventoryServer:
    """Serves an inventory until it is stopped; made and started inside a running event loop."""

    def __init__(self, inventory: Inventory, clock: Clock, tracer: Tracer | None = None) -> None:
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            handlers=[inventory_handler(inventory, clock, tracer)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self, address: str, tls: tuple[bytes, bytes] | None = None) -> int:
        """Listen on `host:port` and return the port (0 picks one); raises RuntimeError if it is taken.

        `tls` is key and certificate chain as PEM; without it the port is plain text.
        """
        if tls is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, grpc.ssl_server_credentials([tls]))
        await self._server.start()
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Tell callers by health, refuse new calls, and wait so long for those under way."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(seconds)

    async def wait(self) -> None:
        """Return when the server has stopped."""
        await self._server.wait_for_termination()
