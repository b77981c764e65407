"""gRPC in a process that serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reservation_api.bootstrap import read_authorities, read_key_pair
from reservation_api.config.tree import GrpcConfig, GrpcTlsConfig
from reservation_api.entrypoints.grpc.reservation_server import (
    ReservationServer,
    ReservationServerSettings,
    ServerTls,
)
from reservation_api.entrypoints.processes.port import why_grpc_does_not_listen
from reservation_api.entrypoints.processes.serving import Serving
from reservation_api.telemetry.names import REQUESTS_IN_FLIGHT

GRPC_STOP_SECONDS = 5.0
"""For the gRPC calls under way when HTTP has finished; none takes longer unless its peers hang."""


@asynccontextmanager
async def serving_grpc(serving: Serving, grpc: GrpcConfig) -> AsyncIterator[None]:
    """Serve for longer than HTTP at both ends: its health follows the readiness that HTTP's stage sets.

    So it says NOT_SERVING from SIGTERM on, serves while balancers look, and then refuses new calls.
    """
    service, shutdown = serving.service, serving.shutdown
    host = service.config.http.host
    tls = None if grpc.tls is None else server_tls(grpc.tls)
    settings = ReservationServerSettings(
        grpc.port, host, grpc.is_trusted, tls, serving.shares_port, service.tracer, serving.guards
    )
    server = ReservationServer(service.use_cases, service.tokens, service.health, service.metrics, settings)
    service.metrics.watch(REQUESTS_IN_FLIGHT, (), lambda: server.in_flight)
    try:
        await server.start()
    except RuntimeError as error:
        raise why_grpc_does_not_listen((host, grpc.port), error, by_tls=tls is not None) from error
    try:
        yield
    finally:
        shutdown.enter("finishing gRPC calls", lambda: server.in_flight)
        await server.stop(GRPC_STOP_SECONDS)


def server_tls(config: GrpcTlsConfig) -> ServerTls:
    """Read the files; raises ConfigError."""
    key, certificate_chain = read_key_pair(config.certificate_file, config.key_file)
    authority = None if config.client_ca_file is None else read_authorities(config.client_ca_file)
    return ServerTls(certificate_chain, key, authority)
