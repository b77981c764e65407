"""An inventory behind breaker and bulkhead: who asks for a permit, what is judged, what stays undone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.clock import FakeClock
from tests.support.guards import SLOTS, WAIT_SECONDS, Admitting
from tests.support.process import EVENT, Process
from tests.support.runtimes import Ports, sqlite_on_disk
from tests.support.venues import HOLD, return_of, sale, venue, wanted

from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.settings import BreakerState, BulkheadSettings
from reservation_api.domain.errors import InventoryUnavailableError, NotFoundError, SeatsTakenError
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import EventId
from reservation_api.entrypoints.http.problems import problem_response
from reservation_api.ports.inventory import HoldEndedError, Inventory
from reservation_api.ports.request_context import RequestContext, Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736")
NOW = FakeClock().now()
REQUEST = wanted("r1", "A-1-1", NOW + HOLD)
ASKED: dict[str, Callable[[Inventory], Awaitable[Any]]] = {
    "reserve": lambda inventory: inventory.reserve(REQUEST),
    "availability": lambda inventory: inventory.availability(EventId("evt_1")),
    "status": lambda inventory: inventory.status(EventId("evt_1")),
}
UNASKED: dict[str, Callable[[Inventory], Awaitable[Any]]] = {
    "commit": lambda inventory: inventory.commit(sale("r1", "A-1-1")),
    "release": lambda inventory: inventory.release(return_of("r1", "A-1-1")),
}


class Guarded(Admitting):
    """A guard and all that it is made of."""

    def __init__(self, inventory: Inventory | None = None, bulkhead: BulkheadSettings | None = None) -> None:
        super().__init__(inventory, bulkhead)
        self.inventory = GuardedInventory(self.peer, self.admission)

    async def fail_until_open(self) -> None:
        await self.open_up(lambda: self.inventory.reserve(REQUEST), InventoryUnavailableError("no answer"))


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(
    ("error", "judged"),
    [
        (None, (1, 0)),
        (SeatsTakenError("taken"), (1, 0)),
        (NotFoundError("none"), (1, 0)),
        (HoldEndedError("over"), (1, 0)),
        (InventoryUnavailableError("no answer"), (1, 1)),
        (asyncio.CancelledError(), (0, 0)),
        (KeyError("a fault of our own"), (0, 0)),
    ],
    ids=repr,
)
async def test_an_unknown_outcome_is_a_failure_a_refusal_is_none_and_the_rest_says_nothing(
    guarded: Guarded,
    ask: Callable[[Inventory], Awaitable[Any]],
    error: BaseException | None,
    judged: tuple[int, int],
) -> None:
    guarded.script.error = error
    if error is None:
        assert await ask(guarded.inventory) == guarded.script.calls[0]
    else:
        with pytest.raises(type(error)) as caught:
            await ask(guarded.inventory)
        assert caught.value is error
    assert guarded.judged == judged
    assert guarded.free_slots == SLOTS


@pytest.mark.parametrize("error", [None, InventoryUnavailableError("x"), SeatsTakenError("x")], ids=repr)
async def test_a_call_is_slow_by_the_clock_however_it_ends(guarded: Guarded, error: Exception | None) -> None:
    guarded.script.error, guarded.script.takes_seconds = error, 2.0
    try:
        await guarded.inventory.reserve(REQUEST)
    except (InventoryUnavailableError, SeatsTakenError):
        assert error is not None
    assert guarded.breaker.metrics().slow_calls == 1


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_an_open_breaker_refuses_before_the_inventory_is_asked(
    guarded: Guarded, ask: Callable[[Inventory], Awaitable[Any]]
) -> None:
    await guarded.fail_until_open()
    guarded.clock.advance(10)
    with pytest.raises(InventoryUnavailableError, match="is OPEN") as caught:
        await ask(guarded.inventory)
    assert caught.value.data == {"retry_after_seconds": WAIT_SECONDS - 10}
    assert guarded.script.calls == []


@pytest.mark.parametrize("make", UNASKED.values(), ids=UNASKED)
async def test_recovery_and_releases_go_straight_through_and_are_not_judged(
    guarded: Guarded, make: Callable[[Inventory], Awaitable[Any]]
) -> None:
    await guarded.fail_until_open()
    assert await make(guarded.inventory) in UNASKED
    guarded.script.error = InventoryUnavailableError("no answer")
    before = guarded.judged
    with pytest.raises(InventoryUnavailableError):
        await make(guarded.inventory)
    assert guarded.judged == before


async def test_a_full_bulkhead_refuses_at_once(guarded: Guarded) -> None:
    under_way = [await guarded.admission.acquire() for _ in range(SLOTS)]
    for refused in (guarded.inventory.reserve(REQUEST), guarded.inventory.admission().__aenter__()):
        with pytest.raises(InventoryUnavailableError, match="2 calls are under way") as caught:
            await refused
        assert caught.value.data["retry_after_seconds"] > 0
    assert guarded.script.calls == []
    for admitted in under_way:
        admitted.release()
    assert guarded.free_slots == SLOTS


@pytest.mark.parametrize("ask", [ASKED["reserve"], UNASKED["commit"]], ids=["reserve", "commit"])
async def test_an_admission_is_one_permit_which_the_call_uses_and_is_judged_by(
    guarded: Guarded, ask: Callable[[Inventory], Awaitable[Any]]
) -> None:
    async with guarded.inventory.admission():
        assert guarded.free_slots == SLOTS - 1
        await ask(guarded.inventory)
        assert guarded.judged == (1, 0)
        assert guarded.free_slots == SLOTS
    assert guarded.judged == (1, 0)

    guarded.script.error = InventoryUnavailableError("no answer")
    with pytest.raises(InventoryUnavailableError):
        async with guarded.inventory.admission():
            await ask(guarded.inventory)
    assert guarded.judged == (2, 1)
    assert guarded.free_slots == SLOTS


async def test_an_admission_that_is_not_used_is_given_back(guarded: Guarded) -> None:
    async with guarded.inventory.admission():
        pass
    with pytest.raises(KeyError):
        async with guarded.inventory.admission():
            raise KeyError("the fence was refused")
    assert guarded.judged == (0, 0)
    assert guarded.free_slots == SLOTS


async def test_an_admission_is_good_for_one_commit_and_a_second_is_not_judged(guarded: Guarded) -> None:
    async with guarded.inventory.admission():
        await guarded.inventory.commit(sale("r1", "A-1-1"))
        await guarded.inventory.commit(sale("r1", "A-1-1"))
    assert guarded.judged == (1, 0)
    assert guarded.free_slots == SLOTS


async def test_after_an_admission_within_another_the_outer_one_is_used(guarded: Guarded) -> None:
    async with guarded.inventory.admission():
        async with guarded.inventory.admission():
            await guarded.inventory.commit(sale("r1", "A-1-1"))
        await guarded.inventory.commit(sale("r2", "A-1-2"))
        assert guarded.judged == (2, 0)
    assert guarded.free_slots == SLOTS


async def test_an_admission_is_its_own_tasks_and_its_own_guards(guarded: Guarded) -> None:
    other = Guarded()
    started, go_on = asyncio.Event(), asyncio.Event()

    async def elsewhere() -> None:
        started.set()
        await go_on.wait()
        await guarded.inventory.commit(sale("r2", "A-1-2"))

    task = asyncio.create_task(elsewhere())
    await started.wait()
    async with guarded.inventory.admission():
        go_on.set()
        await task
        await other.inventory.commit(sale("r1", "A-1-1"))
        assert (guarded.judged, other.judged) == ((0, 0), (0, 0))
        await guarded.inventory.commit(sale("r1", "A-1-1"))
        assert guarded.judged == (1, 0)


async def test_a_task_that_outlives_the_admission_it_was_begun_in_has_none(guarded: Guarded) -> None:
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await guarded.inventory.commit(sale("r1", "A-1-1"))

    async with guarded.inventory.admission():
        task = asyncio.create_task(later())
    go_on.set()
    await task
    assert guarded.judged == (0, 0)
    assert guarded.free_slots == SLOTS


async def test_a_cancelled_commit_gives_its_permit_back(guarded: Guarded) -> None:
    await guarded.fail_until_open()
    guarded.clock.advance(WAIT_SECONDS)
    guarded.script.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        async with guarded.inventory.admission():
            await guarded.inventory.commit(sale("r1", "A-1-1"))
    guarded.script.error = None
    await guarded.inventory.reserve(REQUEST)  # the one trial call is still to be had
    assert guarded.state is BreakerState.CLOSED


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_without_time_left_the_inventory_is_not_asked_and_the_trial_call_is_still_to_be_had(
    guarded: Guarded, ask: Callable[[Inventory], Awaitable[Any]]
) -> None:
    await guarded.fail_until_open()
    guarded.clock.advance(WAIT_SECONDS)
    with RequestContext(TRACE, 0.0):
        with pytest.raises(InventoryUnavailableError, match="time is over") as caught:
            await ask(guarded.inventory)
        with pytest.raises(InventoryUnavailableError, match="time is over"):
            async with guarded.inventory.admission():
                pytest.fail("a confirm would be written now")
    assert caught.value.data["retry_after_seconds"] > 0
    assert (guarded.script.calls, guarded.free_slots) == ([], SLOTS)
    await ask(guarded.inventory)
    assert guarded.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("seconds", "error", "judged"),
    [
        (0.0, InventoryUnavailableError("cut off"), (0, 0)),
        (60.0, InventoryUnavailableError("no answer"), (1, 1)),
        (None, InventoryUnavailableError("no answer"), (1, 1)),
        (0.0, SeatsTakenError("taken"), (1, 0)),
    ],
)
async def test_a_call_that_its_caller_cut_short_says_nothing_of_the_inventory(
    guarded: Guarded, seconds: float | None, error: Exception, judged: tuple[int, int]
) -> None:
    guarded.script.error = error
    async with guarded.inventory.admission():
        with RequestContext(TRACE, seconds), pytest.raises(type(error)):  # the time ran out after admission
            await guarded.inventory.commit(sale("r1", "A-1-1"))
    assert guarded.judged == judged
    assert guarded.free_slots == SLOTS


async def test_nobody_waits_for_a_slot_longer_than_their_caller_waits() -> None:
    patient = BulkheadSettings(max_concurrent_calls=1, max_wait_duration_seconds=60.0)
    guarded = Guarded(bulkhead=patient)
    await guarded.admission.acquire()
    async with asyncio.timeout(20):
        with RequestContext(TRACE, 0.01), pytest.raises(InventoryUnavailableError, match="under way"):
            await guarded.inventory.reserve(REQUEST)
    assert guarded.judged == (0, 0)


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(FakeClock())
        await ports.load_event(venue({"A": ["...."]}, EVENT))
        yield ports


async def test_an_open_breaker_leaves_the_world_as_it_was(ports: Ports) -> None:
    clock = FakeClock()
    guarded = Guarded(ports.inventory)
    process = Process(replace(ports, inventory=guarded.inventory), clock)
    held = (await process.hold("alice", "k1", ["A-1-1"])).reservation
    assert held is not None
    await guarded.fail_until_open()
    before = ports.look(), await ports.inventory.status(EVENT)

    for attempt in (
        process.hold("bob", "k2", ["A-1-2"]),
        process.confirm("alice", "k3", held.reservation_id, "pi_1"),
        process.extend("alice", "k4", held.reservation_id, 10),
    ):
        with pytest.raises(InventoryUnavailableError) as caught:
            await attempt
        assert caught.value.data["retry_after_seconds"] == WAIT_SECONDS
    assert (ports.look(), await ports.inventory.status(EVENT)) == before
    assert guarded.script.calls == []


async def test_what_was_refused_works_under_the_same_keys_when_the_breaker_has_closed(ports: Ports) -> None:
    guarded = Guarded(ports.inventory)
    process = Process(replace(ports, inventory=guarded.inventory), FakeClock())
    await guarded.fail_until_open()
    with pytest.raises(InventoryUnavailableError):
        await process.hold("alice", "k1", ["A-1-1"])
    guarded.clock.advance(WAIT_SECONDS)
    held = (await process.hold("alice", "k1", ["A-1-1"])).reservation
    assert guarded.state is BreakerState.CLOSED
    assert held is not None
    confirmed = (await process.confirm("alice", "k2", held.reservation_id, "pi_1")).reservation
    assert confirmed is not None
    assert confirmed.status is Status.CONFIRMED


async def test_a_confirm_that_is_half_done_is_finished_by_the_worker_while_the_breaker_is_open(
    ports: Ports,
) -> None:
    clock = FakeClock()
    guarded = Guarded(ports.inventory)
    process = Process(replace(ports, inventory=guarded.inventory), clock)
    held = (await process.hold("alice", "k1", ["A-1-1"])).reservation
    assert held is not None
    guarded.script.error = InventoryUnavailableError("no answer")
    with pytest.raises(InventoryUnavailableError):
        await process.confirm("alice", "k2", held.reservation_id, "pi_1")
    await guarded.fail_until_open()
    with pytest.raises(InventoryUnavailableError):
        await process.confirm("alice", "k2", held.reservation_id, "pi_1")

    clock.advance(10)
    await process.run_workers()
    assert guarded.state is BreakerState.OPEN
    assert [order.reservation_id for order in ports.look().orders] == [held.reservation_id]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.001, "1"), (1.0, "1"), (1.2, "2"), (29.7, "30"), (0.0, "1"), (-1.0, "1")]
)
def test_whoever_is_refused_is_told_when_to_come_back_in_whole_seconds(seconds: float, told: str) -> None:
    error = InventoryUnavailableError("not asked", retry_after_seconds=seconds)
    response = problem_response(error, "0" * 32)
    assert (response.status, dict(response.headers)["retry-after"]) == (503, told)
    assert b"retry_after" not in response.body
