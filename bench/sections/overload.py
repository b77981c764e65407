"""What is left of a sale when twice as much is asked as can be done.

Whoever was turned away has no hold to confirm. Were moves asked for as often all the same, and let in first
as they are, the load would be another than the sale's: twice as many of the dearest requests.
"""

from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.load import Arrival
from bench.measure import Reading, measure
from bench.scale import Scale
from bench.sections.common import Bench, Peak, started
from bench.targets import Stage
from bench.wire import Response
from bench.workloads import BuyersBook, Pace

FACTORS = (1.0, 1.5, 2.0)
"""Of saturation."""
SHARE = 0.5
"""Of a core: of twice what a whole one does the generator would be the bound."""
ORDER = b'{"order_id":'
"""The beginning of an order, which is what the answer to a confirm is."""
CONNECTIONS = 800
"""So many clients wait at once: with a few, the queue would be the generator's, and the server idle."""


class Load(msgspec.Struct, frozen=True):
    """What was asked, as a multiple of saturation, and what came of it."""

    factor: float
    reading: Reading
    """Of several rounds the one in the middle, by goodput."""
    orders: int
    """Of it: reservations that were confirmed."""

    @property
    def goodput(self) -> float:
        """Return orders a second: what a sale is for."""
        return self.orders / self.reading.seconds if self.reading.seconds else 0.0


class Overload(msgspec.Struct, frozen=True):
    """The sale mix on AWS at and beyond its peak."""

    peak: Peak
    loads: list[Load]

    @property
    def best(self) -> float:
        """Return the highest goodput of all that was measured."""
        return max(load.goodput for load in self.loads)

    @property
    def worst_case(self) -> Load:
        """Return the highest load."""
        return max(self.loads, key=lambda load: load.factor)

    @property
    def kept(self) -> float:
        """Return goodput at the highest load as a share of the peak."""
        return self.worst_case.goodput / self.best if self.best else 0.0


def run(stage: Stage, scale: Scale) -> Overload:
    """Saturate, then go on; the loads take turns, so that others on the machine disturb them alike."""
    with ExitStack() as stack:
        book = BuyersBook(len(stage.identity.tokens))
        bench = stack.enter_context(started(stage, scale, stage.on_aws(), book, SHARE))
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(bench))


async def _measure(bench: Bench) -> Overload:
    await bench.warm()
    peak = await bench.saturate("sale")
    taken: dict[float, list[Load]] = {factor: [] for factor in FACTORS}
    for _ in range(bench.scale.repeats):
        for factor, loads in taken.items():
            loads.append(await _load(bench, factor, factor * peak.goodput))
    return Overload(peak, [_middle(loads) for loads in taken.values()])


async def _load(bench: Bench, factor: float, rate: float) -> Load:
    orders = 0

    def note(_: Arrival, response: Response) -> None:
        nonlocal orders
        orders += response.body.startswith(ORDER)

    pace = Pace(rate, bench.scale.step_seconds, CONNECTIONS)
    return Load(factor, await measure(bench.session, "sale", pace, bench.stage.pins, note), orders)


def _middle(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda one: one.goodput)[len(loads) // 2]
