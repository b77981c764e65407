import asyncio
import logging
import socket

import pytest
from tests.support.api import NamedTokens, answering, make_api
from tests.support.clock import FakeClock
from tests.support.http_sockets import CHUNKED, PATIENCE, Echo, Served, get, post, serving
from tests.support.ports import free_port

from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.refusals import IncompleteBodyError
from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.entrypoints.http.server import HttpServer, ServerLimits


async def test_a_server_that_has_started_takes_connections_at_once() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        assert await connection.ask(get("/a%20b?x=%20")) == (200, b"GET /a b?x=%20 0 b''")


async def test_requests_in_split_packets_are_put_together() -> None:
    raw = post("/split", 5) + b"12345"
    async with serving(Echo()) as served:
        connection = await served.connect()
        assert await connection.ask(*(raw[n : n + 1] for n in range(len(raw)))) == (
            200,
            b"POST /split? 5 b'12345'",
        )


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.send(get("/1") + post("/2", 3) + b"abc" + get("/3"))
        bodies = [(await connection.receive())[2] for _ in range(3)]
    assert bodies == [b"GET /1? 0 b''", b"POST /2? 3 b'abc'", b"GET /3? 0 b''"]


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.send(b"HEAD /h HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        raw = await connection.rest()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


async def test_a_body_of_16_kib_is_read_whole() -> None:
    body = b"x" * 16_384
    async with serving(Echo()) as served:
        connection = await served.connect()
        status, answer = await connection.ask(post("/", len(body)) + body)
        assert (status, answer[:14]) == (200, b"POST /? 16384 ")
        chunk = b"2000\r\n" + b"x" * 8192 + b"\r\n"
        status, answer = await connection.ask(post("/", None, CHUNKED) + 2 * chunk + b"0\r\n\r\n")
        assert (status, answer[:14]) == (200, b"POST /? 16384 ")


@pytest.fixture
def api() -> object:
    return make_api(answering(NotFoundError("no such thing")), FakeClock(), tokens=NamedTokens())


COMMAND = ("Authorization: Bearer user-1", "Idempotency-Key: k", "Content-Type: application/json")
CANCEL = "/v1/reservations/rsv_1/cancel"


async def test_a_longer_body_is_refused_by_its_length_before_it_comes(api: object) -> None:
    async with serving(api) as served:
        connection = await served.connect()
        status, body = await connection.ask(post(CANCEL, 16_385, *COMMAND))
    assert (status, b"payload_too_large" in body) == (413, True)


@pytest.mark.parametrize(
    "length", ["9" * 19, "9" * 20, "9" * 5000, "5, 5", "+5", "0x5", "-1", "5 5", "\u0665"]
)
async def test_a_length_that_is_none_is_refused(api: object, length: str) -> None:
    async with serving(api) as served:
        connection = await served.connect()
        status, _ = await connection.ask(post(CANCEL, None, *COMMAND, f"Content-Length: {length}"))
    assert status in (400, 413)


async def test_a_longer_chunked_body_is_refused_while_it_comes(api: object) -> None:
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    async with serving(api) as served:
        connection = await served.connect()
        status, body = await connection.ask(post(CANCEL, None, *COMMAND, CHUNKED) + 5 * chunk)
    assert (status, b"payload_too_large" in body) == (413, True)


@pytest.mark.parametrize(
    ("framing", "cut"),
    [
        ("Content-Length: 10", b"12345"),
        (CHUNKED, b""),
        (CHUNKED, b"2\r\n"),
        (CHUNKED, b"2\r\n{}"),
        (CHUNKED, b"2\r\n{}\r\n"),
        (CHUNKED, b"2\r\n{}\r\n0\r\n"),
        (CHUNKED, b"2\r\n{}\r\nzz\r\n"),
    ],
)
async def test_a_body_that_is_cut_off_is_no_body(framing: str, cut: bytes) -> None:
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def api(request: Request) -> Response:
        try:
            refused.set_result(f"none: {await request.body.read()!r}")
        except IncompleteBodyError as error:
            refused.set_result(error.code)
        return Response(200, [], b"")

    async with serving(api) as served:
        connection = await served.connect()
        await connection.send(post("/", None, framing), cut)
        await connection.close()
        assert await asyncio.wait_for(refused, PATIENCE) == "incomplete_body"


async def test_a_body_that_does_not_come_is_given_up(api: object) -> None:
    async with serving(api, ServerLimits(body_read_seconds=0.05)) as served:
        connection = await served.connect()
        status, body = await connection.ask(post(CANCEL, 10, *COMMAND) + b"{")
        assert (status, b"request_timeout" in body) == (408, True)
        connection = await served.connect()
        status, body = await connection.ask(post(CANCEL, None, *COMMAND, CHUNKED) + b"1\r\n{\r\n")
        assert (status, b"request_timeout" in body) == (408, True)


async def test_headers_that_do_not_end_in_time_close_the_connection() -> None:
    async with serving(Echo(), ServerLimits(header_read_seconds=0.1)) as served:
        connection = await served.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost:")
        assert await connection.rest() == b""


async def test_headers_above_16_kib_are_refused() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        status, _ = await connection.ask(get("/", "X: " + "x" * 20_000))
    assert status == 431


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    echo = Echo()
    async with serving(echo) as served:
        idle = await served.connect()
        assert (await idle.ask(get("/1")))[0] == 200
        busy = await served.connect()
        await busy.send(get("/wait"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        assert served.server.in_flight == 1
        stopping = asyncio.create_task(served.server.stop())
        assert await idle.rest() == b""
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await (await served.connect()).ask(get("/2"))
        assert not stopping.done()
        echo.go_on.set()
        status, _, body = await busy.receive()
        assert await busy.rest() == b""
        await asyncio.wait_for(stopping, PATIENCE)
        await served.server.wait_stopped()
        await served.server.stop()
    assert (status, body, served.server.in_flight) == (200, b"GET /wait? 0 b''", 0)


async def test_half_a_header_does_not_hold_up_the_end() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.ask(get("/1"))
        await connection.send(b"GET / HTTP/1.1\r\nHos")
        await asyncio.wait_for(served.server.stop(), PATIENCE)


async def test_a_client_that_goes_away_does_not_end_what_it_began() -> None:
    echo = Echo()
    async with serving(echo) as served:
        connection = await served.connect()
        await connection.send(get("/wait"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        await connection.close()
        assert served.server.in_flight == 1
        echo.go_on.set()
        await asyncio.wait_for(served.server.stop(), PATIENCE)
        assert served.server.in_flight == 0


async def test_an_address_that_can_not_be_had_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = HttpServer(Echo(), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await asyncio.wait_for(server.start(), PATIENCE)
        await server.stop()


async def test_two_servers_share_a_port() -> None:
    port = free_port()
    one, other = (HttpServer(Echo(), "127.0.0.1", port) for _ in range(2))
    await one.start()
    await other.start()
    await asyncio.wait_for(one.stop(), PATIENCE)
    served = Served(other, port)
    assert (await (await served.connect()).ask(get()))[0] == 200
    await served.close()
    await asyncio.wait_for(other.stop(), PATIENCE)


class ClosingIsNoticed(logging.NullHandler):
    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


async def test_starting_leaves_the_processs_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    handler = ClosingIsNoticed()
    root = logging.getLogger()
    root.addHandler(handler)
    before = list(root.handlers)
    with caplog.at_level(logging.DEBUG):
        async with serving(Echo()):
            pass
    assert root.handlers == before
    assert not handler.closed
    root.removeHandler(handler)


async def test_a_server_that_never_started_stops_at_once() -> None:
    server = HttpServer(Echo(), "127.0.0.1", free_port())
    await server.stop()
    assert server.in_flight == 0
