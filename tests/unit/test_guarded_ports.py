"""Payments, store, read model and event bus behind breaker and bulkhead: what is judged, and how."""

import asyncio
from asyncio import create_task
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

import pytest
from tests.support.examples import START
from tests.support.guards import SLOTS, WAIT_SECONDS, Admitting

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.event_bus import GuardedEventBus
from reservation_api.adapters.resilience.payments import GuardedPaymentVerifier
from reservation_api.adapters.resilience.settings import BreakerState
from reservation_api.adapters.resilience.store import GuardedReadModel, GuardedStore
from reservation_api.domain.errors import (
    EventBusUnavailableError,
    PaymentRefusedError,
    PaymentUnavailableError,
    StoreUnavailableError,
    UnavailableError,
)
from reservation_api.domain.values import RecordKey
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.ports.read_model import InvalidCursorError, ReadModel
from reservation_api.ports.request_context import RequestContext, Trace
from reservation_api.ports.store import ReservationStore

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A guard of a port, and how that port says that nobody knows."""

    port: type
    guard: Callable[[Any, Admission], Any]
    unavailable: type[UnavailableError]
    answer: Exception | None = None
    """What it raises as an answer, if there is such a thing."""


PAYMENTS = Guarded(
    PaymentVerifier, GuardedPaymentVerifier, PaymentUnavailableError, PaymentRefusedError("not paid")
)
STORE = Guarded(ReservationStore, GuardedStore, StoreUnavailableError)
READ_MODEL = Guarded(ReadModel, GuardedReadModel, StoreUnavailableError, InvalidCursorError())
BUS = Guarded(EventBus, GuardedEventBus, EventBusUnavailableError)
CALLS: dict[str, tuple[Guarded, tuple[Any, ...]]] = {
    "verify": (PAYMENTS, ("claim",)),
    "transact": (STORE, (["write"],)),
    "get_reservation": (STORE, ("rsv_1",)),
    "get_order": (STORE, ("ord_1",)),
    "find_record": (STORE, ("key", START)),
    "due_holds": (STORE, (START, 7)),
    "purge_records": (STORE, (START, 7)),
    "reservations_of_user": (READ_MODEL, ("alice", "HOLD", 7, "cursor")),
    "orders_of_user": (READ_MODEL, ("alice", 7, "cursor")),
    "orders_of_event": (READ_MODEL, ("evt_1", 7, "cursor")),
    "publish": (BUS, (["event"],)),
}
each_call = pytest.mark.parametrize("name", CALLS)
each_guard = pytest.mark.parametrize(
    "guarded", [PAYMENTS, STORE, READ_MODEL, BUS], ids=lambda it: it.port.__name__
)


class Scene(Admitting):
    """One of the calls, made again and again."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.guarded, self.given = CALLS[name]
        self.error = self.guarded.unavailable("no answer")
        self._call = getattr(self.guarded.guard(self.peer, self.admission), name)

    async def ask(self) -> object:
        return await self._call(*self.given)

    async def fail_until_open(self) -> None:
        await self.open_up(self.ask, self.error)


@each_guard
def test_every_method_of_a_port_is_guarded_and_tested(guarded: Guarded) -> None:
    methods = {name for name, method in vars(guarded.port).items() if iscoroutinefunction(method)}
    assert methods == {name for name, (of, _) in CALLS.items() if of is guarded}


@each_call
async def test_a_call_is_passed_on_as_it_is_and_its_answer_counts(name: str) -> None:
    scene = Scene(name)
    assert await scene.ask() == (None if scene.guarded is PAYMENTS else name)
    assert (scene.script.calls, scene.script.arguments) == ([name], [scene.given])
    assert (scene.judged, scene.free_slots) == ((1, 0), SLOTS)


async def raised_by(ask: Callable[[], Awaitable[object]], error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await ask()
    assert caught.value is error


@each_call
async def test_an_unknown_outcome_is_a_failure(name: str) -> None:
    scene = Scene(name)
    scene.script.error = scene.error
    await raised_by(scene.ask, scene.error)
    assert (scene.judged, scene.free_slots) == ((1, 1), SLOTS)


@pytest.mark.parametrize("name", [name for name, (guarded, _) in CALLS.items() if guarded.answer is not None])
async def test_a_refusal_is_an_answer(name: str) -> None:
    scene = Scene(name)
    assert scene.guarded.answer is not None
    scene.script.error = scene.guarded.answer
    await raised_by(scene.ask, scene.guarded.answer)
    assert (scene.judged, scene.free_slots) == ((1, 0), SLOTS)


@each_call
@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("a fault of our own")], ids=repr)
async def test_what_says_nothing_gives_its_permit_back(name: str, error: BaseException) -> None:
    scene = Scene(name)
    await scene.fail_until_open()
    scene.clock.advance(WAIT_SECONDS)
    scene.script.error = error
    await raised_by(scene.ask, error)
    scene.script.error = None
    await scene.ask()  # the one trial call is still to be had
    assert (scene.state, scene.free_slots) == (BreakerState.CLOSED, SLOTS)


@each_call
async def test_an_open_breaker_refuses_before_anybody_is_asked(name: str) -> None:
    scene = Scene(name)
    await scene.fail_until_open()
    scene.clock.advance(10)
    with pytest.raises(scene.guarded.unavailable, match="is OPEN") as caught:
        await scene.ask()
    assert caught.value.data == {"retry_after_seconds": WAIT_SECONDS - 10}
    assert scene.script.calls == []


@each_call
async def test_a_full_bulkhead_refuses_at_once(name: str) -> None:
    scene = Scene(name)
    under_way = [await scene.admission.acquire() for _ in range(SLOTS)]
    with pytest.raises(scene.guarded.unavailable, match="2 calls are under way") as caught:
        await scene.ask()
    assert caught.value.data["retry_after_seconds"] > 0
    assert scene.script.calls == []
    for admitted in under_way:
        admitted.release()
    await scene.ask()


@each_call
async def test_whom_a_caller_without_time_still_asks(name: str) -> None:
    """A payment can be asked for later; what is half done must be written, and events must go out."""
    scene = Scene(name)
    with RequestContext(TRACE, 0.0):
        if scene.guarded is PAYMENTS:
            with pytest.raises(PaymentUnavailableError, match="time is over"):
                await scene.ask()
            assert (scene.script.calls, scene.judged) == ([], (0, 0))
        else:
            assert await scene.ask() == name
            scene.script.error = scene.error
            await raised_by(scene.ask, scene.error)
            assert scene.judged == (2, 1)


async def test_an_admission_to_the_store_is_one_permit_and_no_call_in_it_is_refused() -> None:
    scene = Scene("transact")
    store = GuardedStore(scene.peer, scene.admission)
    await scene.fail_until_open()
    with pytest.raises(StoreUnavailableError, match="is OPEN") as caught:
        async with store.admission():
            pytest.fail("seats would be taken now")
    assert caught.value.data == {"retry_after_seconds": WAIT_SECONDS}
    scene.clock.advance(WAIT_SECONDS)
    for _ in range(3):
        async with store.admission():
            pass  # takes nothing away: the one trial call is still to be had
    async with store.admission():
        with pytest.raises(StoreUnavailableError, match="is HALF_OPEN"):
            await create_task(scene.ask(), context=Context())
        assert scene.free_slots == SLOTS - 1
        await store.find_record(RecordKey("key"), START)
        scene.breaker.force_open()
        await store.transact([])
        await store.transact([])
    assert (scene.free_slots, scene.script.calls) == (SLOTS, ["find_record", "transact", "transact"])
