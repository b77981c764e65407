"""Two workers on a shared port beside one; how soon a worker is ready, and what memory it takes."""

import statistics
from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import descendants, memory, pinned_to
from bench.fleet import planned_with, predicted_requests_per_second
from bench.measure import Cost, Reading
from bench.quota import Place
from bench.scale import Scale
from bench.sections.common import Bench, Peak, rounds, started
from bench.sections.peers import costs_of
from bench.server import embedded, seconds_to_ready
from bench.targets import Stage
from bench.workloads import CannedBook, Name

ONE, TWO = "one worker", "two workers"
SHARE = 0.8
"""Of a core, for one worker as for two: what a request costs falls with the load of the core."""
STARTS = 5
COMPARED: tuple[Name, ...] = ("hold", "sale")
SINGLE: tuple[Name, ...] = ("hold", "get", "confirm", "cancel")
MIBIBYTES = 2**20


class Workers(msgspec.Struct, frozen=True):
    """One and two workers, and the model's prediction of what two get done."""

    costs: dict[str, dict[str, Cost]]
    rounds: dict[str, list[Reading]]
    single_peaks: dict[str, Peak]
    """Of one worker, by what is asked."""
    peak: Peak
    """Of the sale mix, by two workers."""
    ready_seconds: dict[str, list[float]]
    """From the start of the process until it says that it is ready, by runtime."""
    resident: list[float]
    """MiB of each of the two workers, pages shared with others included."""
    proportional: list[float]
    """The same, shared pages divided among those who share them."""

    def ratio(self, name: str) -> float:
        """Return how many times a request to one worker one to two costs."""
        return self.costs[TWO][name].median / self.costs[ONE][name].median

    @property
    def predicted(self) -> float:
        """Return what the scale model says that two workers get done of the sale mix, a second."""
        question = planned_with({name: one.microseconds for name, one in self.single_peaks.items()})
        return predicted_requests_per_second(question, processes=1) * self.peak.share

    @property
    def error(self) -> float:
        """Return how far off the prediction is, as a share of the measured figure."""
        return self.predicted / self.peak.goodput - 1


def run(stage: Stage, scale: Scale) -> Workers:
    """Measure both in turns, then two workers alone."""
    ready = _ready(stage, scale)
    with ExitStack() as stack:
        book = CannedBook(len(stage.identity.tokens))
        benches = {
            name: stack.enter_context(started(stage, scale, stage.on_aws(workers=count), book, SHARE))
            for name, count in ((ONE, 1), (TWO, 2))
        }
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(benches, ready))


def _ready(stage: Stage, scale: Scale) -> dict[str, list[float]]:
    place, launches = Place(stage.pins.server), {"AWS": stage.on_aws(), "embedded": embedded(stage.identity)}
    starts = range(max(2, min(STARTS, scale.repeats * 2)))
    return {name: [seconds_to_ready(place, launch) for _ in starts] for name, launch in launches.items()}


async def _measure(benches: dict[str, Bench], ready: dict[str, list[float]]) -> Workers:
    for bench in benches.values():
        await bench.warm()
    # As many requests a second for two as for one, on as much of the core: nothing but the sharing differs.
    benches[TWO].guesses = benches[ONE].guesses
    taken = await rounds(benches, COMPARED)
    costs = {name: costs_of(readings) for name, readings in taken.items()}
    singles: dict[str, Peak] = {name: await benches[ONE].saturate(name) for name in SINGLE}
    peak = await benches[TWO].saturate("sale")
    workers = descendants(benches[TWO].session.server.pid)[1:]
    sizes = [memory(pid) for pid in workers]
    resident, proportional = ([size[part] / MIBIBYTES for size in sizes] for part in (0, 1))
    return Workers(costs, taken, singles, peak, ready, resident, proportional)


def median_ready(workers: Workers) -> dict[str, float]:
    """Return the median start by runtime, in seconds."""
    return {name: statistics.median(seconds) for name, seconds in workers.ready_seconds.items()}
