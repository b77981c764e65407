"""What a request meets at the door: room for it, or a refusal that costs next to nothing."""

import asyncio
from typing import Any

import pytest
from tests.support.api import Answered, Client, MemoryBody, MemoryHeaders, answer_of, answering, make_api
from tests.support.clock import FakeClock
from tests.support.overload import full, room_for

from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.problems import problem_response
from reservation_api.entrypoints.http.request import Request
from reservation_api.entrypoints.http.shedding import overloaded, shed_response
from reservation_api.entrypoints.overload.guards import OverloadGuards
from reservation_api.ports.identity import Caller
from reservation_api.telemetry.metrics import Metrics

ORDER = "/v1/orders/ord_1"
CONFIRM, CANCEL = "/v1/reservations/rsv_1/confirm", "/v1/reservations/rsv_1/cancel"
PAY = {"payment_intent_id": "pi_1"}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


class Gated:
    """Use cases and tokens that answer when they are let; they note who came through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.verified: list[str] = []
        self.waiting = 0

    async def verify(self, token: str) -> Caller:
        self.verified.append(token)
        return Caller(UserId(token), frozenset())

    async def order(self, *_: Any) -> Any:
        self.waiting += 1
        await self.open.wait()
        raise NotFoundError("no such order")


def client_of(guards: OverloadGuards, answer: Any = None, metrics: Metrics | None = None) -> Client:
    api = make_api(answering(answer or NotFoundError("nothing")), FakeClock(), metrics=metrics)
    api.guards = guards
    return Client(api)


def gated(requests: int, reserved: float = 0.0) -> tuple[Gated, Api]:
    parts = Gated()
    use_cases: Any = answering(NotFoundError("nothing"))
    use_cases.queries.order = parts.order
    api = make_api(use_cases, FakeClock(), tokens=parts)
    api.guards = room_for(requests, reserved=reserved)
    return parts, api


async def a_turn() -> None:
    """Let whatever is ready have its turn."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_without_room_neither_token_nor_body_is_looked_at() -> None:
    parts, api = gated(1)
    api.guards.gate.enter()
    body = MemoryBody(b"{}")
    headers = MemoryHeaders([("authorization", "Bearer t"), ("traceparent", f"00-{TRACE_ID}-{'1' * 16}-01")])
    answer = Answered(await answer_of(api, Request("POST", "/v1/reservations", "", headers, body)))
    assert (answer.status, answer.code, answer.json["trace_id"]) == (503, "overloaded", TRACE_ID)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (parts.verified, body.reads) == ([], 0)


@pytest.mark.parametrize("number", range(11))
def test_the_answer_made_beforehand_is_the_problem_of_the_error(number: int) -> None:
    assert shed_response(number, TRACE_ID) == problem_response(overloaded(number), TRACE_ID)


async def test_those_sent_away_together_are_told_to_come_back_at_different_times() -> None:
    client = client_of(full())
    told = [(await client.get(ORDER)).headers["retry-after"] for _ in range(10)]
    assert sorted(told) == sorted(["1", "2", "3", "4", "5"] * 2)


async def test_requests_under_way_take_room_until_they_are_answered() -> None:
    parts, api = gated(3)
    client = Client(api)
    waiting = [asyncio.create_task(client.get(ORDER)) for _ in range(3)]
    await a_turn()
    assert parts.waiting == 3
    assert (await client.get(ORDER)).status == 503
    waiting.pop().cancel()  # the client has gone
    await a_turn()
    waiting.append(asyncio.create_task(client.get(ORDER)))
    await a_turn()
    assert (await client.get(ORDER)).status == 503
    parts.open.set()
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [404] * 3
    await a_turn()
    assert (await client.get(ORDER)).status == 404


async def test_confirm_and_cancel_have_room_that_others_can_not_take() -> None:
    parts, api = gated(4, reserved=0.5)
    client = Client(api)
    waiting = [asyncio.create_task(client.get(ORDER)) for _ in range(3)]
    await a_turn()
    assert (parts.waiting, waiting[2].result().status) == (2, 503)
    for path, body in (("/v1/reservations", {"event_id": "evt_1", "qty": 1}), (CONFIRM, PAY), (CANCEL, {})):
        answer = await client.post(path, body)
        assert (answer.status == 503) == (path == "/v1/reservations")
        await a_turn()
    parts.open.set()
    await asyncio.gather(*waiting)


