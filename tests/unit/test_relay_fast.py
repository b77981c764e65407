"""The relay's fast path: right after the commit, in the process that made the row."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.support.clock import FakeClock
from tests.support.examples import outbox_entry
from tests.support.runtimes import Ports, sqlite_on_disk

from reservation_api.application.deliver import Deliver
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.outbox_entries import FAST_PATH_SECONDS, ReleasePayload, release_entry
from reservation_api.application.recover import Recover
from reservation_api.application.relay import (
    BATCH_SIZE,
    GATHER_SECONDS,
    MAX_WAITING_ROWS,
    FastRelay,
    Relay,
    RetryPolicy,
)
from reservation_api.domain.errors import EventBusUnavailableError, StoreUnavailableError
from reservation_api.domain.values import EventId, OutboxId, ReservationId
from reservation_api.ports.event_bus import EventBus, OutgoingEvent
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxType
from reservation_api.ports.store import AddOutboxEntry

CREATED: Final = OutboxType.RESERVATION_CREATED
LONGEST_WAIT_SECONDS: Final = 10
"""For what happens in no time, or never."""


class Gate:
    """A bus that takes events when it is open, and refuses some of them."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.opened = asyncio.Event()
        self.opened.set()
        self.arrived: asyncio.Queue[None] = asyncio.Queue()
        self.error: BaseException | None = None
        self.refused: set[str] = set()
        self.ids: list[str] = []

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
        self.arrived.put_nowait(None)
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        self.ids += [event.id for event in events]
        await self._bus.publish([event for event in events if event.id not in self.refused])
        return ["refused" if event.id in self.refused else None for event in events]


