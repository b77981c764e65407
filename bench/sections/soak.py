"""The sale mix for ten minutes, on both runtimes at once: whether cost or memory grows."""

import asyncio
from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import descendants, memory, pinned_to
from bench.measure import Reading, measure
from bench.quota import held_to
from bench.scale import Scale
from bench.sections.common import Bench, started
from bench.server import embedded, running
from bench.targets import Stage
from bench.workloads import CannedBook, Pace, RealBook, Session

SLICES = 10
SHARE = 0.45
"""Of a core, for each of the two."""
BUSY = 0.35
"""Of what each could do: they share a core, and the generator asks both."""
MAX_RATE = 300.0
"""Requests a second: the stadium must not be sold out before the end."""
WARM_SECONDS = 3.0
MIBIBYTES = 2**20


class Slice(msgspec.Struct, frozen=True):
    """A tenth of the soak."""

    reading: Reading
    resident: float
    """MiB of all processes, at its end."""


class Soak(msgspec.Struct, frozen=True):
    """By runtime."""

    minutes: float
    slices: dict[str, list[Slice]]

    def cost_growth(self, runtime: str) -> float:
        """Return the last slices' CPU a request as a multiple of the first's; two each, for one is noise."""
        costs = [one.reading.microseconds for one in self.slices[runtime]]
        return sum(costs[-2:]) / sum(costs[:2])

    def memory_growth(self, runtime: str) -> float:
        """Return memory at the end as a multiple of that at half-time: what fills up at first is no leak."""
        sizes = [one.resident for one in self.slices[runtime]]
        return sizes[-1] / sizes[len(sizes) // 2 - 1]


def run(stage: Stage, scale: Scale) -> Soak:
    """Soak both, each on its share of the core."""
    with ExitStack() as stack:
        place = stack.enter_context(held_to(SHARE, stage.pins.server))
        server = stack.enter_context(running(place, embedded(stage.identity), with_worker=True))
        benches = {
            "AWS": stack.enter_context(
                started(stage, scale, stage.on_aws(), CannedBook(len(stage.identity.tokens)), SHARE)
            ),
            "embedded": Bench(stage, scale, Session(server, RealBook()), place.share),
        }
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(benches, scale.soak_minutes))


async def _measure(benches: dict[str, Bench], minutes: float) -> Soak:
    rates = {}
    for name, bench in benches.items():
        await bench.warm()
        await bench.read("hold", 20.0, WARM_SECONDS)
        rates[name] = min(MAX_RATE, BUSY * await bench.guess("sale"))
    soaks = [_soak(bench, Pace(rates[name], minutes * 60 / SLICES)) for name, bench in benches.items()]
    return Soak(minutes, dict(zip(benches, await asyncio.gather(*soaks), strict=True)))


async def _soak(bench: Bench, pace: Pace) -> list[Slice]:
    slices = []
    for _ in range(SLICES):
        taken = await measure(bench.session, "sale", pace, bench.stage.pins)
        pids = [pid for root in bench.session.server.pids for pid in descendants(root)]
        slices.append(Slice(taken, sum(memory(pid)[0] for pid in pids) / MIBIBYTES))
    return slices
