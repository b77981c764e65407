"""What several sections do alike: warm a server up, find out what it can do, run rounds in turns."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import click
import msgspec

from bench.cpu import TICKS_PER_SECOND
from bench.measure import MICROSECONDS, Reading, measure
from bench.quota import held_to
from bench.saturation import find_saturation, first_guess
from bench.scale import Scale
from bench.server import Launch, running
from bench.targets import Stage
from bench.workloads import Book, Name, Pace, Session

GREETINGS_PER_SECOND = 600.0
"""To a server with a whole core."""
PROBE_RATES = (60.0, 300.0, 1500.0)
"""Requests a second of a whole core: the first is slow enough for whatever is measured."""
PROBE_SECONDS = 1.5
"""At most."""
PROBE_TICKS = 5
"""The kernel counts CPU in ticks: less than this, and the next rate is tried."""
BUSY = 0.7
"""Of saturation: where CPU a request is measured. A server with little to do wakes up for each packet."""


class Peak(msgspec.Struct, frozen=True):
    """The most that a server got done."""

    goodput: float
    """Good answers a second."""
    microseconds: float
    """CPU of an answer meanwhile."""
    share: float
    """Of a core that it had."""

    @property
    def per_core(self) -> float:
        """Return good answers a second of a whole core."""
        return self.goodput / self.share


@dataclass(slots=True)
class Bench:
    """A server that is warm, its clients, and how much to measure."""

    stage: Stage
    scale: Scale
    session: Session
    share: float
    """Of a core that it may use."""
    guesses: dict[Name, float] = field(default_factory=dict)
    """Requests a second that it should be able to answer."""
    raised: float = 1.0
    """How much more it does than was guessed: a price that is asked at little load is high."""

    async def warm(self) -> None:
        """Ask once for each subject."""
        await self.session.greet(GREETINGS_PER_SECOND * self.share)

    async def read(self, name: Name, rate: float, seconds: float, connections: int = 64) -> Reading:
        """Run a workload once."""
        pace = Pace(rate, seconds, connections)
        taken = await measure(self.session, name, pace, self.stage.pins)
        click.echo(
            f"  {name} at {rate:.0f}/s: {taken.done:.0f}/s done, {taken.microseconds:.0f} us,"
            f" P95 {taken.latency.p95:.1f} ms, generator's core {taken.generator:.0%}",
            err=True,
        )
        return taken

    async def guess(self, name: Name) -> float:
        """Return the rate that this workload's price lets us expect; measured once."""
        if name not in self.guesses:
            idle = first_guess(self.share, await self._probe(name, PROBE_RATES))
            # Twice, for the price falls with the load.
            price = await self._probe(name, (BUSY * idle / self.share,))
            self.guesses[name] = first_guess(self.share, price)
        return self.guesses[name] * self.raised

    async def _probe(self, name: Name, rates: Iterable[float]) -> float:
        """Return CPU microseconds an answer, roughly: at the first of the rates that costs enough to tell."""
        price = math.inf
        for rate in rates:
            seconds = min(PROBE_SECONDS, self.scale.step_seconds)
            probe = await self.read(name, rate * self.share, seconds)
            tick = MICROSECONDS / TICKS_PER_SECOND / max(1, probe.expected)
            price = max(probe.microseconds, tick)
            if price >= PROBE_TICKS * tick:
                break
        return price

    async def saturate(self, name: Name) -> Peak:
        """Find the most of a workload that gets done; raises NeverSaturatedError."""
        readings: list[Reading] = []

        async def offer(rate: float) -> float:
            readings.append(await self.read(name, rate, self.scale.step_seconds / 2))
            return readings[-1].done

        goodput = await find_saturation(offer, await self.guess(name))
        best = max(readings, key=lambda one: one.done)
        self.raised = goodput / self.guesses[name]  # the others cost as many times more or less as before
        return Peak(goodput, best.microseconds, self.share)


async def rounds(
    benches: Mapping[str, Bench], names: Sequence[Name], share_of_peak: float = BUSY
) -> dict[str, list[Reading]]:
    """Measure workloads of several servers in turns, each at the same share of what it can do."""
    taken: dict[str, list[Reading]] = {key: [] for key in benches}
    for bench in benches.values():
        for name in names:
            await bench.guess(name)
    repeats = next(iter(benches.values())).scale.repeats
    for _ in range(repeats):
        for name in names:
            for key, bench in benches.items():
                rate = share_of_peak * await bench.guess(name)
                click.echo(f" {key}", err=True)
                taken[key].append(await bench.read(name, rate, bench.scale.round_seconds))
    return taken


@contextmanager
def started(stage: Stage, scale: Scale, launch: Launch, book: Book, share: float = 1.0) -> Iterator[Bench]:
    """Start a server with its share of a core, for the block.

    Less than a whole core only where the generator would be the bound: a server that is stopped every few
    milliseconds finds cold caches when it goes on, and pays up to half as much again for a request.
    """
    with ExitStack() as stack:
        place = stack.enter_context(held_to(share, stage.pins.server))
        server = stack.enter_context(running(place, launch))
        yield Bench(stage, scale, Session(server, book), place.share)
