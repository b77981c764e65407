"""What every guarded port does: ask for a permit, make the call, and say what came of it."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from reservation_api.adapters.resilience.admission import Admission, Admitted
from reservation_api.adapters.resilience.errors import DeadlinePassedError, NotTriedError
from reservation_api.adapters.resilience.guarded_call import Verdict, call_with
from reservation_api.adapters.resilience.ticket import Ticket, in_hand
from reservation_api.adapters.resilience.time_limiter import RETRY_AFTER_SECONDS
from reservation_api.domain.errors import RefusedError, UnavailableError

T = TypeVar("T")
Call = Coroutine[Any, Any, T]
"""What a guarded port's method returns: the guard's own coroutine, and none of its own around it."""


def no_deadline() -> None:
    """Say that a call is made whether its caller still waits or not: what is half done must be written."""


class Guard:
    """An admission whose refusals are the domain's, and a judge of what calls raise.

    A call fails for the breaker if its outcome is unknown, which is what `unavailable` means. A refusal is
    an answer. A cancelled call, or one that met a fault of our own, says nothing and gives its permit back;
    so does one that its caller had too little time for, or impatient callers would open the breaker.
    """

    def __init__(
        self,
        admission: Admission,
        unavailable: type[UnavailableError],
        *,
        answers: tuple[type[Exception], ...] = (RefusedError,),
        seconds_left: Callable[[], float | None] = no_deadline,
    ) -> None:
        """Take what the port raises when nobody knows, what when it answers, and the deadline to keep to."""
        self._admission = admission
        self._unavailable = unavailable
        self._answers = answers
        self._seconds_left = seconds_left
        self._monotonic = admission.breaker.monotonic

    async def admit(self) -> Admitted:
        """Return the right to one call; raises `unavailable` with `retry_after_seconds`."""
        name, left = self._admission.breaker.name, self._seconds_left()
        try:
            if left is not None and left <= 0:
                raise DeadlinePassedError(name, "the caller's time is over", RETRY_AFTER_SECONDS)
            return await self._admission.acquire(left)
        except NotTriedError as error:
            raise self._not_asked(error) from error

    def admission(self) -> Ticket:
        """Hold the right to one call; entering raises `unavailable` with `retry_after_seconds`."""
        return Ticket(self)

    @property
    def is_admitted(self) -> bool:
        """Tell whether this task holds such a right."""
        return in_hand(self) is not None

    def call(self, make: Callable[[], Awaitable[T]]) -> Call[T]:
        """Make one call, on the permit of the admission that this task is in if there is one."""
        permit = in_hand(self)
        if permit is None:
            return self._call_admitted(make)
        return call_with(permit, make, self._judge, self._monotonic)

    async def _call_admitted(self, make: Callable[[], Awaitable[T]]) -> T:
        return await call_with(await self.admit(), make, self._judge, self._monotonic)

    def _judge(self, error: Exception) -> Verdict:
        if isinstance(error, self._unavailable):
            left = self._seconds_left()
            return Verdict.FAILURE if left is None or left > 0 else Verdict.IGNORED
        return Verdict.SUCCESS if isinstance(error, self._answers) else Verdict.IGNORED

    def _not_asked(self, error: NotTriedError) -> UnavailableError:
        return self._unavailable(f"{error}; it was not asked", retry_after_seconds=error.retry_after_seconds)
