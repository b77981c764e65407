"""How long clients wait at shares of saturation, open model: sales on AWS, storms on the embedded runtime."""

from contextlib import ExitStack

import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.measure import Reading, measure
from bench.scale import Scale
from bench.sections.common import Bench, Peak, started
from bench.server import Launch, embedded
from bench.targets import Stage
from bench.workloads import Book, CannedBook, Name, Pace, RealBook, Replays

SHARES = (0.3, 0.6, 0.8, 0.9)
ON_AWS: tuple[Name, ...] = ("hold", "get", "confirm", "sale")
EMBEDDED: tuple[Name, ...] = ("conflict", "replay")
CROWD, CROWD_SECONDS = 300, 3.0
"""Buyers who take all seats of the hall."""


class Step(msgspec.Struct, frozen=True):
    """A share of saturation, and what was measured at it."""

    share: float
    reading: Reading


class Curve(msgspec.Struct, frozen=True):
    """A workload at growing rates."""

    runtime: str
    peak: Peak
    steps: list[Step]
    answered_differently: int = 0
    """Requests sent several times that got different answers."""

    def at(self, share: float) -> Reading:
        """Return what was measured at a share of saturation."""
        return next(step.reading for step in self.steps if step.share == share)


class Latency(msgspec.Struct, frozen=True):
    """By workload."""

    curves: dict[str, Curve]


def run(stage: Stage, scale: Scale) -> Latency:
    """Measure all workloads, those of a runtime on one server."""
    on_aws = _curves(stage, scale, (stage.on_aws(), CannedBook(len(stage.identity.tokens))), ON_AWS)
    in_one = _curves(stage, scale, (embedded(stage.identity), RealBook()), EMBEDDED)
    aws = {name: msgspec.structs.replace(curve, runtime="AWS") for name, curve in on_aws.items()}
    return Latency({**aws, **in_one})


def _curves(
    stage: Stage, scale: Scale, target: tuple[Launch, Book], names: tuple[Name, ...]
) -> dict[str, Curve]:
    with ExitStack() as stack:
        bench = stack.enter_context(started(stage, scale, *target))
        stack.enter_context(pinned_to(stage.pins.generator))
        return uvloop.run(_measure(bench, names))


async def _measure(bench: Bench, names: tuple[Name, ...]) -> dict[str, Curve]:
    await bench.warm()
    return {name: await _curve(bench, name) for name in names}


async def _curve(bench: Bench, name: Name) -> Curve:
    if name == "conflict":
        await bench.read(name, CROWD / CROWD_SECONDS, CROWD_SECONDS)  # who come first get the seats
    peak, replays = await bench.saturate(name), Replays()
    steps = []
    for share in SHARES:
        if name != "replay":
            taken = await bench.read(name, share * peak.goodput, bench.scale.step_seconds)
        else:
            pace = Pace(share * peak.goodput, bench.scale.step_seconds)
            replays.forget()
            taken = await measure(bench.session, name, pace, bench.stage.pins, replays.note)
        steps.append(Step(share, taken))
    return Curve("embedded", peak, steps, replays.different)
