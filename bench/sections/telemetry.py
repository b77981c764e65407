"""What telemetry costs a request of which no trace is kept: with and without, in pairs of rounds."""

import asyncio
from statistics import median

import msgspec

from bench.scale import Scale
from bench.targets import Stage
from bench.telemetry import differences, logging_to_nowhere, measure_requests

PAIRS_A_REPEAT = 20


class Pairs(msgspec.Struct, frozen=True):
    """CPU us of one kind of request: of each pair of rounds the one with telemetry, and the one without."""

    told: list[float]
    untold: list[float]

    @property
    def differences(self) -> list[float]:
        """Return how much more it is with telemetry."""
        return differences(self.told, self.untold)


class Telemetry(msgspec.Struct, frozen=True):
    """By kind of request."""

    pairs: dict[str, Pairs]

    def price(self, name: str) -> float:
        """Return CPU us that telemetry adds to a request."""
        return median(self.pairs[name].differences)


def run(stage: Stage, scale: Scale) -> Telemetry:
    """Measure in this process: requests through an Api, without a socket."""
    del stage
    with logging_to_nowhere():
        found = asyncio.run(measure_requests(PAIRS_A_REPEAT * scale.repeats))
    return Telemetry({name: Pairs(*samples) for name, samples in found.items()})