async def test_strangers_take_no_room_while_nobody_can_tell_who_they_are() -> None:
    """Keys are fetched for whoever names one: they could keep everybody out meanwhile."""
    keys_are_there = asyncio.Event()

    class SlowKeys:
        async def verify(self, token: str) -> Caller:
            if token == "stranger":
                await keys_are_there.wait()
            return Caller(UserId(token), frozenset())

    api = make_api(answering(NotFoundError("nothing")), FakeClock(), tokens=SlowKeys())
    api.guards = room_for(2)
    strangers = []
    for _ in range(5):
        strangers.append(asyncio.create_task(Client(api, "stranger").get(ORDER)))
        await a_turn()
    assert (await Client(api, "known").get(ORDER)).status == 404
    keys_are_there.set()
    assert {answer.status for answer in await asyncio.gather(*strangers)} == {404}


async def test_documents_and_unknown_paths_need_no_room_to_be_refused_as_ever() -> None:
    client = client_of(full())
    assert (await client.get("/v1/nothing")).status == 404
    assert (await client.get("/docs")).status == 503


async def test_operators_who_look_in_make_no_room_for_others() -> None:
    client = client_of(full())
    client.token = "user-1+reservation:ops"
    for _ in range(2):
        assert (await client.get("/actuator/info")).status == 200
    await a_turn()
    assert (await client.get(ORDER)).status == 503


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    client = client_of(room_for(100, RateLimitConfig(requests_per_second=1, burst=3)))
    assert [(await client.get(ORDER)).status for _ in range(3)] == [404] * 3
    answer = await client.post(CONFIRM, PAY)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "rate_limited", "1")
    client.token = "user-2"
    assert (await client.get(ORDER)).status == 404


async def test_who_asks_too_often_keeps_no_place_from_others() -> None:
    client = client_of(room_for(1, RateLimitConfig(requests_per_second=1, burst=1)))
    statuses = []
    for client.token in ("user-1", "user-1", "user-1", "user-2"):
        statuses.append((await client.get(ORDER)).status)
        await a_turn()
    assert statuses == [404, 429, 429, 404]


async def test_a_bad_token_takes_from_nobodys_bucket() -> None:
    client = client_of(room_for(100, RateLimitConfig(requests_per_second=1, burst=1)))
    for _ in range(3):
        assert (await client.get(ORDER, authorization="Bearer forged")).status == 401
    assert (await client.get(ORDER)).status == 404


async def test_operators_and_administrators_may_ask_as_often_as_they_like() -> None:
    client = client_of(room_for(100, RateLimitConfig(requests_per_second=1, burst=1)))
    client.token = "user-1+reservation:ops"
    assert {(await client.get("/actuator/info")).status for _ in range(5)} == {200}
    client.token = "user-1+reservation:admin"
    assert {(await client.get(ORDER)).status for _ in range(5)} == {404}


async def test_refusals_are_counted_by_their_reason_and_take_no_latency() -> None:
    metrics = Metrics()
    guards = room_for(2, RateLimitConfig(requests_per_second=1, burst=1), reserved=0.5)
    guards.show_in(metrics)
    client = client_of(guards, metrics=metrics)
    await client.get(ORDER)
    await a_turn()
    await client.get(ORDER)  # 429
    guards.gate.enter()
    await a_turn()
    for path in (ORDER, ORDER, ORDER):
        await client.get(path)
    guards.gate.enter()
    await a_turn()
    await client.post(CONFIRM, PAY)

    def shed(reason: str) -> float:
        reading = metrics.reading("RequestsShed", ("reason", reason))
        assert reading is not None
        return reading.measurements[0].value

    seen = {reason: shed(reason) for reason in ("overload", "overload_urgent", "rate_limit")}
    assert seen == {"overload": 3, "overload_urgent": 1, "rate_limit": 1}
    limit, latency = metrics.reading("ConcurrencyLimit"), metrics.reading("APILatency")
    assert limit is not None
    assert limit.measurements[0].value == 2
    assert latency is not None
    assert latency.measurements[0].value == 2  # those that were let in
    assert metrics.errors.value == 4
