"""A chapter for each section: its tables, and what must be known to read them."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.markdown import table
from bench.measure import Cost, Reading
from bench.sections.common import Peak
from bench.sections.floor import Floor
from bench.sections.growth import EMPTY, FULL, Growth
from bench.sections.latency import Curve, Latency
from bench.sections.overload import CONNECTIONS, Overload
from bench.sections.peers import OURS, PEER, Peers
from bench.sections.sellout import SellOut
from bench.sections.soak import Soak
from bench.sections.telemetry import Telemetry
from bench.sections.workers import ONE, TWO, Workers

SAMPLES_OF_P999 = 2000
"""With fewer answers than that, it is a maximum by another name, and not shown."""


def _floor(floor: Floor) -> Iterator[str]:
    yield "An answer that is always the same, saturated: what no service on this machine can get below."
    peaks = {"nginx": floor.nginx, "Granian": floor.granian}
    rows = ((name, *_peak(peak)) if peak else (name, "not installed", "") for name, peak in peaks.items())
    yield table(("server", "CPU us an answer", "answers a second and core"), rows)


def _peak(peak: Peak) -> tuple[str, str]:
    return f"{peak.microseconds:.0f}", f"{peak.per_core:,.0f}"


def _peers(peers: Peers) -> Iterator[str]:
    yield (
        "Same flow, same canned endpoints (DynamoDB 5 ms, inventory 3 ms: medians, there are tails), each at"
        " 70 % of what it can do, rounds in turns. Ours also replays answers, relays each event, traces,"
        " counts and logs; the peer does not."
    )
    head = ("call", "ours, CPU us", "lowest to highest", "FastAPI + aioboto3", "lowest to highest", "ratio")
    ours, plain = peers.costs[OURS], peers.costs[PEER]
    rows = [(name, *_cost(ours[name]), *_cost(plain[name]), f"**{peers.ratio(name):.1f}**") for name in ours]
    yield table(head, rows)
    peaks = [(name, f"{peak.per_core:.0f}", f"{peak.microseconds:.0f}") for name, peak in peers.peaks.items()]
    yield f"The sale mix, saturated: ours does **{peers.throughput_ratio:.1f} times** as much a core."
    yield table(("service", "good answers a second and core", "CPU us an answer"), peaks)
    yield _noise([one for taken in peers.rounds.values() for one in taken])


def _cost(cost: Cost) -> tuple[str, str]:
    return f"{cost.median:.0f}", f"{cost.lowest:.0f} to {cost.highest:.0f}"


def _noise(readings: list[Reading]) -> str:
    others, stolen, generator = (
        statistics.median(getattr(one, name) for one in readings)
        for name in ("others", "stolen", "generator")
    )
    return (
        f"Noise: others used {others:.0%} of the server's core (median), the host took {stolen:.1%};"
        f" the generator's core, canned endpoints included, was {generator:.0%} busy."
    )


def _telemetry(telemetry: Telemetry) -> Iterator[str]:
    yield (
        "Requests through an Api in one process, without a socket: with metrics, log and tracer, and with"
        " none of them, rounds in turns. No trace is kept. CPU us of all threads, median of the pairs."
    )
    head = ("request", "with", "without", "difference, pair by pair", "quartiles", "pairs")
    rows = []
    for name, pairs in telemetry.pairs.items():
        low, _, high = statistics.quantiles(pairs.differences, n=4)
        sides = (f"{statistics.median(side):.1f}" for side in (pairs.told, pairs.untold))
        spread = f"{low:.1f} to {high:.1f}"
        rows.append((name, *sides, f"{telemetry.price(name):.1f}", spread, f"{len(pairs.told)}"))
    yield table(head, rows)


def _latency(latency: Latency) -> Iterator[str]:
    yield (
        "Milliseconds from the intended start, open model. P99.9 is left out where there were fewer than"
        f" {SAMPLES_OF_P999:,} answers. *Late* is the generator's own lateness at P99."
    )
    head = (
        "workload",
        "of saturation",
        "a second",
        "CPU us",
        "P50",
        "P95",
        "P99",
        "P99.9",
        "late",
        "answers",
    )
    yield table(head, (row for name, curve in latency.curves.items() for row in _curve(name, curve)))
    yield "In the conflict storm everybody wants the same 500 seats: nearly all answers are refusals (409)."
    yield "In the replay storm each request is sent three times with one key."


def _curve(name: str, curve: Curve) -> Iterator[tuple[str, ...]]:
    share = f"{curve.peak.share:.0%} of a core"
    first = f"{name}, {curve.runtime}"
    yield (
        first,
        "saturated",
        f"{curve.peak.goodput:.0f}",
        f"{curve.peak.microseconds:.0f}",
        *["", "", "", "", ""],
        share,
    )
    for step in curve.steps:
        one = step.reading
        times = one.latency
        p999 = f"{times.p999:.1f}" if one.answered >= SAMPLES_OF_P999 else ""
        figures = (f"{times.p50:.1f}", f"{times.p95:.1f}", f"{times.p99:.1f}", p999, f"{one.lag_p99:.1f}")
        yield (
            "",
            f"{step.share:.0%}",
            f"{one.rate:.0f}",
            f"{one.microseconds:.0f}",
            *figures,
            _statuses(one),
        )


def _statuses(one: Reading) -> str:
    return ", ".join(f"{count} x {status}" for status, count in one.statuses.items())


def _overload(overload: Overload) -> Iterator[str]:
    peak = f"{overload.peak.goodput:.0f} good answers a second of {overload.peak.share:.0%} of a core"
    yield f"The sale mix on AWS, {CONNECTIONS} connections; saturated by {peak}."
    yield "An order is a reservation that was confirmed; only who got a hold asks for one."
    figures_of = (
        "asked a second",
        "good a second",
        "orders a second",
        "P95 of accepted, ms",
        "CPU us",
        "generator's core",
    )
    head = ("of saturation", *figures_of, "answers")
    rows = []
    for load in overload.loads:
        one = load.reading
        figures = (
            f"{one.rate:.0f}",
            f"{one.goodput:.0f}",
            f"{load.goodput:.1f}",
            f"{one.accepted.p95:.0f}",
            f"{one.microseconds:.0f}",
            f"{one.generator:.0%}",
        )
        rows.append((f"{load.factor:g}", *figures, _statuses(one)))
    yield table(head, rows)


def _sellout(sellout: SellOut) -> Iterator[str]:
    yield (
        "More buyers than seats, ten events at once, on the embedded store with a whole core. The orders"
        " in the file are counted seat by seat. A refusal is false if enough seats were free until it was"
        " answered."
    )
    rows = [
        ("events", f"{sellout.events}"),
        ("seats", f"{sellout.seats:,}"),
        ("sold", f"{sellout.sold:,}"),
        ("sold twice", f"{sellout.sold_twice}"),
        ("refusals", f"{sellout.refusals:,}"),
        ("false refusals", f"{sellout.false_refusals} ({sellout.false_share:.2%})"),
        ("told to come again (429, 503)", f"{sellout.busy:,}"),
        ("goodput", f"{sellout.seats_per_second:,.0f} seats a second"),
    ]
    yield table(("what", "figure"), rows)


def _growth(growth: Growth) -> Iterator[str]:
    size, seconds = growth.file_bytes / 1e9, growth.fill_seconds
    yield (
        f"Two embedded servers, rounds in turns: an empty store, and one with {growth.rows:,} reservations"
        f" ({size:.1f} GB, filled in {seconds:.0f} s)."
    )
    head = ("call", "empty, CPU us", "lowest to highest", "full", "lowest to highest", "ratio")
    empty, full = growth.costs[EMPTY], growth.costs[FULL]
    rows = [(name, *_cost(empty[name]), *_cost(full[name]), f"{growth.ratio(name):.2f}") for name in empty]
    yield table(head, rows)


def _workers(workers: Workers) -> Iterator[str]:
    head = (
        "call",
        "one worker, CPU us",
        "lowest to highest",
        "two workers",
        "lowest to highest",
        "difference",
    )
    one, two = workers.costs[ONE], workers.costs[TWO]
    rows = [(name, *_cost(one[name]), *_cost(two[name]), f"{workers.ratio(name) - 1:+.1%}") for name in one]
    yield table(head, rows)
    yield "*One worker*: two servers of one each, side by side on one core, asked as often as one of two."
    yield "The scale model: a share of a core over the mean of the mix, by the price at half a core."
    figures = [(name, *_peak(peak)) for name, peak in workers.single_peaks.items()]
    mix = ("sale, two workers", *_peak(workers.peak))
    yield table(("saturated", "CPU us an answer", "answers a second and core"), [*figures, mix])
    told = (f"{workers.predicted:.0f}", f"{workers.peak.goodput:.0f}", f"{workers.error:+.1%}")
    yield table(("predicted a second", "measured", "error"), [told])
    starts = [
        (f"ready, {name}", ", ".join(f"{one:.2f}" for one in sorted(seconds)) + " s")
        for name, seconds in workers.ready_seconds.items()
    ]
    sizes = {"resident": workers.resident, "shared pages divided": workers.proportional}
    memory = [(f"memory a worker, {name}", _mebibytes(found)) for name, found in sizes.items()]
    yield table(("what", "figures"), [*starts, *memory])


def _mebibytes(sizes: list[float]) -> str:
    return ", ".join(f"{size:.0f}" for size in sizes) + " MiB"


def _soak(soak: Soak) -> Iterator[str]:
    yield f"The sale mix for {soak.minutes:g} minutes on both runtimes at once, in tenths."
    head = ("runtime", "what", *(str(number) for number in range(1, 11)))
    rows = []
    for runtime, slices in soak.slices.items():
        rows.append((runtime, "CPU us", *(f"{one.reading.microseconds:.0f}" for one in slices)))
        rows.append((runtime, "P95 ms", *(f"{one.reading.latency.p95:.0f}" for one in slices)))
        rows.append((runtime, "MiB", *(f"{one.resident:.0f}" for one in slices)))
    yield table(head, rows)


CHAPTERS: Mapping[str, tuple[str, Callable[[Any], Iterator[str]]]] = {
    "floor": ("The floor", _floor),
    "peers": ("Beside a plain peer", _peers),
    "telemetry": ("What telemetry costs", _telemetry),
    "latency": ("Latency at shares of saturation", _latency),
    "overload": ("Overload", _overload),
    "sellout": ("Sold out under a conflict storm", _sellout),
    "growth": ("Ten million reservations", _growth),
    "workers": ("Workers, start and memory", _workers),
    "soak": ("The soak", _soak),
}
"""Title and text, by section."""
