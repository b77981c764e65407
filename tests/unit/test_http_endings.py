"""How a connection ends: with all its answers, and not a byte after them."""

import asyncio

import pytest
from tests.support.http_sockets import CHUNKED, PATIENCE, Echo, get, post, serving

from reservation_api.entrypoints.http.refusals import IncompleteBodyError
from reservation_api.entrypoints.http.request import Request, Response

LARGE = b"x" * 8_000_000
"""More than the sockets' buffers take: the server has to wait for whoever does not read."""


async def large(_request: Request) -> Response:
    return Response(200, [], LARGE)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b"POST / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            id="chunks in HTTP/1.0",
        ),
        pytest.param(b"GET / HTTP/2.0\r\nHost: test\r\n\r\n", id="a version that is not spoken"),
        pytest.param(b"GET / HTTP/0.9\r\nHost: test\r\n\r\n", id="a version that is too old"),
        pytest.param(b"GET /\r\nHost: test\r\n\r\n", id="no version"),
    ],
)
async def test_what_not_all_on_the_way_read_alike_is_refused(raw: bytes) -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        await connection.send(raw + get("/smuggled"))
        rest = await connection.rest()
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1") == 1


async def test_a_client_that_can_not_know_of_it_is_not_told_to_go_on() -> None:
    async with serving(Echo()) as served:
        connection = await served.connect()
        head = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        await connection.send(head)
        await (await served.connect()).ask(get())  # the handler waits for the body by now
        assert await connection.ask(b"abc") == (200, b"POST /? 3 b'abc'")


async def test_a_client_that_half_closes_and_reads_late_gets_all_its_answers() -> None:
    async with serving(large) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get() * 3)
        connection.half_close()
        for _ in range(3):
            await other.ask(get())  # the end of what it sends has been heard by now
        for _ in range(3):
            assert len((await connection.receive())[2]) == len(LARGE)
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    ("raw", "answers"),
    [
        pytest.param(get("/", "Connection: close") + get("/more"), 1, id="more than was announced"),
        pytest.param(post("/", None, CHUNKED) + b"3\r\nab", 1, id="a body that is on its way"),
    ],
)
async def test_nothing_follows_the_last_answer(raw: bytes, answers: int) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with serving(large) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(raw)
        for _ in range(3):
            await other.ask(get())
        await connection.send(b"cde\r\n0\r\n\r\n" * 1000)
        rest = await connection.rest()
    assert rest.count(b"HTTP/1.1 ") == answers
    assert len(rest) > len(LARGE)
    assert not faults


async def test_a_request_that_is_half_here_is_answered_when_the_server_ends() -> None:
    echo = Echo()
    async with serving(echo) as served:
        connection = await served.connect()
        await connection.ask(get("/1"))
        await connection.send(b"GET /2 HTTP/1.1\r\nHost: te")
        await (await served.connect()).ask(get())
        stopping = asyncio.create_task(served.server.stop())
        await asyncio.sleep(0)
        await connection.send(b"st\r\n\r\n")
        status, headers, body = await connection.receive()
        await asyncio.wait_for(stopping, PATIENCE)
    assert (status, headers["connection"], body) == (200, "close", b"GET /2? 0 b''")


async def test_a_server_that_drains_keeps_no_connection_and_takes_new_ones() -> None:
    async with serving(Echo()) as served:
        kept = await served.connect()
        await kept.ask(get())
        served.server.drain()
        for connection in (kept, await served.connect()):
            await connection.send(get())
            status, headers, _ = await connection.receive()
            assert (status, headers["connection"]) == (200, "close")
            assert await connection.rest() == b""


async def test_the_servers_end_is_the_end_of_its_connections() -> None:
    async with serving(large) as served:
        connection = await served.connect()
        await connection.send(get())
        await (await served.connect()).ask(get())
        await asyncio.wait_for(served.server.stop(), PATIENCE)
        assert len((await connection.receive())[2]) == len(LARGE)
        assert await connection.rest() == b""


async def test_a_body_is_waited_for_no_longer_when_its_client_is_gone() -> None:
    reads, refused = asyncio.Event(), asyncio.Event()

    async def api(request: Request) -> Response:
        reads.set()
        try:
            await request.body.read()
        except IncompleteBodyError:
            refused.set()
        return Response(200, [], b"")

    async with serving(api) as served:
        connection = await served.connect()
        await connection.send(post("/", 3) + b"ab")
        await asyncio.wait_for(reads.wait(), PATIENCE)
        connection.reset()
        await asyncio.wait_for(refused.wait(), PATIENCE)
        await asyncio.wait_for(served.server.stop(), PATIENCE)
    assert served.server.in_flight == 0


async def test_what_a_client_that_is_gone_had_asked_for_besides_is_not_begun() -> None:
    echo = Echo()
    begun: list[str] = []

    async def api(request: Request) -> Response:
        begun.append(request.path)
        return await echo(request)

    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get("/wait") + get("/2"))
        await asyncio.wait_for(echo.arrived.wait(), PATIENCE)
        connection.reset()
        for _ in range(3):
            await other.ask(get("/other"))  # the reset has been heard by now
        echo.go_on.set()
        await other.ask(get("/other"))
    assert begun == ["/wait"] + 4 * ["/other"]
