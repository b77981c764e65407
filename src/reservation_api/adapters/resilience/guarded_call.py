"""One call with a permit in hand: made, timed, and recorded as what it was."""

import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeVar, assert_never

T = TypeVar("T")


class Verdict(Enum):
    """What an exception says of the dependency."""

    FAILURE = "failure"
    SUCCESS = "success"
    """It answered: the seats are taken, the payment is refused."""
    IGNORED = "ignored"
    """Nothing: the call was never made, or the fault is ours."""


Judge = Callable[[Exception], Verdict]


def every_exception_is_a_failure(error: Exception) -> Verdict:
    """Judge as Resilience4j does when it is not told otherwise."""
    del error
    return Verdict.FAILURE


class Settleable(Protocol):
    """A breaker's permit, or one with a bulkhead's slot."""

    def success(self, duration_seconds: float) -> None:
        """Say that the dependency answered."""

    def failure(self, duration_seconds: float, error: BaseException | None = None) -> None:
        """Say that it failed."""

    def release(self) -> None:
        """Say nothing, or nothing more."""


async def call_with(
    permit: Settleable,
    fn: Callable[[], Awaitable[T]],
    judge: Judge = every_exception_is_a_failure,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """Make one call and settle its permit; `judge` says what an exception means, cancelled means nothing."""
    started = monotonic()
    try:
        result = await fn()
        permit.success(monotonic() - started)
    except Exception as error:
        duration = monotonic() - started
        match judge(error):
            case Verdict.FAILURE:
                permit.failure(duration, error)
            case Verdict.SUCCESS:
                permit.success(duration)
            case Verdict.IGNORED:
                pass
            case unknown:
                assert_never(unknown)
        raise
    finally:
        permit.release()
    return result
