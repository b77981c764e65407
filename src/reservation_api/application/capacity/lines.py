"""A line of a plan: a number, how it came about, and on whose word."""

from dataclasses import dataclass
from math import ceil
from typing import Final

from reservation_api.application.capacity.charges import Charges, Mix
from reservation_api.application.capacity.tariff import Cpu, Limit, Tariff

TIMES: Final = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Line:
    """One result."""

    section: str
    what: str
    amount: float
    unit: str
    formula: str
    source: str
    must: str | None = None
    """What has to be done about it before the peak."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be planned for."""

    requests_per_second: float
    mix: Mix
    charges: Charges
    cpu: Cpu
    tariff: Tariff
    utilisation_percent: float = 60

    def rates(self) -> dict[str, float]:
        """Return how often each request comes in a second; those that do not come are left out."""
        return {name: rate for name, rate in self.mix.rates(self.requests_per_second).items() if rate > 0}


def weighted(rates: dict[str, float], weights: dict[str, float]) -> tuple[float, str]:
    """Add up rates times weights; return the sum, and the formula as text."""
    parts = [(name, rate, weights[name]) for name, rate in rates.items() if weights.get(name)]
    text = " + ".join(f"{told(rate)} {name} {TIMES} {told(weight)}" for name, rate, weight in parts)
    return sum(rate * weight for _, rate, weight in parts), text or "0"


def whole(amount: float) -> int:
    """Round up, but not for what floats can not say."""
    return ceil(round(amount, 6))


def told(amount: float) -> str:
    """Write a number for people: whole if it is, else three digits that count, or cents."""
    if amount == round(amount):
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if abs(amount) >= 1 else f"{amount:.3g}"


def must_raise(needed: float, limit: Limit) -> str | None:
    """Say what is to be asked of AWS; None if what a new account has is enough."""
    if needed <= limit.amount:
        return None
    way = "have the quota raised" if limit.can_be_raised else "spread it"
    return f"{way}: from {limit.amount:,} to {whole(needed):,} {limit.unit}"
