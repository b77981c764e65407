"""One workload, once: what it cost the server, and how long its clients waited."""

import asyncio
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import msgspec

from bench.cpu import CpuTime, Pins, core_time, tree_cpu
from bench.load import AnswerHook
from bench.tally import LoadResult
from bench.workloads import Name, Pace, Session, expected_answers, is_good

SETTLE_SECONDS = 0.5
"""The relay's fast path is done by then: what an answer leaves behind is part of its price."""
MICROSECONDS = 1_000_000.0
RESULTS = Path(__file__).parent / "results"


class Times(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float
    p999: float
    max: float


class Reading(msgspec.Struct, frozen=True):
    """A workload that was run once, as it is kept."""

    name: str
    rate: float
    """Requests a second that were due."""
    planned: int
    answered: int
    good: int
    """Answered with 2xx."""
    expected: int
    """Answered with what the workload is about: what is shed is no work done."""
    is_valid: bool
    """Whether nearly all answers were what the workload is about."""
    statuses: dict[str, int]
    seconds: float
    user: float
    """CPU microseconds an expected answer, in user space; what refusals cost is part of it."""
    system: float
    latency: Times
    """From the intended start."""
    accepted: Times
    """The same of good answers alone."""
    lag_p99: float
    """How late the generator was, in milliseconds."""
    others: float
    """Share of the server's core that other processes used."""
    stolen: float
    """Share of it that the host gave to other guests."""
    generator: float
    """Share of the generator's core that was busy: canned endpoints are on it, too."""

    @property
    def microseconds(self) -> float:
        """Return CPU microseconds an expected answer."""
        return self.user + self.system

    @property
    def done(self) -> float:
        """Return expected answers a second."""
        return self.expected / self.seconds if self.seconds else 0.0

    @property
    def goodput(self) -> float:
        """Return good answers a second."""
        return self.good / self.seconds if self.seconds else 0.0


async def measure(
    session: Session, name: Name, pace: Pace, pins: Pins, hook: AnswerHook | None = None
) -> Reading:
    """Run a workload and read what it has cost the server, which is alone on its core."""
    began, before = time.monotonic(), _cpu(session.server.pids)
    cores_before = [core_time(core) for core in (pins.server, pins.generator)]
    load = await session.run(name, pace, hook)
    generating = time.monotonic() - began
    generator = core_time(pins.generator).busy - cores_before[1].busy
    await asyncio.sleep(min(SETTLE_SECONDS, pace.seconds / 2))
    used, seconds = _cpu(session.server.pids) - before, time.monotonic() - began
    core = core_time(pins.server)
    others = max(0.0, core.busy - cores_before[0].busy - used.total)
    shares = (others / seconds, (core.stolen - cores_before[0].stolen) / seconds, generator / generating)
    return reading(name, pace, load, used, shares)


def reading(
    name: Name, pace: Pace, load: LoadResult, used: CpuTime, shares: tuple[float, float, float]
) -> Reading:
    """Put together what is kept of a run."""
    expected = expected_answers(name, load)
    each = MICROSECONDS / max(1, expected)
    return Reading(
        name=name,
        rate=pace.rate_per_second,
        planned=load.planned,
        answered=load.answered,
        good=load.good,
        expected=expected,
        is_valid=is_good(name, load),
        statuses={str(status): count for status, count in load.statuses.items()},
        seconds=load.seconds,
        user=used.user * each,
        system=used.system * each,
        latency=Times(**asdict(load.latency)),
        accepted=Times(**asdict(load.accepted)),
        lag_p99=load.lag.p99,
        others=shares[0],
        stolen=shares[1],
        generator=shares[2],
    )


def _cpu(pids: Iterable[int]) -> CpuTime:
    return sum((tree_cpu(pid) for pid in pids), CpuTime(0.0, 0.0))


class Cost(msgspec.Struct, frozen=True):
    """CPU microseconds a request: the median of rounds, and the lowest and the highest."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> "Cost":
        """Sum up rounds of one workload."""
        figures = [one.microseconds for one in readings]
        return cls(statistics.median(figures), min(figures), max(figures))
