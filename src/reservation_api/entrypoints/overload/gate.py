"""The gate through which requests come in, or are turned away before anything is done for them.

The event loop is a queue itself: a request that has arrived waits there, unseen, for its first turn. A turn
is from one look at what is ready to the next; how long one takes is how long what arrives now will wait.

    sockets are read, each request let in or not      a b c           d e
    what is ready has its turn                              a b c d-1       d e
    turns                                             |───────────────|──────────   measured from the first
    present                                           3               3+2-done      arrival; who has come in
                                                                                    it is present to its end

The last line is what makes the limit hold for requests that never wait for anything, too: they are done in
the turn in which they begin, and were waiting in the loop for as long as the turn before took.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

from reservation_api.config.tree import OverloadConfig
from reservation_api.entrypoints.overload.limit import AdaptiveLimit

WINDOW_SECONDS: Final = 0.1
"""Long enough for an average, short beside the 120 ms that a request may take."""
MIN_ARRIVALS: Final = 10
"""Fewer in a window say nothing: it goes on."""
TURNS_OF_A_REQUEST: Final = 4
"""A read waits for two or three turns of the loop, a hold on AWS for eight or ten."""

Seconds = Callable[[], float]


def nowhere_else() -> float:
    """Tell that requests wait for nothing but the event loop."""
    return 0.0


def call_soon(callback: Callable[[], None]) -> object:
    """Have the running event loop call back among what is ready when all that can be read now has been."""
    return asyncio.get_running_loop().call_soon(callback)


class Gate:
    """Counts who is in; for one event loop.

    `waited` tells how many seconds all requests so far have waited for the store's queues, together.
    """

    def __init__(
        self,
        settings: OverloadConfig,
        waited: Seconds = nowhere_else,
        clock: Seconds = perf_counter,
        after_reading: Callable[[Callable[[], None]], object] = call_soon,
    ) -> None:
        self.shed = 0
        self.shed_urgent = 0
        self._limit = AdaptiveLimit(settings)
        self._waited = waited
        self._clock = clock
        self._after_reading = after_reading
        self._under_way = 0
        self._present = 0
        self._arrived = 0
        self._is_turning = False
        self._has_read = False
        """In this turn: another arrival is one of the next."""
        self._turn_began = 0.0
        self._arrived_before_turn = 0
        self._loop_waits = 0.0
        self._most_present = 0
        self._arrived_before_window = 0
        self._set_places()
        self._begin_window()

    @property
    def limit(self) -> int:
        """How many requests may be in at once now."""
        return self._places

    @property
    def shed_so_far(self) -> int:
        """How many were turned away, urgent or not."""
        return self.shed + self.shed_urgent

    def admit(self, *, urgent: bool) -> bool:
        """Tell whether there is room for a request that has just come; it is present until the turn ends."""
        if self.is_full(urgent=urgent):
            self.turn_away(urgent=urgent)
            return False
        self._arrive()
        self._present += 1
        return True

    def is_full(self, *, urgent: bool = False) -> bool:
        """Tell whether one that comes now would be turned away."""
        is_of_this_turn = self._is_turning and not self._has_read
        present = self._present if is_of_this_turn else self._under_way
        return present >= (self._places if urgent else self._open_places)

    def turn_away(self, *, urgent: bool) -> None:
        """Count one for whom there is no room."""
        self._arrive()
        if urgent:
            self.shed_urgent += 1
        else:
            self.shed += 1

    def _arrive(self) -> None:
        if self._has_read:
            self._end_turn()
        if not self._is_turning:
            self._begin_turn()
        self._arrived += 1

    def enter(self) -> None:
        """Count a request that was admitted, and is known to be somebody's, until it leaves.

        Strangers do not count beyond their turn: while keys are fetched they could keep others out.
        """
        self._under_way += 1

    def leave(self) -> None:
        """Count it no more."""
        self._under_way -= 1

    def _begin_turn(self) -> None:
        self._is_turning = True
        self._present = self._under_way
        self._arrived_before_turn = self._arrived
        self._turn_began = self._clock()
        self._after_reading(self._note_reading)

    def _note_reading(self) -> None:
        self._has_read = True
        self._after_reading(self._end_turn)  # if by then nothing has come that would have

    def _end_turn(self) -> None:
        if not self._has_read:
            return
        now = self._clock()
        self._is_turning = self._has_read = False
        self._loop_waits += (self._arrived - self._arrived_before_turn) * (now - self._turn_began)
        self._most_present = max(self._most_present, self._present)
        arrived = self._arrived - self._arrived_before_window
        if now >= self._window_ends_at and arrived >= MIN_ARRIVALS:
            self._limit.observe(self._mean_wait(arrived), self._most_present)
            self._set_places()
            self._begin_window()

    def _mean_wait(self, arrived: int) -> float:
        """Return how long a request waited, on average, in the window that ends."""
        admitted = arrived - (self.shed_so_far - self._shed_before_window)
        left = admitted + self._under_way_before_window - self._under_way
        elsewhere = (self._waited() - self._waited_before_window) / max(admitted, left, 1)
        return TURNS_OF_A_REQUEST * self._loop_waits / arrived + elsewhere

    def _set_places(self) -> None:
        self._places = self._limit.value
        self._open_places = max(1, int(self._places * (1 - self._limit.settings.reserved_share)))

    def _begin_window(self) -> None:
        self._window_ends_at = self._clock() + WINDOW_SECONDS
        self._loop_waits = 0.0
        self._most_present = 0
        self._arrived_before_window = self._arrived
        self._under_way_before_window = self._under_way
        self._shed_before_window = self.shed_so_far
        self._waited_before_window = self._waited()
