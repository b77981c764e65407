"""Our service on AWS beside FastAPI and aioboto3: same flow, same canned endpoints, rounds in turns."""

from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.measure import Cost, Reading
from bench.scale import Scale
from bench.sections.common import Bench, Peak, rounds, started
from bench.targets import Stage
from bench.workloads import CannedBook, Name

OURS, PEER = "ours", "peer"
WORKLOADS: tuple[Name, ...] = ("hold", "get", "confirm", "cancel", "sale")


class Peers(msgspec.Struct, frozen=True):
    """CPU by service and workload, every round of it, and the most of the sale mix."""

    costs: dict[str, dict[str, Cost]]
    rounds: dict[str, list[Reading]]
    peaks: dict[str, Peak]

    def ratio(self, name: str) -> float:
        """Return how many times ours a request costs the peer."""
        return self.costs[PEER][name].median / self.costs[OURS][name].median

    @property
    def throughput_ratio(self) -> float:
        """Return how many times the peer's sale mix a core of ours does."""
        return self.peaks[OURS].per_core / self.peaks[PEER].per_core


def run(stage: Stage, scale: Scale) -> Peers:
    """Measure both."""
    with ExitStack() as stack:
        book = CannedBook(len(stage.identity.tokens))
        launches = {OURS: stage.on_aws(), PEER: stage.peer()}
        benches = {
            name: stack.enter_context(started(stage, scale, launch, book))
            for name, launch in launches.items()
        }
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(benches))


async def _measure(benches: dict[str, Bench]) -> Peers:
    for bench in benches.values():
        await bench.warm()
    peaks = {name: await bench.saturate("sale") for name, bench in benches.items()}
    taken = await rounds(benches, WORKLOADS)
    costs = {service: costs_of(readings) for service, readings in taken.items()}
    return Peers(costs, taken, peaks)


def costs_of(readings: list[Reading]) -> dict[str, Cost]:
    """Sum up the rounds of each workload."""
    names = dict.fromkeys(one.name for one in readings)
    return {name: Cost.of(one for one in readings if one.name == name) for name in names}
