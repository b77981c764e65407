"""The aims, and whether what was measured meets them: by code, never by hand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.calibration import slowness, yardsticks
from bench.sections.growth import Growth
from bench.sections.latency import Latency
from bench.sections.overload import Overload
from bench.sections.peers import OURS, Peers
from bench.sections.sellout import SellOut
from bench.sections.soak import Soak
from bench.sections.telemetry import Telemetry
from bench.sections.workers import Workers, median_ready
from bench.telemetry import AIM_MICROSECONDS

HOLD_MICROSECONDS, GET_MICROSECONDS = 200.0, 100.0
THROUGHPUT_RATIO = 5.0
PLANNED_RATE, UTILISATION, PLANNED_CORES = 30_000.0, 0.6, 12.0
MODEL_ERROR = 0.15
P95_MILLISECONDS, P95_SHARE = 120.0, 0.8
GROWTH = 1.25
MEMORY_GROWTH = 1.05
"""Flat: what the allocator keeps back, no more."""
FALSE_REFUSALS = 0.01
WORKERS_DIFFERENCE = 0.10
KEPT_IN_OVERLOAD = 0.9
START_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """An aim, what was measured, and whether it is met; None: it was not measured."""

    aim: str
    measured: str
    is_met: bool | None
    normalised: str = ""
    """An absolute figure divided by how much slower this machine is; no measurement, and so labelled."""
    is_met_normalised: bool | None = None

    @property
    def word(self) -> str:
        """Say it."""
        return _word(self.is_met)

    @property
    def normalised_word(self) -> str:
        """Say what it would be at the design machine's speed."""
        return f"{self.normalised}: {_word(self.is_met_normalised)}" if self.normalised else ""


def _word(is_met: bool | None) -> str:  # noqa: FBT001 (three answers)
    return "not measured" if is_met is None else "met" if is_met else "**missed**"


def cores(microseconds: float, rate: float = PLANNED_RATE, utilisation: float = UTILISATION) -> float:
    """Return the cores of a fleet."""
    return rate * microseconds / 1_000_000 / utilisation


def verdicts(found: Mapping[str, Any]) -> list[Verdict]:
    """Judge all that was found, by section."""
    slower = slowness(yardsticks(found.get("floor"), found.get("peers")))
    judges: Mapping[str, Callable[[Any], Iterator[Verdict]]] = {
        "peers": lambda peers: _of_peers(peers, slower),
        "telemetry": lambda telemetry: _of_telemetry(telemetry, slower),
        "workers": _of_workers,
        "latency": _of_latency,
        "growth": _of_growth,
        "soak": _of_soak,
        "sellout": _of_sellout,
        "overload": _of_overload,
    }
    result: list[Verdict] = []
    for section, judge in judges.items():
        if found.get(section) is None:
            result.append(Verdict(f"the section *{section}*", "nothing", None))
        else:
            result += judge(found[section])
    return result


def _at_most(aim: str, figure: float, bound: float, unit: str, slower: float | None) -> Verdict:
    measured = f"{figure:.1f} {unit}" if bound < 100 else f"{figure:.0f} {unit}"
    if slower is None:
        return Verdict(aim, measured, figure <= bound)
    there = figure / slower
    return Verdict(aim, measured, figure <= bound, f"{there:.1f} {unit}", there <= bound)


def _of_peers(peers: Peers, slower: float | None) -> Iterator[Verdict]:
    ours = peers.costs[OURS]
    aim = f"a hold on AWS, telemetry on: at most {HOLD_MICROSECONDS:.0f} us CPU"
    yield _at_most(aim, ours["hold"].median, HOLD_MICROSECONDS, "us", slower)
    aim = f"a get on AWS: at most {GET_MICROSECONDS:.0f} us CPU"
    yield _at_most(aim, ours["get"].median, GET_MICROSECONDS, "us", slower)
    fleet = cores(ours["sale"].median)
    rate = f"{PLANNED_RATE:,.0f} requests a second at {UTILISATION:.0%}"
    aim = f"a fleet for {rate}: at most {PLANNED_CORES:.0f} vCPU"
    yield _at_most(aim, fleet, PLANNED_CORES, "vCPU", slower)
    ratio = peers.throughput_ratio
    aim = f"the sale mix a core: at least {THROUGHPUT_RATIO:g} times FastAPI + aioboto3"
    yield Verdict(aim, f"{ratio:.1f} times", ratio >= THROUGHPUT_RATIO)


