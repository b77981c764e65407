import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.api import NamedTokens, answering, make_api
from tests.support.clock import FakeClock
from tests.support.http_sockets import CHUNKED, PATIENCE, Echo, get, post, serving

from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.entrypoints.http.server import ServerLimits


@pytest.fixture
def api() -> object:
    return make_api(answering(NotFoundError("no such thing")), FakeClock(), tokens=NamedTokens())


COMMAND = ("Authorization: Bearer user-1", "Idempotency-Key: k", "Content-Type: application/json")
CANCEL = "/v1/reservations/rsv_1/cancel"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(post("/", 3, "Content-Length: 5") + b"12345", id="two lengths"),
        pytest.param(post("/", 3, CHUNKED) + b"123", id="a length and chunks"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(get("/", "Host: other"), id="two hosts"),
        pytest.param(get("/", "X : y"), id="a space before the colon"),
        pytest.param(get("/", "X: y\r\n z"), id="a folded header"),
        pytest.param(b"GET /\x80 HTTP/1.1\r\nHost: test\r\n\r\n", id="a target that is no ASCII"),
        pytest.param(post("/", 3, "Connection: upgrade", "Upgrade: x") + b"123", id="an upgrade with a body"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="TLS"),
    ],
)
async def test_what_can_not_be_understood_is_refused_and_ends_the_connection(raw: bytes) -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        assert (await connection.ask(get("/1")))[0] == 200
        await connection.send(raw + get("/smuggled"))
        rest = await connection.rest()
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1") == 1
    assert b"smuggled" not in rest


async def test_what_came_before_the_misunderstood_is_answered_first() -> None:
    echo = Echo()
    async with serving(echo) as served:
        connection = await served.connect()
        await connection.send(get("/wait") + get("/2") + b"nonsense\r\n\r\n" + get("/3"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        echo.go_on.set()
        answers = (await connection.rest()).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"400"]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(post("/", None, CHUNKED) + b"2\r\n{}\r\nzz\r\n", id="a chunk without a size"),
        pytest.param(post("/", None, "Transfer-Encoding: gzip") + b"123", id="a coding without an end"),
    ],
)
async def test_a_body_that_breaks_ends_its_request_and_the_connection(raw: bytes) -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.send(raw + get("/smuggled"))
        rest = await connection.rest()
    assert rest.startswith(b"HTTP/1.1 500 ")  # Echo lets the refusal through; the API makes a problem of it
    assert b"smuggled" not in rest


async def test_what_follows_a_body_is_no_header() -> None:
    async def api(request: Request) -> Response:
        await request.body.read()
        return Response(200, [], str(request.headers.get("idempotency-key")).encode())

    async with serving(api) as served:
        raw = (
            post("/", None, CHUNKED, "Trailer: Idempotency-Key")
            + b"2\r\n{}\r\n0\r\nIdempotency-Key: k\r\n\r\n"
        )
        assert await (await served.connect()).ask(raw) == (200, b"None")


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.send(post("/", 5, "Expect: 100-continue"))
        status, headers, _ = await connection.receive()
        assert (status, headers) == (100, {})
        assert await connection.ask(b"12345") == (200, b"POST /? 5 b'12345'")


async def test_a_client_that_asks_first_for_a_body_too_large_is_not(api: object) -> None:
    async with serving(api) as served:
        connection = await served.connect()
        status, _ = await connection.ask(post(CANCEL, 16_385, *COMMAND, "Expect: 100-continue"))
        assert status == 413
        assert await connection.rest() == b""


