"""The floor: what an answer costs that needs no work, of nginx and of our HTTP server."""

from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.scale import Scale
from bench.sections.common import Bench, Peak, started
from bench.targets import Stage
from bench.workloads import CannedBook

SHARE = 0.15
"""Of a core: such servers are fast, and the generator must be faster."""


class Floor(msgspec.Struct, frozen=True):
    """Servers by name, saturated; nginx is None where it is not installed."""

    granian: Peak
    nginx: Peak | None


def run(stage: Stage, scale: Scale) -> Floor:
    """Measure both."""
    nginx = stage.nginx()
    launches = {"granian": stage.hello(), **({"nginx": nginx} if nginx else {})}
    peaks = {}
    for name, launch in launches.items():
        with ExitStack() as stack:
            bench = stack.enter_context(
                started(stage, scale, launch, CannedBook(len(stage.identity.tokens)), SHARE)
            )
            stack.enter_context(pinned_to(stage.pins.generator))
            peaks[name] = uvloop.run(_saturate(bench))
    return Floor(peaks["granian"], peaks.get("nginx"))


async def _saturate(bench: Bench) -> Peak:
    return await bench.saturate("hold")
