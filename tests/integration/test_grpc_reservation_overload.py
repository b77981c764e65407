"""The door of gRPC is that of HTTP: the same gate, the same buckets, told in a reply's `error`."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.test_grpc_reservation_refusals import GOOD, TRACE, TRACEPARENT
from tests.support.api import answering
from tests.support.grpc_reservations import (
    ON_A_FREE_PORT,
    TRUSTED,
    Served,
    faults,
    named,
    request_of,
    serving,
    until,
)
from tests.support.overload import full, room_for
from tests.support.shops import is_serving

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.errors import WrongStateError
from reservation_api.entrypoints.http.shedding import RETRY_AFTERS
from reservation_api.entrypoints.overload.guards import OverloadGuards
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.spans import Tracer

URGENT = {"ConfirmReservation", "CancelReservation"}
ONCE = RateLimitConfig(requests_per_second=1, burst=1)


def guarded(folder: Path, guards: OverloadGuards, **more: Any) -> AbstractAsyncContextManager[Served]:
    return serving(folder, replace(ON_A_FREE_PORT, guards=guards), **more)


class Unasked:
    """Tokens that nobody may ask about."""

    async def verify(self, _: str) -> Any:
        raise AssertionError("a token was looked at")


@pytest.mark.parametrize("name", GOOD)
async def test_without_room_a_call_is_refused_before_its_token_is_looked_at(
    tmp_path: Path, name: str
) -> None:
    async with guarded(tmp_path, full(), tokens=Unasked()) as running:
        call = running.client().start(name, request_of(name, **GOOD[name]), TRACEPARENT)
        reply = await call
        assert await call.code() is grpc.StatusCode.OK
        assert running.server.in_flight == 0
    assert (named(reply.error), reply.error.trace_id) == ("UNAVAILABLE", TRACE)
    ((field, _, seconds),) = faults(reply.error)
    assert field == "retry_after_seconds"
    assert int(seconds) in RETRY_AFTERS


@pytest.mark.parametrize("name", GOOD)
async def test_confirm_and_cancel_have_room_that_others_can_not_take(tmp_path: Path, name: str) -> None:
    guards = room_for(2, reserved=0.5)
    guards.gate.enter()
    async with guarded(tmp_path, guards, use_cases=answering(WrongStateError("served"))) as running:
        reply = await running.client().ask(name, **GOOD[name])
    assert named(reply.error) == ("FAILED_PRECONDITION" if name in URGENT else "UNAVAILABLE")
    assert (guards.gate.shed, guards.gate.shed_urgent) == ((0, 0) if name in URGENT else (1, 0))


async def test_calls_leave_as_they_came(tmp_path: Path) -> None:
    """The answered, the refused and those of strangers."""
    async with guarded(tmp_path, room_for(1)) as running:
        assert not (await running.client().create("one")).HasField("error")
        assert named((await running.client("forged").create("two")).error) == "UNAUTHENTICATED"
        assert named((await running.client().create("three", quantity=99)).error) == "INVALID_ARGUMENT"
        assert not (await running.client().create("four")).HasField("error")


async def test_a_caller_that_goes_away_keeps_no_place(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def wait(*_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    use_cases: Any = answering(WrongStateError("served"))
    use_cases.hold = wait
    guards = room_for(1)
    async with guarded(tmp_path, guards, use_cases=use_cases) as running:
        name = "CreateReservation"
        call = running.client().start(name, request_of(name, **GOOD[name]))
        await begun.wait()
        assert named((await running.client().create("two")).error) == "UNAVAILABLE"
        call.cancel()
        await until(lambda: running.server.in_flight == 0)
        assert not guards.gate.is_full()


async def test_a_call_that_is_turned_away_leaves_a_span_that_says_so(tmp_path: Path) -> None:
    tracer = Tracer(1.0, SystemClock().now, Counter())
    async with serving(tmp_path, replace(ON_A_FREE_PORT, guards=full(), tracer=tracer)) as running:
        assert named((await running.client().create("one")).error) == "UNAVAILABLE"
    [span] = tracer.take(2)
    assert span.error == "overloaded"


async def test_health_is_told_without_room(tmp_path: Path) -> None:
    async with guarded(tmp_path, full()) as running:
        assert await asyncio.to_thread(is_serving, running.port)  # the server is in this thread


async def test_a_subject_that_asks_too_often_is_told_so(tmp_path: Path) -> None:
    async with guarded(tmp_path, room_for(100, ONCE)) as running:
        assert not (await running.client().create("one")).HasField("error")
        reply = await running.client().create("two")
        assert named(reply.error) == "RATE_LIMITED"
        ((field, _, seconds),) = faults(reply.error)
        assert (field, 0 < float(seconds) <= 1) == ("retry_after_seconds", True)
        assert not (await running.client("user-2").create("three")).HasField("error")


async def test_a_gateways_users_have_a_bucket_each(tmp_path: Path) -> None:
    async with serving(tmp_path, replace(TRUSTED, guards=room_for(100, ONCE))) as running:
        gateway = running.client(None)
        assert not (await gateway.create("one", user_id="alice")).HasField("error")
        assert named((await gateway.create("two", user_id="alice")).error) == "RATE_LIMITED"
        assert not (await gateway.create("three", user_id="bob")).HasField("error")
