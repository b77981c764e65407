import asyncio
import logging
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import grpc.aio
import msgspec
import pytest
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.api import NamedTokens, answering, ready
from tests.support.grpc_reservations import SERVICE, Served, request_of, served, until

from reservation_api.application.health import Readiness
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.entrypoints.grpc.reservation_server import (
    MAX_CALLS,
    MAX_REQUEST_BYTES,
    ReservationServer,
    ReservationServerSettings,
    ServerTls,
)
from reservation_api.telemetry.metrics import Metrics
from reservation_proto.reservation.v1 import reservation_pb2 as wire

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
HOLD = {"event_id": "evt_1", "quantity": 1, "idempotency_key": "the-key"}
GOAWAY, PING, ENHANCE_YOUR_CALM = 7, 6, 11


def server_on(port: int, **settings: Any) -> ReservationServer:
    settings_of_it = ReservationServerSettings(port=port, **settings)
    return ReservationServer(answering(None), NamedTokens(), ready(), Metrics(), settings_of_it)


def probe(running: Served) -> Any:
    return health_pb2_grpc.HealthStub(running.channel)


async def checked(running: Served, service: str = SERVICE) -> int:
    reply = await probe(running).Check(health_pb2.HealthCheckRequest(service=service))
    status: int = reply.status
    return status


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_serving_only_while_traffic_is_accepted(tmp_path: Path, service: str) -> None:
    async with served(tmp_path) as running:
        for readiness in Readiness:
            running.health.readiness = readiness
            expected = SERVING if readiness is Readiness.ACCEPTING_TRAFFIC else NOT_SERVING
            assert await checked(running, service) == expected
            listed = await probe(running).List(health_pb2.HealthListRequest())
            assert {name: answer.status for name, answer in listed.statuses.items()} == {
                "": expected,
                SERVICE: expected,
            }


