"""Gate and rates together, as HTTP and gRPC share them in a process."""

from dataclasses import dataclass

from reservation_api.config.tree import OverloadConfig, RateLimitConfig
from reservation_api.entrypoints.overload.gate import Gate, Seconds, nowhere_else
from reservation_api.entrypoints.overload.rate_limit import RateLimit
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class OverloadGuards:
    """What every request but a probe's passes."""

    gate: Gate
    rates: RateLimit

    def show_in(self, metrics: Metrics) -> None:
        """Show what was refused, and why, whenever somebody looks."""
        metrics.watch(names.REQUESTS_SHED, ("overload",), lambda: self.gate.shed)
        metrics.watch(names.REQUESTS_SHED, ("overload_urgent",), lambda: self.gate.shed_urgent)
        metrics.watch(names.REQUESTS_SHED, ("rate_limit",), lambda: self.rates.refused)
        metrics.watch(names.CONCURRENCY_LIMIT, (), lambda: self.gate.limit)


def open_guards(
    overload: OverloadConfig | None = None,
    rates: RateLimitConfig | None = None,
    waited: Seconds = nowhere_else,
) -> OverloadGuards:
    """Make those of a process; without settings, those of the defaults."""
    gate = Gate(overload or OverloadConfig(), waited)
    return OverloadGuards(gate, RateLimit(rates or RateLimitConfig()))
