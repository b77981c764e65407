import asyncio

import pytest

from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.entrypoints.workers.loops import (
    BACKOFF_CAP_SECONDS,
    Work,
    backoff_seconds,
    keep_running,
    pause_until,
    run_loop,
)


class Script:
    """Work whose batches are given: how many got done, or what was raised; it then asks to stop."""

    def __init__(self, *batches: int | BaseException) -> None:
        self.batches = list(batches)
        self.pauses: list[float] = []
        self.stopping = asyncio.Event()

    async def run_once(self) -> int:
        batch = self.batches.pop(0)
        if not self.batches:
            self.stopping.set()
        if isinstance(batch, BaseException):
            raise batch
        return batch

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def play(self) -> list[float]:
        await run_loop(Work("test", self.run_once, 100, 0.5), self.stopping, self.pause)
        return self.pauses


async def test_a_loop_pauses_when_there_is_little_to_do() -> None:
    assert await Script(0, 3, 0).play() == [0.5, 0.5, 0.5]


async def test_a_loop_goes_on_at_once_while_batches_are_full() -> None:
    assert await Script(100, 100, 100, 7).play() == [0.5]


async def test_half_a_batch_is_reason_enough_to_go_on() -> None:
    assert await Script(50, 49).play() == [0.5]


async def test_no_error_ends_a_loop() -> None:
    script = Script(RuntimeError("bug"), StoreUnavailableError("outage"), asyncio.CancelledError(), 1)
    assert len(await script.play()) == 4
    assert script.batches == []


async def test_a_failing_loop_waits_longer_each_time_and_never_beyond_the_cap() -> None:
    pauses = await Script(*[RuntimeError("bug")] * 40).play()

    assert 0 < pauses[0] <= 0.1
    assert all(0 < pause <= BACKOFF_CAP_SECONDS for pause in pauses)
    assert all(pause >= BACKOFF_CAP_SECONDS / 2 for pause in pauses[10:])
    assert len(set(pauses[10:])) > 1, "workers that fail together must not try again together"


async def test_after_a_success_the_backoff_begins_anew() -> None:
    pauses = await Script(*[RuntimeError("bug")] * 10, 0, RuntimeError("bug"), 0).play()
    assert pauses[9] > 1
    assert pauses[11] <= 0.1


async def test_a_stop_lets_the_batch_under_way_finish() -> None:
    stopping, begun, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    finished = []

    async def run_once() -> int:
        begun.set()
        await may_end.wait()
        finished.append("batch")
        return 100

    loop = asyncio.create_task(run_loop(Work("test", run_once, 100, 1), stopping, pause_until(stopping)))
    await begun.wait()
    stopping.set()
    may_end.set()
    await loop
    assert finished == ["batch"]


async def test_a_loop_ends_when_it_is_cancelled_itself() -> None:
    stopping = asyncio.Event()

    async def run_once() -> int:
        await asyncio.Event().wait()
        return 0

    loop = asyncio.create_task(run_loop(Work("test", run_once, 100, 1), stopping, pause_until(stopping)))
    await asyncio.sleep(0)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_a_stop_cuts_a_pause_short() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_soon(stopping.set)
    await asyncio.wait_for(pause_until(stopping)(3600), timeout=5)


async def test_a_pause_ends_by_itself() -> None:
    await asyncio.wait_for(pause_until(asyncio.Event())(0.001), timeout=5)


async def test_errors_are_logged_outages_in_a_line_and_bugs_with_their_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await Script(StoreUnavailableError("disk is full"), RuntimeError("bug"), 0).play()

    outage, bug = caplog.records
    assert (outage.levelname, outage.getMessage(), outage.exc_info) == (
        "WARNING",
        "test waits: disk is full",
        None,
    )
    assert (bug.levelname, bug.getMessage()) == ("ERROR", "test failed")
    assert bug.exc_info is not None


async def test_what_should_never_end_is_started_again() -> None:
    script = Script(RuntimeError("bug"), asyncio.CancelledError(), 0, StoreUnavailableError("outage"))

    async def run() -> None:
        if script.batches:
            await script.run_once()
        else:
            await asyncio.Event().wait()

    runner = asyncio.create_task(keep_running("relay", run, script.pause))
    await asyncio.wait_for(script.stopping.wait(), timeout=5)
    runner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runner
    assert len(script.pauses) >= 3


async def test_what_runs_ends_with_being_cancelled() -> None:
    async def run() -> None:
        await asyncio.Event().wait()

    runner = asyncio.create_task(keep_running("relay", run, asyncio.sleep))
    await asyncio.sleep(0)
    runner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runner


def test_the_backoff_is_bounded_however_long_it_fails() -> None:
    assert backoff_seconds(10**9) <= BACKOFF_CAP_SECONDS
