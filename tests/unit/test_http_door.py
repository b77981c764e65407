"""Turning away by a look at the packet: what is left to the parser, and what stays true of a connection."""

import asyncio
from collections.abc import Awaitable
from time import monotonic

import pytest
from tests.support.api import answering, make_api
from tests.support.clock import FakeClock
from tests.support.http_sockets import Served, get, post, serving
from tests.support.overload import full, room_for
from tests.support.ports import free_port

from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.connection import Connection
from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.entrypoints.http.server import HttpServer
from reservation_api.entrypoints.overload.guards import OverloadGuards

LARGE = b"x" * 8_000_000
"""More than the sockets' buffers take: the server has to wait for whoever does not read."""
LOOK = get("/v1/orders/ord_1")
PAY = post("/v1/reservations/rsv_1/confirm", 0)
LIVENESS = get("/actuator/health/liveness")


def api_with(guards: OverloadGuards) -> Api:
    api = make_api(answering(NotFoundError("nothing")), FakeClock())
    api.guards = guards
    return api


class WithALargePage:
    """The API, and one page more that is too long to be written at once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.turn_away = api.turn_away

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        return Response(200, [], LARGE) if request.path == "/large" else self._api(request)


class NotingServer(HttpServer):
    """Knows its connections."""

    def opened(self, connection: Connection) -> bool:
        self.last = connection
        return super().opened(connection)


async def test_a_client_that_does_not_read_is_not_refused_either_until_it_does() -> None:
    """Refusals that nobody reads would fill the memory."""
    api = api_with(full())
    async with serving(WithALargePage(api)) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(get("/large"))
        await other.ask(LIVENESS)
        for _ in range(3):
            await connection.send(LOOK)
            await other.ask(LIVENESS)  # the packet has been read by now
        assert api.guards.gate.shed == 0
        assert len((await connection.receive())[2]) == len(LARGE)
        assert [(await connection.receive())[0] for _ in range(3)] == [503] * 3
    assert api.guards.gate.shed == 3


async def test_nothing_is_refused_behind_the_last_answer() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    api = api_with(full())
    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(b"nonsense\r\n\r\n")
        await other.ask(LIVENESS)
        await connection.send(LOOK)
        await other.ask(LIVENESS)
        assert api.guards.gate.shed == 0
        rest = await connection.rest()
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1") == 1
    assert not faults


async def test_a_connection_that_is_refused_again_and_again_is_not_taken_for_a_quiet_one() -> None:
    port = free_port()
    server = NotingServer(api_with(full()), "127.0.0.1", port)
    await server.start()
    served = Served(server, port)
    connection = await served.connect()
    assert (await connection.ask(LIVENESS))[0] == 200
    since = monotonic()
    assert (await connection.ask(LOOK))[0] == 503
    server.last.sweep(now=monotonic(), idle_since=since, reading_since=since)
    assert (await connection.ask(LOOK))[0] == 503
    await served.close()
    await server.stop()


async def test_who_is_sent_away_by_a_look_is_told_different_times_to_come_back() -> None:
    for packet in (LOOK, PAY):
        async with serving(api_with(full())) as served:
            connection = await served.connect()
            told = []
            for _ in range(10):
                await connection.send(packet)
                told.append((await connection.receive())[1]["retry-after"])
        assert sorted(told) == sorted(["1", "2", "3", "4", "5"] * 2)


async def test_a_look_is_enough_where_only_payers_have_room_left() -> None:
    api = api_with(room_for(2, reserved=0.5))
    assert api.turn_away(LOOK) is None
    api.guards.gate.enter()
    assert api.turn_away(LOOK) is not None
    assert api.turn_away(PAY) is None
    api.guards.gate.enter()
    for _ in range(3):
        await asyncio.sleep(0)  # the turn ends, in which the second was not there yet
    assert api.turn_away(PAY) is not None
    assert (api.guards.gate.shed, api.guards.gate.shed_urgent) == (1, 1)


@pytest.mark.parametrize(
    "path", ["/v1/orders?limit=5&cursor=a", "/v1/order%73", "/v1/orders/ord%5F1?", "/docs"]
)
async def test_by_a_look_a_path_leads_where_it_leads_otherwise(path: str) -> None:
    assert api_with(full()).turn_away(get(path)) is not None
