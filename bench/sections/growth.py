"""Whether a request costs more when the embedded store is full: two servers, rounds in turns."""

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.growth_rows import EVENTS, fill, prepare
from bench.measure import Cost, Reading
from bench.scale import Scale
from bench.sections.common import Bench, rounds, started
from bench.sections.peers import costs_of
from bench.server import Launch, embedded
from bench.targets import Stage
from bench.workloads import Name, RealBook

EMPTY, FULL = "empty", "full"
WORKLOADS: tuple[Name, ...] = ("hold", "get", "confirm")


class Growth(msgspec.Struct, frozen=True):
    """CPU by store and workload, and every round of it."""

    rows: int
    file_bytes: int
    fill_seconds: float
    costs: dict[str, dict[str, Cost]]
    rounds: dict[str, list[Reading]]

    def ratio(self, name: str) -> float:
        """Return how many times a request to the empty store one to the full store costs."""
        return self.costs[FULL][name].median / self.costs[EMPTY][name].median


def run(stage: Stage, scale: Scale) -> Growth:
    """Fill a store, and measure it beside an empty one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reservation-bench-store-")))
        stack.enter_context(pinned_to(stage.pins.generator))
        file = prepare(folder / FULL, EVENTS)
        prepare(folder / EMPTY, EVENTS)
        began = time.monotonic()
        fill(file, scale.growth_rows)
        os.sync()  # or the disk is still at it while the first requests are measured
        filled = time.monotonic() - began
        click.echo(f"  {scale.growth_rows:,} rows in {filled:.0f} s", err=True)
        benches = {
            name: stack.enter_context(started(stage, scale, _launch(stage, folder / name), RealBook()))
            for name in (EMPTY, FULL)
        }
        taken = uvloop.run(_measure(benches))
        costs = {name: costs_of(readings) for name, readings in taken.items()}
        return Growth(scale.growth_rows, file.stat().st_size, filled, costs, taken)


def _launch(stage: Stage, data_dir: Path) -> Launch:
    launch = embedded(stage.identity, APP_DATA_DIR=str(data_dir))
    return Launch(launch.settings, launch.identity)  # its events are on sale already


async def _measure(benches: dict[str, Bench]) -> dict[str, list[Reading]]:
    for bench in benches.values():
        await bench.warm()
    return await rounds(benches, WORKLOADS)
