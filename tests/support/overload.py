"""A server with one event loop, in computed time: what it serves, and how late, follows from its costs alone.

reading   what has come is read, and requests are let in or not
ready     what has its turn next; all of it is done before anything new is read
a request takes `turns` turns of the loop, and between them waits for others
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from reservation_api.config.tree import OverloadConfig, RateLimitConfig
from reservation_api.entrypoints.overload.gate import Gate
from reservation_api.entrypoints.overload.guards import OverloadGuards, open_guards
from reservation_api.entrypoints.overload.rate_limit import RateLimit

CPU_SECONDS = 0.001
"""Of a request: 1,000 a second are what the server can do."""
CAPACITY = 1 / CPU_SECONDS
SHED_SECONDS = CPU_SECONDS / 20
TURNS = 4

PATIENCE_SECONDS = 60.0
ROOM_FOR_ALL = 10_000

Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request: when it comes, and what it needs."""

    at: float
    urgent: bool = False
    dependency_seconds: float = 0.005
    """Between its first turn and its second."""
    store_seconds: float = 0.0
    """Of a store that does one thing at a time, at the end."""


@dataclass
class SimulatedServer:
    """Serves arrivals; all times are seconds since its start."""

    settings: OverloadConfig = field(default_factory=OverloadConfig)
    now: float = 0.0
    served: list[tuple[Arrival, float]] = field(default_factory=list)
    """Each with its latency."""
    shed: list[Arrival] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    """At each arrival."""

    def __post_init__(self) -> None:
        self._ready: deque[Step] = deque()
        self._timers: list[tuple[float, int, Step]] = []
        self._numbers = count()
        self._store_free_at = 0.0
        self._waited_for_store = 0.0
        self.gate = Gate(self.settings, lambda: self._waited_for_store, lambda: self.now, self._ready.append)

    def run(self, arrivals: Iterable[Arrival]) -> None:
        """Serve them all."""
        for arrival in arrivals:
            self._later(arrival.at, lambda arrival=arrival: self._arrive(arrival))  # type: ignore[misc]
        while self._ready or self._timers:
            if not self._ready:
                self.now = max(self.now, self._timers[0][0])
            read = []
            while self._timers and self._timers[0][0] <= self.now:
                read.append(heapq.heappop(self._timers)[2])
            for step in read:
                step()
            for _ in range(len(self._ready)):
                self._ready.popleft()()

    def stall(self, at: float, seconds: float) -> None:
        """Do nothing at all for a while."""

        def stand_still() -> None:
            self.now += seconds

        self._later(at, stand_still)

    def latencies(self, after: float = 0.0) -> list[float]:
        """Return those of requests that came after an instant, in order of size."""
        return sorted(latency for arrival, latency in self.served if arrival.at >= after)

    def limit_between(self, begin: float, end: float) -> float:
        """Return the mean limit of a time."""
        limits = [limit for at, limit in self.limits if begin <= at < end]
        return sum(limits) / len(limits)

    def _later(self, at: float, step: Step) -> None:
        heapq.heappush(self._timers, (at, next(self._numbers), step))

    def _arrive(self, arrival: Arrival) -> None:
        self.limits.append((self.now, self.gate.limit))
        if not self.gate.admit(urgent=arrival.urgent):
            self.now += SHED_SECONDS
            self.shed.append(arrival)
            return
        self._ready.append(lambda: self._begin(arrival))

    def _begin(self, arrival: Arrival) -> None:
        self.gate.enter()
        self._turn(arrival, TURNS)

    def _turn(self, arrival: Arrival, left: int) -> None:
        self.now += CPU_SECONDS / TURNS
        if left == 1:
            self._store(arrival)
        elif left == TURNS:
            answered_at = self.now + arrival.dependency_seconds
            self._later(answered_at, lambda: self._ready.append(lambda: self._turn(arrival, left - 1)))
        else:
            self._ready.append(lambda: self._turn(arrival, left - 1))

    def _store(self, arrival: Arrival) -> None:
        if not arrival.store_seconds:
            self._finish(arrival, 0.0)
            return
        waits = max(0.0, self._store_free_at - self.now)
        self._store_free_at = self.now + waits + arrival.store_seconds
        self._later(self._store_free_at, lambda: self._finish(arrival, waits))

    def _finish(self, arrival: Arrival, waited: float) -> None:
        self._waited_for_store += waited
        self.gate.leave()
        self.served.append((arrival, self.now - arrival.at))


def steady(rate: float, begin: float, end: float, like: Arrival | None = None) -> Iterator[Arrival]:
    """Make arrivals at equal distances."""
    like = like or Arrival(0)
    for number in range(round((end - begin) * rate)):
        yield Arrival(begin + number / rate, like.urgent, like.dependency_seconds, like.store_seconds)


def room_for(requests: int, rates: RateLimitConfig | None = None, reserved: float = 0.0) -> OverloadGuards:
    """Make the guards of a process that takes so many requests at once, neither more nor less.

    No time passes for its rates: who has asked too often stays so on the slowest machine.
    """
    gate = Gate(OverloadConfig(PATIENCE_SECONDS, requests, requests, reserved))
    return OverloadGuards(gate, RateLimit(rates or RateLimitConfig(), clock=lambda: 0.0))


def unhurried() -> OverloadGuards:
    """Make guards that take a busy machine for no overload, and nobody for too eager: for other tests."""
    settings = OverloadConfig(PATIENCE_SECONDS, ROOM_FOR_ALL, ROOM_FOR_ALL)
    return open_guards(settings, RateLimitConfig(requests_per_second=0))


def full(reserved: float = 0.0) -> OverloadGuards:
    """Make those of a process in which there is no room for anybody."""
    guards = room_for(1, reserved=reserved)
    guards.gate.enter()
    return guards


def p95(ordered: list[float]) -> float:
    return ordered[int(len(ordered) * 0.95)]
