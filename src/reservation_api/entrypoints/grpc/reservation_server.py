"""`reservation.v1.ReservationService` as a gRPC server, with health (`grpc.health.v1`) and reflection."""

import asyncio
from dataclasses import dataclass, field

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from reservation_api.application.health import Health
from reservation_api.application.use_cases import UseCases
from reservation_api.entrypoints.grpc.reservation_authentication import Doorkeeper, Trust
from reservation_api.entrypoints.grpc.reservation_calls import SERVICE, ReservationCalls
from reservation_api.entrypoints.grpc.reservation_health import ReadinessServicer
from reservation_api.entrypoints.grpc.reservation_methods import ReservationMethods
from reservation_api.entrypoints.http.trace_context import RequestTraces
from reservation_api.entrypoints.overload.guards import OverloadGuards, open_guards
from reservation_api.ports.identity import TokenVerifier
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer

MAX_CALLS = 1_000
"""Under way at once, as over HTTP; more get RESOURCE_EXHAUSTED from gRPC itself, unasked."""
MAX_REQUEST_BYTES = 64 * 1024
"""Nothing that is taken is longer than 6 KB; the rest is for what gateways add as metadata."""
MAX_METADATA_BYTES = 16 * 1024
"""Above any token that is verified, and what proxies add."""
HEALTH_POLL_SECONDS = 0.25
"""So late may a watcher hear of a change: a small part of the time that a drain waits for balancers."""

_LIMITS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # Callers that look after their connections may ping every ten seconds, also while they are idle;
    # who pings more often is sent away.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_permit_without_calls", 1),
    # A peer that is gone without a word is found out within a minute and a half.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Callers come back to whichever process has room; streams that watch health do not last for ever.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The server's certificate (its chain) and key as PEM; with an authority, TLS is mutual."""

    certificate_chain: bytes
    private_key: bytes = field(repr=False)
    client_authority: bytes | None = None
    """Who signs gateways' certificates. Nobody without one gets in, and whoever has one is trusted."""


@dataclass(frozen=True, slots=True)
class ReservationServerSettings:
    """Where to listen, whom to trust, and when it is too much."""

    port: int
    """0 picks one."""
    host: str = "127.0.0.1"
    trusted: bool = False
    """Whoever reaches the port may speak for any user: for a network that only gateways are on."""
    tls: ServerTls | None = None
    shares_port: bool = False
    """Several processes of one service listen on the port; otherwise two of them would be a mistake."""
    tracer: Tracer | None = None
    """Who records calls."""
    guards: OverloadGuards = field(default_factory=open_guards)
    """The process has one set, for HTTP too."""

    @property
    def address(self) -> str:
        """Write it as gRPC wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def trust(self) -> Trust:
        """Say whom to believe without a token."""
        is_mutual = self.tls is not None and self.tls.client_authority is not None
        return Trust(everybody=self.trusted, certificates=is_mutual)


class ReservationServer:
    """Serves the use cases over gRPC until it is stopped."""

    def __init__(
        self,
        use_cases: UseCases,
        tokens: TokenVerifier,
        health_of_process: Health,
        metrics: Metrics,
        settings: ReservationServerSettings,
    ) -> None:
        methods = ReservationMethods(use_cases, settings.guards.rates)
        doorkeeper, traces = Doorkeeper(tokens, settings.trust), RequestTraces(settings.tracer)
        self._calls = ReservationCalls(methods, doorkeeper, settings.guards.gate, metrics, traces)
        self._health = ReadinessServicer(health_of_process, [SERVICE])
        self._settings = settings
        self._server: grpc.aio.Server | None = None
        self._follower: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many calls of the service are under way."""
        return self._calls.in_flight

    async def start(self) -> int:
        """Listen, and return the port; raises RuntimeError if it is taken, or the TLS material no good."""
        server = grpc.aio.server(
            handlers=[self._calls.handler()],
            options=(("grpc.so_reuseport", int(self._settings.shares_port)), *_LIMITS),
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        port = _listen(server, self._settings)
        await self._health.follow()
        await server.start()
        self._server = server
        self._follower = asyncio.create_task(self._health.keep_following(HEALTH_POLL_SECONDS))
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Tell callers by health, refuse new calls, and wait so long for those under way; may be repeated.

        Calls that are still under way then end with CANCELLED.
        """
        if self._server is None or self._follower is None:
            return
        self._follower.cancel()
        await asyncio.wait([self._follower])
        await self._health.refuse()
        await self._server.stop(grace_seconds)

    async def wait_stopped(self) -> None:
        """Return when the server has ended; at once if it was never started."""
        if self._server is not None:
            await self._server.wait_for_termination()


def _listen(server: grpc.aio.Server, settings: ReservationServerSettings) -> int:
    tls = settings.tls
    if tls is None:
        return server.add_insecure_port(settings.address)
    credentials = grpc.ssl_server_credentials(
        [(tls.private_key, tls.certificate_chain)],
        root_certificates=tls.client_authority,
        require_client_auth=tls.client_authority is not None,
    )
    return server.add_secure_port(settings.address, credentials)
