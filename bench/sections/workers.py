"""Two workers on a shared port beside one; how soon a worker is ready, and what memory it takes."""

import asyncio
import statistics
from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import descendants, memory, pinned_to
from bench.fleet import planned_with, predicted_requests_per_second
from bench.measure import Cost, Reading
from bench.quota import Place
from bench.scale import Scale
from bench.sections.common import BUSY, Bench, Peak, started
from bench.sections.peers import costs_of
from bench.server import embedded, seconds_to_ready
from bench.targets import Stage
from bench.workloads import CannedBook, Name

ONE, TWO = "one worker", "two workers"
SHARE_OF_ONE_OF_TWO = 0.5
"""Of a core: what each of two workers on it has, and so what the model is told the price of a request at."""
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
    """Measure two workers in turns with two servers of one, then each alone."""
    ready = _ready(stage, scale)
    with ExitStack() as stack:
        book = CannedBook(len(stage.identity.tokens))
        one, neighbour, two = (
            stack.enter_context(started(stage, scale, stage.on_aws(workers=count), book))
            for count in (1, 1, 2)
        )
        alone = stack.enter_context(started(stage, scale, stage.on_aws(), book, SHARE_OF_ONE_OF_TWO))
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure((one, neighbour), two, alone, ready))


def _ready(stage: Stage, scale: Scale) -> dict[str, list[float]]:
    place, launches = Place(stage.pins.server), {"AWS": stage.on_aws(), "embedded": embedded(stage.identity)}
    starts = range(max(2, min(STARTS, scale.repeats * 2)))
    return {name: [seconds_to_ready(place, launch) for _ in starts] for name, launch in launches.items()}


async def _measure(
    apart: tuple[Bench, Bench], together: Bench, alone: Bench, ready: dict[str, list[float]]
) -> Workers:
    for bench in (*apart, together, alone):
        await bench.warm()
    taken = await _rounds(apart, together)
    costs = {name: costs_of(readings) for name, readings in taken.items()}
    singles: dict[str, Peak] = {name: await alone.saturate(name) for name in SINGLE}
    peak = await together.saturate("sale")
    workers = descendants(together.session.server.pid)[1:]
    sizes = [memory(pid) for pid in workers]
    resident, proportional = ([size[part] / MIBIBYTES for size in sizes] for part in (0, 1))
    return Workers(costs, taken, singles, peak, ready, resident, proportional)


async def _rounds(apart: tuple[Bench, Bench], together: Bench) -> dict[str, list[Reading]]:
    """Ask two servers of one worker at once, then, twice as often, one server of two; all on one core.

    What a request costs falls with the load of the core and rises with the number of processes on it, and
    both are the same: nothing but the shared port differs.
    """
    taken: dict[str, list[Reading]] = {ONE: [], TWO: []}
    for name in COMPARED * together.scale.repeats:
        rate, seconds = BUSY * await apart[0].guess(name) / len(apart), together.scale.round_seconds
        taken[ONE] += await asyncio.gather(*(bench.read(name, rate, seconds) for bench in apart))
        taken[TWO].append(await together.read(name, 2 * rate, seconds))
    return taken


def median_ready(workers: Workers) -> dict[str, float]:
    """Return the median start by runtime, in seconds."""
    return {name: statistics.median(seconds) for name, seconds in workers.ready_seconds.items()}
