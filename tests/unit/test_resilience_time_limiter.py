"""The time limiter: nobody waits longer than the limit or the caller, and nothing goes on afterwards."""

import asyncio

import pytest
from tests.unit.test_resilience_virtual_time import after, in_virtual_time, now, waiting_timers

from reservation_api.adapters.resilience.errors import DeadlinePassedError, TimeLimitExceededError
from reservation_api.adapters.resilience.settings import TimeLimiterSettings
from reservation_api.adapters.resilience.time_limiter import Deadline, TimeLimiter


def make_limiter(seconds: float = 0.25) -> TimeLimiter:
    return TimeLimiter("inventory", TimeLimiterSettings(timeout_duration_seconds=seconds), now)


def test_a_call_in_time_returns_what_it_returns() -> None:
    async def main() -> int:
        async def call() -> int:
            await after(0.24)
            return 7

        return await make_limiter().call(call)

    assert in_virtual_time(main) == 7


def test_a_call_that_takes_too_long_is_cancelled_and_has_ended_when_its_caller_is_told() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def call() -> None:
            try:
                await after(1000)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        began = now()
        with pytest.raises(TimeLimitExceededError) as caught:
            await make_limiter().call(call)
        assert seen == ["cancelled"]
        assert now() - began == pytest.approx(0.25)
        assert caught.value.limit_seconds == 0.25
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_virtual_time(main)


@pytest.mark.parametrize(("left", "taken"), [(0.1, 0.1), (0.25, 0.25), (5.0, 0.25)])
def test_the_earlier_of_limit_and_deadline_counts(left: float, taken: float) -> None:
    async def main() -> float:
        began = now()
        with pytest.raises(TimeLimitExceededError):
            await make_limiter().call(lambda: after(1000), Deadline(began + left))
        return now() - began

    assert in_virtual_time(main) == pytest.approx(taken)


@pytest.mark.parametrize("left", [0.0, -3.0])
def test_without_time_left_nothing_is_tried(left: float) -> None:
    async def main() -> None:
        tried: list[int] = []

        async def call() -> None:
            tried.append(1)

        with pytest.raises(DeadlinePassedError) as caught:
            await make_limiter().call(call, Deadline(now() + left))
        assert caught.value.retry_after_seconds > 0
        assert tried == []

    in_virtual_time(main)


def test_a_timeout_of_the_call_itself_goes_through_as_it_is() -> None:
    async def main() -> None:
        async def call() -> None:
            raise TimeoutError("the socket's own")

        with pytest.raises(TimeoutError, match="the socket's own"):
            await make_limiter().call(call)

    in_virtual_time(main)


def test_other_errors_go_through() -> None:
    async def main() -> None:
        async def call() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await make_limiter().call(call)

    in_virtual_time(main)


def test_a_caller_that_is_cancelled_is_cancelled_and_not_told_of_a_time_limit() -> None:
    async def main() -> None:
        task = asyncio.create_task(make_limiter().call(lambda: after(1000)))
        await after(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    in_virtual_time(main)


def test_nothing_is_left_behind_that_could_cancel_the_caller_later() -> None:
    async def main() -> None:
        await make_limiter().call(lambda: after(0.2))
        assert waiting_timers() == 0
        with pytest.raises(TimeLimitExceededError):
            await make_limiter().call(lambda: after(1))
        await after(100)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0

    in_virtual_time(main)


def test_a_limit_inside_a_limit_tells_whose_time_was_up() -> None:
    async def main() -> None:
        inner = make_limiter(10)
        with pytest.raises(TimeLimitExceededError) as caught:
            await make_limiter(1).call(lambda: inner.call(lambda: after(1000)))
        assert caught.value.limit_seconds == 1

    in_virtual_time(main)


def test_a_deadline_that_is_passed_on_never_grows() -> None:
    deadline = Deadline(100.0)
    assert deadline.not_after(90.0) == Deadline(90.0)
    assert deadline.not_after(110.0) == deadline
    assert deadline.seconds_left(97.5) == 2.5


def test_the_time_for_a_call_is_known_beforehand() -> None:
    async def main() -> None:
        limiter = make_limiter()
        assert limiter.seconds_for(None) == 0.25
        assert limiter.seconds_for(Deadline(now() + 0.125)) == 0.125
        assert limiter.seconds_for(Deadline(now() - 1)) == -1

    in_virtual_time(main)
