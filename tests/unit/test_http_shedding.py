"""Who is turned away, over sockets: at once, in turn, and without anything that HTTP would be broken by."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from tests.support.api import answering, make_api
from tests.support.clock import FakeClock
from tests.support.http_sockets import CHUNKED, Connection, Served, get, post, serving
from tests.support.overload import room_for

from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.server import ServerLimits
from reservation_api.telemetry.metrics import Metrics

WHO = "Authorization: Bearer user-1"
COMMAND = (WHO, "Idempotency-Key: k", "Content-Type: application/json")
ORDER, HOLD = "/v1/orders/ord_1", "/v1/reservations"
CONFIRM = "/v1/reservations/rsv_1/confirm"
BODY = b'{"event_id":"evt_1","qty":1}'
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
LOOK = get(ORDER, WHO)
ASK_TO_HOLD = post(HOLD, len(BODY), *COMMAND)
IN_CHUNKS = post(HOLD, None, *COMMAND, CHUNKED)


def api_with_room(requests: int = 1, reserved: float = 0.0, metrics: Metrics | None = None) -> Api:
    """Make an API that finds nothing, and whose gate tests fill and empty as others would."""
    api = make_api(answering(NotFoundError("nothing")), FakeClock(), metrics=metrics)
    api.guards = room_for(requests, reserved=reserved)
    return api


def full_api(metrics: Metrics | None = None) -> Api:
    api = api_with_room(metrics=metrics)
    api.guards.gate.enter()
    return api


async def is_turned_away(connection: Connection) -> dict[str, str]:
    """Take an answer, which is the documented refusal, and return its headers."""
    status, headers, body = await connection.receive()
    problem = json.loads(body)
    assert (status, problem["code"], problem["status"]) == (503, "overloaded", 503)
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert 1 <= int(headers["retry-after"]) <= 5
    assert len(problem["trace_id"]) == 32
    return headers


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param((LOOK,), id="by a look"),
        pytest.param((LOOK[:20], LOOK[20:]), id="in two packets"),
        pytest.param((get(ORDER, WHO, "TE: trailers", "X: \u00e9"),), id="by the parser"),
        pytest.param((ASK_TO_HOLD + BODY,), id="with a body"),
        pytest.param((IN_CHUNKS + b"0\r\n\r\n",), id="with chunks"),
        pytest.param((get("http://test" + ORDER, WHO),), id="in absolute form"),
    ],
)
async def test_whichever_way_it_came_the_refusal_is_the_same_and_the_connection_stays(
    packets: tuple[bytes, ...],
) -> None:
    metrics = Metrics()
    api = full_api(metrics)
    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        for packet in packets:
            await connection.send(packet)
            await other.ask(get("/actuator/health/liveness"))  # the packet has been read by now
        headers = await is_turned_away(connection)
        api.guards.gate.leave()
        assert (await connection.ask(LOOK))[0] == 404
    assert set(headers) == {
        *("date", "content-type", "content-length", "cache-control", "x-content-type-options", "retry-after")
    }
    assert (api.guards.gate.shed, metrics.requests.value, metrics.errors.value) == (1, 2, 1)


async def test_the_callers_trace_is_named_and_each_of_the_others_has_its_own() -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        _, body = await connection.ask(get(ORDER, WHO, f"Traceparent: 00-{TRACE_ID}-{'1' * 16}-01"))
        assert json.loads(body)["trace_id"] == TRACE_ID
        others = [json.loads((await connection.ask(LOOK))[1])["trace_id"] for _ in range(2)]
    assert len({TRACE_ID, *others}) == 3


async def test_a_short_body_that_is_still_coming_is_waited_for_behind_the_refusal() -> None:
    api = full_api()
    async with serving(api) as served:
        connection = await served.connect()
        await connection.send(ASK_TO_HOLD)
        assert "connection" not in await is_turned_away(connection)
        await connection.send(BODY[:5])
        api.guards.gate.leave()
        await connection.send(BODY[5:] + LOOK)
        assert (await connection.receive())[0] == 404


async def test_a_body_that_looks_like_a_request_is_none() -> None:
    api = full_api()
    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(post(HOLD, len(LOOK), *COMMAND))
        await is_turned_away(connection)
        await connection.send(LOOK)
        await other.ask(get("/actuator/health/liveness"))  # the packet has been read by now
        api.guards.gate.leave()
        assert (await connection.ask(LOOK))[0] == 404
    assert api.guards.gate.shed == 1


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(post(HOLD, 2, *COMMAND, "Expect: 100-continue"), id="it waits to be asked"),
        pytest.param(post(HOLD, 16_385, *COMMAND), id="it is long"),
        pytest.param(IN_CHUNKS, id="its length is not known"),
        pytest.param(IN_CHUNKS + b"zz\r\n", id="it is none"),
    ],
)
async def test_no_other_body_is_waited_for(begun: bytes) -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(begun)
        assert (await is_turned_away(connection))["connection"] == "close"
        await connection.send(get("/smuggled"))
        assert await connection.rest() == b""


async def test_a_refused_body_that_breaks_off_ends_the_connection() -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(ASK_TO_HOLD)
        await is_turned_away(connection)
        connection.half_close()
        assert await connection.rest() == b""


async def test_a_refused_body_that_does_not_come_ends_the_connection() -> None:
    async with serving(full_api(), ServerLimits(header_read_seconds=0.1)) as served:
        connection = await served.connect()
        await connection.send(ASK_TO_HOLD + BODY[:1])
        await is_turned_away(connection)
        assert await connection.rest() == b""


async def test_who_is_refused_behind_one_that_is_served_hears_so_in_turn() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def order(*_: Any) -> Any:
        arrived.set()
        await go_on.wait()
        raise NotFoundError("no such order")

    use_cases: Any = answering(NotFoundError("nothing"))
    use_cases.queries.order = order
    api = make_api(use_cases, FakeClock())
    api.guards = room_for(1)
    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        await connection.send(LOOK)
        await arrived.wait()
        for packet in (LOOK, ASK_TO_HOLD + BODY + get("/v1/nothing") + LOOK):
            await connection.send(packet)
            await other.ask(get("/actuator/health/liveness"))  # the packet has been read by now
        assert api.guards.gate.shed == 0  # nobody is asked about before it is their turn
        api.guards.gate.enter()
        go_on.set()
        answers = [await connection.receive() for _ in range(5)]
    assert [status for status, _, _ in answers] == [404, 503, 503, 404, 503]


async def test_a_thousand_that_are_refused_in_a_row_are_no_stack_of_calls() -> None:
    crowd = get(ORDER) * 1000
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(crowd)
        for _ in range(1000):
            await is_turned_away(connection)


async def test_what_can_not_be_understood_behind_a_refusal_is_refused_as_such() -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(LOOK + b"nonsense\r\n\r\n")
        await is_turned_away(connection)
        assert (await connection.rest()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", [ORDER, HOLD])
async def test_head_is_refused_without_a_body(path: str) -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(get(path, WHO).replace(b"GET", b"HEAD") + get(path, WHO, "Connection: close"))
        head, _, rest = (await connection.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert rest.startswith(b"HTTP/1.1 503 ")
    length = int(rest.split(b"content-length: ")[1].split(b"\r\n")[0])
    assert b"content-length: %d" % length in head


@pytest.mark.parametrize(
    ("version", "option", "stays"),
    [("1.1", "close", False), ("1.0", "keep-alive", True), ("1.0", "x", False)],
)
async def test_the_connection_stays_if_the_client_wants_it(
    version: str,
    option: str,
    stays: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    request = f"GET {ORDER} HTTP/{version}\r\nHost: test\r\nConnection: {option}\r\n\r\n".encode()
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(request)
        assert (await is_turned_away(connection))["connection"] == ("keep-alive" if stays else "close")
        if stays:
            await connection.send(request)
            await is_turned_away(connection)
        else:
            assert await connection.rest() == b""


async def test_a_client_that_half_closes_is_refused_all_the_same() -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        await connection.send(LOOK)
        connection.half_close()
        await is_turned_away(connection)
        assert await connection.rest() == b""


async def test_a_server_that_drains_keeps_no_refused_connection() -> None:
    async with serving(full_api()) as served:
        connection = await served.connect()
        served.server.drain()
        await connection.send(LOOK)
        assert (await is_turned_away(connection))["connection"] == "close"
        assert await connection.rest() == b""


async def test_payers_probes_and_the_lost_are_answered_as_ever() -> None:
    api = api_with_room(2, reserved=0.5)
    api.guards.gate.enter()
    async with serving(api) as served:
        connection = await served.connect()
        await connection.send(ASK_TO_HOLD + BODY)
        await is_turned_away(connection)
        pay = b'{"payment_intent_id":"pi_1"}'
        assert (await connection.ask(post(CONFIRM, len(pay), *COMMAND) + pay))[0] == 404
        api.guards.gate.enter()
        await connection.send(post(CONFIRM, len(pay), *COMMAND) + pay)
        await is_turned_away(connection)
        for path, status in (("/actuator/health", 200), ("/actuator/info", 401), ("/v1/nothing", 404)):
            assert (await connection.ask(get(path)))[0] == status
    assert (api.guards.gate.shed, api.guards.gate.shed_urgent) == (1, 1)


async def test_a_client_that_does_not_read_its_refusals_is_not_read_either() -> None:
    api = full_api()
    async with serving(api) as served:
        connection, other = await served.connect(), await served.connect()
        many = 20_000
        sending = asyncio.create_task(connection.send(*[LOOK * 100] * (many // 100)))
        for _ in range(200):
            await other.ask(get("/actuator/health/liveness"))
        assert api.guards.gate.shed < many
        for _ in range(many):
            await connection.receive()
        await sending
    assert api.guards.gate.shed == many


async def test_after_a_storm_everybody_has_left() -> None:
    """Served and refused, by a look and by the parser, and clients that went away."""
    api = api_with_room(5)
    async with serving(api) as served:
        statuses = Counter[int]()
        for _ in range(5):
            statuses.update(await asyncio.gather(*(_ask_and_go(served, number) for number in range(40))))
        await served.server.stop()
    gate = api.guards.gate
    assert gate.shed >= statuses[503] > 0
    assert statuses[404] > 0
    assert [gate.admit(urgent=False) for _ in range(6)] == [True] * 5 + [False]


async def _ask_and_go(served: Served, number: int) -> int:
    connection = await served.connect()
    packets = ((LOOK,), (LOOK[:9], LOOK[9:]), (ASK_TO_HOLD, BODY.replace(b"1", b"9")), (ASK_TO_HOLD,))
    await connection.send(*packets[number % 4])
    status = (await connection.receive())[0] if number % 4 < 3 else 0
    await connection.close()
    return status
