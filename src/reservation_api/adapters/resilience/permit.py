"""The right to make one call, and the duty to say what became of it."""

from typing import Final, Protocol

NO_ERA: Final = -1
"""The era of a permit whose word does not count, or no longer: no breaker is ever in it."""


class PermitIssuer(Protocol):
    """Whom a permit reports to."""

    def settle(self, era: int, duration_seconds: float, *, failed: bool, error: BaseException | None) -> None:
        """Record what became of a call."""

    def give_back(self, era: int) -> None:
        """Take back a permit that was not used, or whose use says nothing."""


class Permit:
    """Given for one call; only the first word counts, so `release()` may stand in a `finally`."""

    __slots__ = ("_era", "_issuer")

    def __init__(self, issuer: PermitIssuer, era: int) -> None:
        self._issuer = issuer
        self._era = era

    def success(self, duration_seconds: float) -> None:
        """Say that the dependency answered, be it with a refusal; a long answer counts as slow."""
        era, self._era = self._era, NO_ERA
        self._issuer.settle(era, duration_seconds, failed=False, error=None)

    def failure(self, duration_seconds: float, error: BaseException | None = None) -> None:
        """Say that the dependency failed; `error` is for the listeners."""
        era, self._era = self._era, NO_ERA
        self._issuer.settle(era, duration_seconds, failed=True, error=error)

    def release(self) -> None:
        """Give it back and record nothing: the call was cancelled, not made, or says nothing."""
        era, self._era = self._era, NO_ERA
        self._issuer.give_back(era)
