"""What is left of a sale when twice as much is asked as can be done."""

from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.measure import Reading
from bench.scale import Scale
from bench.sections.common import Bench, Peak, started
from bench.targets import Stage
from bench.workloads import CannedBook

FACTORS = (1.0, 1.5, 2.0)
"""Of saturation."""
CONNECTIONS = 800
"""So many clients wait at once: with a few, the queue would be the generator's, and the server idle."""


class Load(msgspec.Struct, frozen=True):
    """What was asked, as a multiple of saturation, and what came of it."""

    factor: float
    reading: Reading
    """Of several rounds the one in the middle, by goodput."""


class Overload(msgspec.Struct, frozen=True):
    """The sale mix on AWS at and beyond its peak."""

    peak: Peak
    loads: list[Load]

    @property
    def best(self) -> float:
        """Return the highest goodput of all that was measured."""
        return max(self.peak.goodput, *(load.reading.goodput for load in self.loads))

    @property
    def worst_case(self) -> Reading:
        """Return what was measured at the highest load."""
        return max(self.loads, key=lambda load: load.factor).reading

    @property
    def kept(self) -> float:
        """Return goodput at the highest load as a share of the peak."""
        return self.worst_case.goodput / self.best


def run(stage: Stage, scale: Scale) -> Overload:
    """Saturate, then go on; the loads take turns, so that others on the machine disturb them alike."""
    with ExitStack() as stack:
        book = CannedBook(len(stage.identity.tokens))
        bench = stack.enter_context(started(stage, scale, stage.on_aws(), book))
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(bench))


async def _measure(bench: Bench) -> Overload:
    await bench.warm()
    peak = await bench.saturate("sale")
    taken: dict[float, list[Reading]] = {factor: [] for factor in FACTORS}
    for _ in range(bench.scale.repeats):
        for factor, readings in taken.items():
            rate = factor * peak.goodput
            readings.append(await bench.read("sale", rate, bench.scale.step_seconds, CONNECTIONS))
    return Overload(peak, [Load(factor, _middle(readings)) for factor, readings in taken.items()])


def _middle(readings: list[Reading]) -> Reading:
    return sorted(readings, key=lambda one: one.goodput)[len(readings) // 2]
