"""How much is measured."""

import msgspec


class Scale(msgspec.Struct, frozen=True):
    """How long, how often, how many."""

    step_seconds: float
    """Of each rate at which latency is measured."""
    round_seconds: float
    """Of each round that CPU is measured in."""
    repeats: int
    soak_minutes: float
    growth_rows: int
    events: int
    """Sold out under the conflict storm."""


FULL = Scale(
    step_seconds=6.0,
    round_seconds=3.0,
    repeats=3,
    soak_minutes=10.0,
    growth_rows=10_000_000,
    events=100,
)
QUICK = Scale(
    step_seconds=0.3,
    round_seconds=0.3,
    repeats=1,
    soak_minutes=0.1,
    growth_rows=20_000,
    events=3,
)