def _of_telemetry(telemetry: Telemetry, slower: float | None) -> Iterator[Verdict]:
    for name in telemetry.pairs:
        aim = f"telemetry of an unsampled request, {name}: at most {AIM_MICROSECONDS:g} us CPU"
        yield _at_most(aim, telemetry.price(name), AIM_MICROSECONDS, "us", slower)


def _of_workers(workers: Workers) -> Iterator[Verdict]:
    for name in workers.costs["two workers"]:
        more = workers.ratio(name) - 1
        aim = f"two workers on a port, {name}: CPU a request within {WORKERS_DIFFERENCE:.0%} of one"
        yield Verdict(aim, f"{more:+.1%}", abs(more) <= WORKERS_DIFFERENCE)
    aim = f"the model's throughput of two workers: within {MODEL_ERROR:.0%} of the measured"
    told = f"{workers.predicted:.0f}/s predicted, {workers.peak.goodput:.0f}/s measured: {workers.error:+.1%}"
    yield Verdict(aim, told, abs(workers.error) <= MODEL_ERROR)
    for runtime, seconds in median_ready(workers).items():
        aim = f"ready in less than {START_SECONDS:g} s, {runtime}"
        yield Verdict(aim, f"{seconds:.2f} s", seconds < START_SECONDS)


def _of_latency(latency: Latency) -> Iterator[Verdict]:
    for name, curve in latency.curves.items():
        p95 = curve.at(P95_SHARE).latency.p95
        aim = f"{name}: P95 below {P95_MILLISECONDS:.0f} ms at {P95_SHARE:.0%} of saturation"
        yield Verdict(aim, f"{p95:.1f} ms", p95 < P95_MILLISECONDS)
    replay = latency.curves.get("replay")
    if replay is not None:
        told = f"{replay.answered_differently} answered differently"
        yield Verdict(
            "replay: every repetition gets the first answer", told, replay.answered_differently == 0
        )


def _of_growth(growth: Growth) -> Iterator[Verdict]:
    ratio = growth.ratio("hold")
    aim = f"{growth.rows:,} reservations stored: a hold costs at most {GROWTH:g} times one on an empty store"
    yield Verdict(aim, f"{ratio:.2f} times", ratio <= GROWTH)


def _of_soak(soak: Soak) -> Iterator[Verdict]:
    for runtime in soak.slices:
        cost, memory = soak.cost_growth(runtime), soak.memory_growth(runtime)
        what = f"a soak of {soak.minutes:g} min, {runtime}"
        aim = f"{what}: CPU a request at most {GROWTH:g} times the first minutes'"
        yield Verdict(aim, f"{cost:.2f} times", cost <= GROWTH)
        aim = f"the same, {runtime}: memory flat, at most {MEMORY_GROWTH:g} times half-time's"
        yield Verdict(aim, f"{memory:.3f} times", memory <= MEMORY_GROWTH)


def _of_sellout(sellout: SellOut) -> Iterator[Verdict]:
    aim = f"{sellout.events} events sold out under a conflict storm: every seat exactly once"
    told = f"{sellout.sold:,} of {sellout.seats:,} sold, {sellout.sold_twice} twice"
    yield Verdict(aim, told, sellout.sold == sellout.seats and sellout.sold_twice == 0)
    aim = f"false refusals: at most {FALSE_REFUSALS:.0%} of the refusals"
    told = f"{sellout.false_share:.2%} of {sellout.refusals:,}"
    yield Verdict(aim, told, sellout.false_share <= FALSE_REFUSALS)


def _of_overload(overload: Overload) -> Iterator[Verdict]:
    aim = f"twice saturation: goodput, orders a second, at least {KEPT_IN_OVERLOAD:.0%} of its peak"
    yield Verdict(aim, f"{overload.kept:.0%}", overload.kept >= KEPT_IN_OVERLOAD)
    p95 = overload.worst_case.reading.accepted.p95
    aim = f"twice saturation: P95 of accepted requests below {P95_MILLISECONDS:.0f} ms"
    yield Verdict(aim, f"{p95:.0f} ms", p95 < P95_MILLISECONDS)