async def test_an_upgrade_is_not_taken_up() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        assert (await connection.ask(get("/", "Connection: Upgrade", "Upgrade: h2c")))[0] == 200
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [("1.1", "keep-alive", True), ("1.1", "close", False), ("1.0", "keep-alive", True), ("1.0", "x", False)],
)
async def test_a_connection_stays_open_if_the_client_wants_it(
    version: str,
    connection: str,
    stays: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    async with serving(Echo()) as served:
        client = await served.connect()
        request = f"GET / HTTP/{version}\r\nHost: test\r\nConnection: {connection}\r\n\r\n".encode()
        await client.send(request)
        _, headers, _ = await client.receive()
        expected = {("1.0", True): "keep-alive", ("1.1", True): None}.get((version, stays), "close")
        assert headers.get("connection") == expected
        if stays:
            assert (await client.ask(request))[0] == 200
        else:
            assert await client.rest() == b""


async def test_a_client_that_half_closes_still_gets_its_answer() -> None:
    echo = Echo()
    async with serving(echo) as served:
        connection = await served.connect()
        await connection.send(get("/wait"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        connection.half_close()
        echo.go_on.set()
        assert (await connection.receive())[0] == 200
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("http://other:80/a/b?x=1", "/a/b?x=1"),
        ("http://other", "/?"),
        ("/a%2Fb%C3%A9?%20=%41", "/a/b\u00e9?%20=%41"),
        ("/%ff", "/\ufffd?"),
        ("/a?b?c#d", "/a?b?c"),
    ],
)
async def test_targets_are_read_as_they_are_meant(target: str, seen: str) -> None:
    async with serving(Echo()) as served:
        _, body = await (await served.connect()).ask(get(target))
    assert body.decode() == f"GET {seen} 0 b''"


async def test_a_client_that_pipelines_without_reading_does_not_fill_the_memory() -> None:
    answer = b"x" * 100_000
    served_paths = 0

    async def api(_request: Request) -> Response:
        nonlocal served_paths
        served_paths += 1
        return Response(200, [], answer)

    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get("/") * 1000)
        for _ in range(200):
            await other.ask(get("/other"))
        assert served_paths - 200 < 200
        for _ in range(1000):
            assert len((await connection.receive())[2]) == len(answer)


@pytest.mark.parametrize("framing", ["Content-Length: 5", CHUNKED])
async def test_a_body_whose_rest_comes_while_another_is_served_is_read_when_its_turn_comes(
    framing: str,
) -> None:
    echo = Echo()
    begin, rest = (b"12", b"345") if framing != CHUNKED else (b"2\r\n12\r\n", b"3\r\n345\r\n0\r\n\r\n")
    async with serving(echo) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get("/wait"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        for packet in (get("/2") + post("/3", None, framing) + begin, rest[:2], rest[2:] + get("/4")):
            await connection.send(packet)
            await other.ask(get("/other"))  # the packet has been read by now
        echo.go_on.set()
        bodies = [(await connection.receive())[2] for _ in range(4)]
    assert bodies == [b"GET /wait? 0 b''", b"GET /2? 0 b''", b"POST /3? 5 b'12345'", b"GET /4? 0 b''"]


async def test_a_client_that_pipelines_behind_a_slow_answer_is_read_no_further() -> None:
    echo = Echo()
    many = 2000
    async with serving(echo) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get("/wait"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        sending = asyncio.create_task(connection.send(*[post("/", 16_384) + b"x" * 16_384] * many))
        for _ in range(400):
            await other.ask(get("/other"))
        assert not sending.done()
        echo.go_on.set()
        for _ in range(1 + many):
            assert (await connection.receive())[0] == 200
        await sending


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    async def api(_request: Request) -> Response:
        return Response(200, [("location", "/a\r\nset-cookie: b")], b"ok")

    async with serving(api) as served:
        connection = await served.connect()
        await connection.send(get())
        rest = await connection.rest()
    assert rest.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in rest


async def test_more_connections_than_there_is_room_for_are_closed() -> None:
    async with serving(Echo(), ServerLimits(max_connections=2)) as served:
        kept = [await served.connect() for _ in range(2)]
        for connection in kept:
            assert (await connection.ask(get()))[0] == 200
        third = await served.connect()
        with suppress(ConnectionError):
            assert await third.rest() == b""
        assert (await kept[1].ask(get()))[0] == 200


async def test_a_connection_that_is_gone_makes_room_for_another() -> None:
    async with serving(Echo(), ServerLimits(max_connections=2)) as served:
        kept = await served.connect()
        for _ in range(3):
            connection = await served.connect()
            assert (await connection.ask(get()))[0] == 200
            await connection.close()
            for _ in range(3):
                await kept.ask(get())  # its end has been heard by now


PACKETS = (
    get("/1?q") + post("/2", 3) + b"abc" + post("/3", None, CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n" + get("/4")
)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, len(PACKETS) - 1), max_size=8))
def test_packets_may_end_anywhere(cuts: list[int]) -> None:
    async def ask() -> list[bytes]:
        edges = [0, *sorted(set(cuts)), len(PACKETS)]
        async with serving(Echo()) as served:
            connection, other = await served.connect(), await served.connect()
            for start, end in pairwise(edges):
                await connection.send(PACKETS[start:end])
                await other.ask(get())  # the packet has been read by now
            return [(await connection.receive())[2] for _ in range(4)]

    bodies = asyncio.run(ask())
    assert bodies == [b"GET /1?q 0 b''", b"POST /2? 3 b'abc'", b"POST /3? 3 b'abc'", b"GET /4? 0 b''"]
