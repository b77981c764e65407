"""Find the most that a server gets done: offer more and more until it does not keep up."""

from collections.abc import Awaitable, Callable

KEPT_UP = 0.95
"""Below this share of what was offered, the server was the bound."""
STEP = 1.3
DISTURBED = 0.6
"""Below this share it was hardly the server that could not: it gets another chance."""
MAX_TRIES = 10

Offer = Callable[[float], Awaitable[float]]
"""Offers so many requests a second, and returns how many were answered well in each second."""


class NeverSaturatedError(Exception):
    """The server kept up with all that the generator could offer."""


async def find_saturation(offer: Offer, first_guess: float) -> float:
    """Return the highest rate of good answers; raises NeverSaturatedError.

    The first offer is above the guess. A server that sheds load is past its peak at a higher one, so the best
    of all offers counts, not the last.
    """
    best, rate = 0.0, first_guess * STEP
    for _ in range(MAX_TRIES):
        got = await offer(rate)
        if got < DISTURBED * rate:
            got = max(got, await offer(rate))
        best = max(best, got)
        if got < KEPT_UP * rate:
            return best
        rate *= STEP
    raise NeverSaturatedError(f"{best:.0f} requests a second were answered, and it was not enough")


def first_guess(share_of_core: float, microseconds: float) -> float:
    """Return how many requests a second a share of a core makes at this price each."""
    return share_of_core * 1_000_000 / microseconds