class ForgetfulOutbox:
    """Fails to delete as long as it is told to."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def remove(self, outbox_ids: Sequence[OutboxId]) -> None:
        if self.fails:
            raise StoreUnavailableError("the disk is full")
        await self._outbox.remove(outbox_ids)


class Rig:
    """Both paths over one outbox and one bus."""

    def __init__(self, ports: Ports, clock: FakeClock) -> None:
        self.ports = ports
        self.clock = clock
        self.bus = Gate(ports.bus)
        self.outbox = ForgetfulOutbox(ports.outbox)
        finish = FinishConfirm(ports.store, ports.inventory, clock, lambda _: None)
        self.deliver = Deliver(self.bus, ports.inventory, Recover(ports.store, finish))
        self.fast = FastRelay(self.outbox, self.deliver)
        self.slow = Relay(ports.outbox, self.deliver, clock, RetryPolicy())

    async def commit(self, *names: str) -> list[OutboxEntry]:
        entries = [outbox_entry(name) for name in names]
        assert await self.ports.store.transact([AddOutboxEntry(entry) for entry in entries]) is None
        return entries

    def left(self) -> list[str]:
        return sorted(entry.outbox_id for entry in self.ports.look().outbox)

    def published(self) -> list[str]:
        return sorted(event.id for event in self.ports.look().published)

    async def slow_path(self) -> int:
        self.clock.advance(FAST_PATH_SECONDS)
        return await self.slow.run_once(CREATED)

    def running(self) -> AbstractAsyncContextManager["asyncio.Task[None]"]:
        return run(self.fast)


@asynccontextmanager
async def run(fast: FastRelay) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(fast.run_forever())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    clock = FakeClock()
    async with sqlite_on_disk(tmp_path) as open_process:
        yield Rig(open_process(clock), clock)


async def test_what_is_offered_is_carried_out_and_deleted_at_once(rig: Rig) -> None:
    async with rig.running():
        rig.fast.offer(await rig.commit("a", "b"))
        await rig.fast.flush()
    assert (rig.published(), rig.left()) == (["a.1", "b.1"], [])
    assert rig.fast.left_to_slow_path == 0
    assert await rig.slow_path() == 0


async def test_more_than_a_batch_is_carried_out_in_order(rig: Rig) -> None:
    names = [f"r{n:03}" for n in range(BATCH_SIZE + 7)]
    async with rig.running():
        rig.fast.offer(await rig.commit(*names))
        await rig.fast.flush()
    assert rig.bus.ids == [f"{name}.1" for name in names]
    assert rig.left() == []


async def test_what_was_offered_before_it_ran_is_carried_out_too(rig: Rig) -> None:
    rig.fast.offer(await rig.commit("a"))
    async with rig.running():
        await rig.fast.flush()
    assert rig.published() == ["a.1"]


async def test_flush_waits_until_all_that_was_offered_was_tried(rig: Rig) -> None:
    rig.bus.opened.clear()
    async with rig.running():
        rig.fast.offer(await rig.commit("a"))
        await rig.bus.arrived.get()
        rig.fast.offer(await rig.commit("b"))
        flushed = asyncio.create_task(rig.fast.flush())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not flushed.done()
        rig.bus.opened.set()
        await flushed
        assert rig.published() == ["a.1", "b.1"]


async def test_a_run_that_was_cut_off_keeps_no_later_flush_waiting(rig: Rig) -> None:
    rig.bus.opened.clear()
    async with rig.running():
        rig.fast.offer(await rig.commit("a"))
        await rig.bus.arrived.get()
    rig.bus.opened.set()
    async with rig.running(), asyncio.timeout(LONGEST_WAIT_SECONDS):
        await rig.fast.flush()
    assert (rig.published(), rig.left()) == ([], ["a.1"])
    assert await rig.slow_path() == 1


async def test_what_comes_while_a_batch_is_on_its_way_waits_for_company_too(rig: Rig) -> None:
    waits: asyncio.Queue[float] = asyncio.Queue()
    over = asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        waits.put_nowait(seconds)
        await over.acquire()

    fast = FastRelay(rig.outbox, rig.deliver, pause)
    async with run(fast), asyncio.timeout(LONGEST_WAIT_SECONDS):
        rig.bus.opened.clear()
        fast.offer(await rig.commit("a"))
        over.release()
        await rig.bus.arrived.get()
        assert waits.get_nowait() == GATHER_SECONDS
        fast.offer(await rig.commit("b"))
        rig.bus.opened.set()
        assert await waits.get() == GATHER_SECONDS
        fast.offer(await rig.commit("c"))
        over.release()
        await rig.bus.arrived.get()
        await fast.flush()
        assert (rig.bus.ids, rig.bus.arrived.qsize()) == (["a.1", "b.1", "c.1"], 0)


async def test_a_full_batch_waits_for_nobody(rig: Rig) -> None:
    async def pause(seconds: float) -> None:
        raise AssertionError(f"waited {seconds} s")

    fast = FastRelay(rig.outbox, rig.deliver, pause)
    fast.offer(await rig.commit(*(f"r{n:03}" for n in range(BATCH_SIZE))))
    async with run(fast), asyncio.timeout(LONGEST_WAIT_SECONDS):
        await fast.flush()
    assert rig.left() == []


async def test_flush_does_not_wait_for_nothing(rig: Rig) -> None:
    await rig.fast.flush()
    async with rig.running():
        rig.fast.offer(await rig.commit("a"))
        await rig.fast.flush()
        await rig.fast.flush()
    assert rig.left() == []


async def test_rows_beyond_the_bound_are_left_to_the_slow_path(rig: Rig) -> None:
    (late,) = await rig.commit("late")
    rig.fast.offer([outbox_entry("waiting")] * (MAX_WAITING_ROWS - 1))
    rig.fast.offer([late, late])
    assert rig.fast.left_to_slow_path == 2
    rig.fast.offer([outbox_entry("last that fits")])
    assert rig.fast.left_to_slow_path == 2
    rig.fast.offer([late])
    assert rig.fast.left_to_slow_path == 3
    assert rig.left() == ["late.1"]
    assert await rig.slow_path() == 1
    assert (rig.published(), rig.left()) == (["late.1"], [])


async def test_what_the_bus_refuses_is_left_to_the_slow_path_as_it_is(rig: Rig) -> None:
    good, bad = await rig.commit("good", "bad")
    rig.bus.refused.add("bad.1")
    async with rig.running():
        rig.fast.offer([good, bad])
        await rig.fast.flush()
    assert rig.fast.left_to_slow_path == 1
    assert rig.ports.look().outbox == [bad]
    rig.bus.refused.clear()
    assert await rig.slow_path() == 1


async def test_an_outage_leaves_the_rows_and_ends_nothing(rig: Rig) -> None:
    rig.bus.error = EventBusUnavailableError("throttled")
    async with rig.running() as task:
        entries = await rig.commit("a", "b")
        rig.fast.offer(entries)
        await rig.fast.flush()
        assert rig.ports.look().outbox == entries
        assert rig.fast.left_to_slow_path == 2
        rig.bus.error = None
        rig.fast.offer(await rig.commit("c"))
        await rig.fast.flush()
        assert not task.done()
    assert (rig.published(), rig.left()) == (["c.1"], ["a.1", "b.1"])
    assert await rig.slow_path() == 2


async def test_a_client_that_cancels_its_own_calls_ends_no_lane(rig: Rig) -> None:
    rig.bus.error = asyncio.CancelledError()
    async with rig.running() as task, asyncio.timeout(LONGEST_WAIT_SECONDS):
        rig.fast.offer(await rig.commit("a"))
        await rig.fast.flush()
        rig.bus.error = None
        rig.fast.offer(await rig.commit("b"))
        await rig.fast.flush()
        assert not task.done()
    assert (rig.published(), rig.left(), rig.fast.left_to_slow_path) == (["b.1"], ["a.1"], 1)


async def test_a_row_that_could_not_be_deleted_is_repeated_and_harms_nobody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.outbox.fails = True
    async with rig.running() as task:
        rig.fast.offer(await rig.commit("a"))
        await rig.fast.flush()
        assert rig.left() == ["a.1"]
        rig.outbox.fails = False
        rig.fast.offer(await rig.commit("b"))
        await rig.fast.flush()
        assert not task.done()
    assert "left a batch to the slow path" in caplog.text
    assert await rig.slow_path() == 1
    assert (rig.bus.ids, rig.published(), rig.left()) == (["a.1", "b.1", "a.1"], ["a.1", "b.1"], [])


async def test_what_a_stopped_fast_path_had_in_hand_is_done_by_the_slow_path(rig: Rig) -> None:
    rig.bus.opened.clear()
    async with rig.running():
        rig.fast.offer(await rig.commit("a", "b"))
        await rig.bus.arrived.get()
    rig.bus.opened.set()
    assert rig.left() == ["a.1", "b.1"]
    assert await rig.slow_path() == 2


async def test_both_paths_at_once_publish_nothing_that_consumers_can_not_tell_apart(rig: Rig) -> None:
    rig.bus.opened.clear()
    async with rig.running():
        rig.fast.offer(await rig.commit("a"))
        await rig.bus.arrived.get()
        slow = asyncio.create_task(rig.slow_path())
        await rig.bus.arrived.get()
        rig.bus.opened.set()
        await rig.fast.flush()
        assert await slow == 1
    assert (rig.bus.ids, rig.published(), rig.left()) == (["a.1", "a.1"], ["a.1"], [])


async def test_a_bus_that_can_not_count_does_not_end_the_fast_path(rig: Rig) -> None:
    class Miscounting:
        async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
            return [None for _ in events[1:]]

    finish = FinishConfirm(rig.ports.store, rig.ports.inventory, rig.clock, lambda _: None)
    deliver = Deliver(Miscounting(), rig.ports.inventory, Recover(rig.ports.store, finish))
    fast = FastRelay(rig.outbox, deliver)
    task = asyncio.create_task(fast.run_forever())
    fast.offer(await rig.commit("a"))
    flushed = asyncio.create_task(fast.flush())
    await asyncio.wait({task, flushed}, return_when=asyncio.FIRST_COMPLETED)
    was_flushed = flushed.done()
    task.cancel()
    flushed.cancel()
    await asyncio.gather(task, flushed, return_exceptions=True)
    assert was_flushed


async def test_an_inventory_that_does_not_answer_holds_up_no_event(rig: Rig) -> None:
    asked = asyncio.Event()

    class Silent:
        async def release(self, _request: object) -> None:
            asked.set()
            await asyncio.Event().wait()

    finish = FinishConfirm(rig.ports.store, rig.ports.inventory, rig.clock, lambda _: None)
    deliver = Deliver(rig.bus, cast("Inventory", Silent()), Recover(rig.ports.store, finish))
    fast = FastRelay(rig.outbox, deliver)
    task = asyncio.create_task(fast.run_forever())
    fast.offer(
        [release_entry(ReservationId("rsv_x"), ReleasePayload(EventId("e"), (), "x"), "t", rig.clock.now())]
    )
    await asked.wait()
    fast.offer(await rig.commit("a"))
    await asyncio.wait_for(rig.bus.arrived.get(), LONGEST_WAIT_SECONDS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rig.bus.ids == ["a.1"]