async def test_health_of_a_service_that_there_is_not_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await checked(running, "reservation.v1.InventoryService")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_who_watches_health_hears_of_every_change_and_of_the_end(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        watch = probe(running).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == SERVING
        running.health.readiness = Readiness.REFUSING_TRAFFIC
        assert (await watch.read()).status == NOT_SERVING
        running.health.readiness = Readiness.ACCEPTING_TRAFFIC
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(running.server.stop(5))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await stopping
        await running.server.wait_stopped()


async def test_a_message_above_the_bound_is_refused_on_the_way(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        fits = request_of("GetReservation", reservation_id="x" * (MAX_REQUEST_BYTES - 100))
        assert (await running.client().start("GetReservation", fits)).error.code
        request = request_of("GetReservation", reservation_id="x" * MAX_REQUEST_BYTES)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.client().start("GetReservation", request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_above_the_bound_are_refused_and_the_others_answered(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def wait(*_: Any) -> Any:
        await release.wait()
        raise StoreUnavailableError("now")

    use_cases = cast("UseCases", SimpleNamespace(hold=wait, confirm=0, cancel=0, extend=0, queries=0))
    async with served(tmp_path, use_cases=use_cases) as running:
        request = request_of("CreateReservation", **HOLD)
        calls = [running.client().start("CreateReservation", request, seconds=60) for _ in range(MAX_CALLS)]
        await until(lambda: running.server.in_flight == MAX_CALLS)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.client().start("CreateReservation", request)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        release.set()
        assert {reply.error.message for reply in [await call for call in calls]} == {"now"}
        assert (await running.client().start("CreateReservation", request)).error.message == "now"


async def test_who_pings_too_often_is_sent_away(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4))
        writer.writelines(frame(PING, b"8 octets") for _ in range(5))
        kind, payload = 0, b""
        while kind != GOAWAY:
            head = await reader.readexactly(9)
            kind, payload = head[3], await reader.readexactly(int.from_bytes(head[:3], "big"))
        writer.close()
        await writer.wait_closed()
    assert int.from_bytes(payload[4:8], "big") == ENHANCE_YOUR_CALM


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Make a frame of HTTP/2's connection itself (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 0]) + payload


async def test_a_port_is_one_servers_unless_it_is_to_be_shared(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        with pytest.raises(RuntimeError):
            await server_on(running.port).start()
    first = server_on(0, shares_port=True)
    port = await first.start()
    second = server_on(port, shares_port=True)
    assert await second.start() == port
    await first.stop(0)
    await second.stop(0)


async def test_a_server_that_never_started_can_be_stopped() -> None:
    server = server_on(0)
    await server.stop(1)
    await server.wait_stopped()
    assert server.in_flight == 0


async def test_a_server_may_be_stopped_twice_and_leaves_its_port(tmp_path: Path) -> None:
    server = server_on(0)
    port = await server.start()
    await server.stop(0)
    await server.stop(0)
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", port))


async def test_it_listens_on_ipv6_too() -> None:
    server = server_on(0, host="::1")
    port = await server.start()
    async with grpc.aio.insecure_channel(f"[::1]:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING
    await server.stop(0)


def test_it_serves_in_the_loop_of_production(tmp_path: Path) -> None:
    async def hold() -> wire.CreateReservationResponse:
        async with served(tmp_path) as running:
            return await running.client().create()

    assert uvloop.run(hold()).reservation_id


@pytest.mark.parametrize("traceparent", [None, "", "garbage", f"00-{'0' * 32}-00f067aa0ba902b7-01"])
async def test_a_trace_is_begun_where_none_is_brought(tmp_path: Path, traceparent: str | None) -> None:
    more = [] if traceparent is None else [("traceparent", traceparent)]
    async with served(tmp_path) as running:
        request = request_of("GetReservation", reservation_id="rsv_none")
        traces = {
            (await running.client().start("GetReservation", request, *more)).error.trace_id for _ in range(2)
        }
    assert len(traces) == 2
    assert all(len(trace) == 32 and int(trace, 16) for trace in traces)


async def test_the_trace_goes_into_the_event(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        request = request_of("CreateReservation", **HOLD)
        traceparent = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")
        await running.client().start("CreateReservation", request, traceparent)
        [entry] = running.ports.look().outbox
    assert entry.trace_id == TRACE


async def test_a_request_has_one_line_without_token_or_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as running:
        with caplog.at_level(logging.INFO, "reservation_api.grpc"):
            request = request_of("CreateReservation", **HOLD)
            traceparent = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")
            for _ in range(2):
                reply = await running.client().start("CreateReservation", request, traceparent)
            await running.client().ask("GetReservation", reservation_id=reply.reservation_id)
            await running.client().ask(
                "CancelReservation", reservation_id="rsv_none", idempotency_key="the-key-too"
            )
    lines = [msgspec.structs.asdict(record.__dict__["fields"]) for record in caplog.records]
    assert all(line.pop("milliseconds") > 0 for line in lines)
    held = {
        "trace_id": TRACE,
        "reservation_id": reply.reservation_id,
        "subject": "user-1",
        "route": f"{SERVICE}/CreateReservation",
        "status": "OK",
        "code": None,
        "reason": None,
        "replayed": False,
    }
    refused = {
        "trace_id": lines[3]["trace_id"],
        "reservation_id": "rsv_none",
        "subject": "user-1",
        "route": f"{SERVICE}/CancelReservation",
        "status": "NOT_FOUND",
        "code": "not_found",
        "reason": "no such reservation",
        "replayed": False,
    }
    read = {**held, "trace_id": lines[2]["trace_id"], "route": f"{SERVICE}/GetReservation"}
    assert lines == [held, {**held, "replayed": True}, read, refused]
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    assert "the-key" not in str(lines)


async def test_our_own_failures_are_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path, use_cases=answering(StoreUnavailableError("away"))) as running:
        with caplog.at_level(logging.INFO, "reservation_api.grpc"):
            await running.client().create()
    [record] = caplog.records
    assert (record.levelno, record.__dict__["fields"].code) == (logging.WARNING, "store_unavailable")


def test_a_private_key_is_not_in_the_repr_of_its_settings() -> None:
    settings = ReservationServerSettings(port=1, tls=ServerTls(b"chain", b"secret"))
    assert "secret" not in repr(settings)


async def test_neither_methods_nor_events_nor_users_add_a_series(tmp_path: Path) -> None:
    async with served(tmp_path) as running:

        async def ask(n: int) -> None:
            client = running.client(f"user-{n}")
            wanted = {**HOLD, "event_id": f"evt_{n}", "idempotency_key": f"key-{n}"}
            await client.ask("CreateReservation", **wanted)
            await client.ask("GetReservation", reservation_id=f"rsv_{n}")
            unknown: Any = running.channel.unary_unary(f"/{SERVICE}/Method{n}")
            with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
                await unknown(b"")

        def series() -> int:
            return len(running.metrics.exposition().splitlines())

        await ask(0)
        before = series()
        for n in range(1, 401):
            await ask(n)
        assert series() == before
