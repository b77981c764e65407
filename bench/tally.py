"""What a load run counts, and what it comes to."""

import math
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

MILLISECONDS = 1000.0
GOOD = range(200, 300)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Nearest-rank percentiles in milliseconds; all zero when nothing was measured."""

    p50: float
    p95: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, seconds: "array[float]") -> "Percentiles":
        """Sort once and pick the ranks."""
        if not seconds:
            return cls(0.0, 0.0, 0.0, 0.0, 0.0)
        ordered = sorted(seconds)
        ranks = (math.ceil(len(ordered) * share) - 1 for share in (0.5, 0.95, 0.99, 0.999, 1.0))
        return cls(*(round(ordered[rank] * MILLISECONDS, 3) for rank in ranks))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A finished run. `planned` = `answered` + `lost` + `unfinished`."""

    planned: int
    answered: int
    lost: int
    """Requests whose connection ended before their answer; they are not sent again."""
    unfinished: int
    """Requests without an answer when the drain ended, those never sent among them."""
    malformed: int
    """Connections given up for bytes that are not a response; a request on one is also `lost`."""
    reconnects: int
    connect_failures: int
    backlog_peak: int
    """The most requests that were due and waited for a free connection."""
    seconds: float
    """From the first intended start to the last answer."""
    statuses: Mapping[int, int]
    latency: Percentiles
    """From the intended start. Unfinished requests count with the time they had waited by then."""
    accepted: Percentiles
    """As `latency`, of those alone that were answered with 2xx: what a shopper who got in has waited."""
    service: Percentiles
    """From the moment of sending: what a closed loop would have measured."""
    lag: Percentiles
    """How late the generator itself was. When this is large, the generator was the bottleneck."""

    @property
    def answers_per_second(self) -> float:
        """Return the rate that came through."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def good(self) -> int:
        """Return how many were answered with 2xx."""
        return sum(count for status, count in self.statuses.items() if status in GOOD)

    @property
    def goodput(self) -> float:
        """Return the rate of those."""
        return self.good / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Tally:
    """The counters of a run while it goes on; instants are those of `time.perf_counter`."""

    planned: int
    lost: int = 0
    unfinished: int = 0
    malformed: int = 0
    reconnects: int = 0
    connect_failures: int = 0
    backlog_peak: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    accepted: "array[float]" = field(default_factory=lambda: array("d"))
    services: "array[float]" = field(default_factory=lambda: array("d"))
    lags: "array[float]" = field(default_factory=lambda: array("d"))
    started_at: float = 0.0
    last_answer_at: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether every planned request has come to its end."""
        return len(self.services) + self.lost >= self.planned

    def answer(self, status: int, due: float, sent_at: float) -> None:
        """Count an answer that is complete now."""
        now = time.perf_counter()
        self.latencies.append(now - due)
        self.services.append(now - sent_at)
        self.statuses[status] += 1
        if status in GOOD:
            self.accepted.append(now - due)
        self.last_answer_at = now

    def give_up(self, due: float) -> None:
        """Count a request that has no answer by now."""
        self.unfinished += 1
        self.latencies.append(max(0.0, time.perf_counter() - due))

    def result(self) -> LoadResult:
        """Sum up."""
        return LoadResult(
            planned=self.planned,
            answered=len(self.services),
            lost=self.lost,
            unfinished=self.unfinished,
            malformed=self.malformed,
            reconnects=self.reconnects,
            connect_failures=self.connect_failures,
            backlog_peak=self.backlog_peak,
            seconds=max(0.0, self.last_answer_at - self.started_at),
            statuses=dict(sorted(self.statuses.items())),
            latency=Percentiles.of(self.latencies),
            accepted=Percentiles.of(self.accepted),
            service=Percentiles.of(self.services),
            lag=Percentiles.of(self.lags),
        )
