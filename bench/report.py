"""CPU per request of the real service on this machine: `make bench`.

One round is hold, get, confirm. The CPU of the server's whole process tree is read just before a
workload and shortly after it, so that what an answer leaves behind (relaying its event) counts, too.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
import uvloop

from bench import machine
from bench.cpu import CpuTime, Pins, choose_pins, core_time, pinned_to, tree_cpu
from bench.server import PROGRAM, ROWS, SEATS_PER_ROW, SECTIONS, ServerFailedError, running_server
from bench.tally import LoadResult
from bench.workloads import NAMES, QTY, Name, Pace, Session, TooFewHoldsError, is_good

RATES: dict[Name, float] = {"hold": 1000, "get": 2000, "confirm": 500}
"""Requests a second: busy but not saturated on one core, where figures would tell of queues."""
AIMS: dict[Name, float | None] = {"hold": 300, "get": 80, "confirm": None}
"""CPU microseconds a request, on SQLite."""
WARM_UP_SECONDS = 3.0
IDLE_SECONDS = 2.0
SETTLE_SECONDS = 0.5
"""The relay's fast path is done by then."""
MAX_SECONDS_OF_A_ROUND = 50.0
"""A hold lasts 60 s, and confirm comes last."""
RESULTS = Path(__file__).parent / "results"
MICROSECONDS = 1_000_000.0

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how hard to measure."""

    seconds: float
    repeats: int
    scale: float
    """Multiplies the rates."""

    def pace(self, name: Name, seconds: float | None = None) -> Pace:
        """Return the load of a workload."""
        return Pace(RATES[name] * self.scale, seconds or self.seconds)

    @property
    def faults(self) -> list[str]:
        """Say why this can not be measured."""
        seats = len(SECTIONS) * ROWS * SEATS_PER_ROW
        needed = QTY * RATES["hold"] * self.scale * (WARM_UP_SECONDS + self.repeats * self.seconds)
        faults = [f"{needed:,.0f} seats would be held, and there are {seats:,}"] if needed > seats else []
        if 3 * self.seconds > MAX_SECONDS_OF_A_ROUND:
            faults.append("the holds of a round would expire before they are confirmed")
        return faults


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload, once."""

    name: Name
    pace: Pace
    load: LoadResult
    cpu: CpuTime
    others_share: float
    """Of the time of the server's core: used by other processes, which spoil caches and delay the server."""
    stolen_share: float
    """Of the same: taken by other guests of the host. With some percent of either, a figure is noise."""

    @property
    def microseconds(self) -> float:
        """Return CPU microseconds for each answer, user and system."""
        return self._each(self.cpu.total)

    @property
    def user_microseconds(self) -> float:
        """Return those in user space."""
        return self._each(self.cpu.user)

    @property
    def system_microseconds(self) -> float:
        """Return those in the kernel."""
        return self._each(self.cpu.system)

    def _each(self, seconds: float) -> float:
        return seconds * MICROSECONDS / max(1, self.load.answered)


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured."""

    settings: Settings
    pins: Pins
    idle_share: float
    """Of one core, without any request."""
    measurements: tuple[Measurement, ...]

    def of(self, name: Name) -> list[Measurement]:
        """Return one workload's measurements, in the order in which they were taken."""
        return [one for one in self.measurements if one.name == name]

    @property
    def bad(self) -> list[Measurement]:
        """Return those whose answers were not the expected ones."""
        return [one for one in self.measurements if not is_good(one.name, one.load)]


def measure(settings: Settings, program: Path) -> Report:
    """Start a server and run all rounds; raises ServerFailedError, TooFewHoldsError."""
    pins = choose_pins()
    with running_server(pins.server, program) as server, pinned_to(pins.generator):
        return uvloop.run(_rounds(Session(server), settings, pins))


async def _rounds(session: Session, settings: Settings, pins: Pins) -> Report:
    for name in NAMES:
        await session.run(name, settings.pace(name, WARM_UP_SECONDS))
    idle_share = await _idle(session.server.pid)
    measurements = []
    for _ in range(settings.repeats):
        for name in NAMES:
            measurements.append(await measure_once(session, name, settings.pace(name), pins.server))
            click.echo(f"{name}: {measurements[-1].microseconds:.0f} us", err=True)
    return Report(settings, pins, idle_share, tuple(measurements))


async def measure_once(session: Session, name: Name, pace: Pace, core: int | None) -> Measurement:
    """Run a workload and read what it has cost the server, which is alone on its core."""
    started_at, core_before, cpu_before = time.monotonic(), core_time(core), tree_cpu(session.server.pid)
    load = await session.run(name, pace)
    await asyncio.sleep(SETTLE_SECONDS)
    used = tree_cpu(session.server.pid) - cpu_before
    core_after, seconds = core_time(core), time.monotonic() - started_at
    others = max(0.0, core_after.busy - core_before.busy - used.total)
    stolen = core_after.stolen - core_before.stolen
    return Measurement(name, pace, load, used, others / seconds, stolen / seconds)


async def _idle(pid: int) -> float:
    await asyncio.sleep(SETTLE_SECONDS)
    before = tree_cpu(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return (tree_cpu(pid) - before).total / IDLE_SECONDS


# Rendering


def render(report: Report) -> str:
    """Write the report as Markdown."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        f"# CPU per request, {now}",
        _summary(report),
        *_warnings(report),
        "## Latency at this rate",
        "Medians over the repeats, in milliseconds, from the intended start; a wide tail here is the disk's.",
        _latencies(report),
        "## Every repeat, in order",
        _repeats(report),
        "## Where and how",
        _conditions(report),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(report: Report) -> str:
    head = (
        "workload",
        "requests/s",
        "CPU us/request",
        "lowest to highest",
        "user + system",
        "aim",
        "verdict",
    )
    rows = []
    for name in NAMES:
        taken = report.of(name)
        figure = _median(taken, lambda one: one.microseconds)
        figures = [one.microseconds for one in taken]
        user = _median(taken, lambda one: one.user_microseconds)
        system = _median(taken, lambda one: one.system_microseconds)
        spread = f"{min(figures):.0f} to {max(figures):.0f}"
        rate = f"{taken[0].pace.rate_per_second:.0f}"
        rows.append(
            (name, rate, f"**{figure:.0f}**", spread, f"{user:.0f} + {system:.0f}", *_verdict(name, figure))
        )
    return table(head, rows)


def _verdict(name: Name, figure: float) -> tuple[str, str]:
    aim = AIMS[name]
    if aim is None:
        return "none", ""
    return f"at most {aim:.0f}", "pass" if figure <= aim else "MISS"


def _warnings(report: Report) -> Iterable[str]:
    for one in report.bad:
        yield f"**Not valid: {one.name} was answered {_answers(one.load)} of {one.load.planned}.**"


def _latencies(report: Report) -> str:
    head = ("workload", "p50", "p95", "p99", "p99.9", "service p99", "generator late p99")
    rows = []
    for name in NAMES:
        loads = [one.load for one in report.of(name)]
        picks: list[Callable[[LoadResult], float]] = [
            lambda load: load.latency.p50,
            lambda load: load.latency.p95,
            lambda load: load.latency.p99,
            lambda load: load.latency.p999,
            lambda load: load.service.p99,
            lambda load: load.lag.p99,
        ]
        rows.append((name, *(f"{_median(loads, pick):.2f}" for pick in picks)))
    return table(head, rows)


def _repeats(report: Report) -> str:
    head = ("workload", "CPU us/request", "answers", "lost", "unfinished", "backlog", "others", "stolen")
    rows = [
        (
            one.name,
            f"{one.microseconds:.0f}",
            _answers(one.load),
            str(one.load.lost),
            str(one.load.unfinished),
            str(one.load.backlog_peak),
            f"{one.others_share:.1%}",
            f"{one.stolen_share:.1%}",
        )
        for one in report.measurements
    ]
    return table(head, rows)


def _conditions(report: Report) -> str:
    settings, pins = report.settings, report.pins
    pinned = (
        "nothing (one core)" if pins.server is None else f"server {pins.server}, generator {pins.generator}"
    )
    rows = [
        *machine.facts(),
        ("Cores pinned", pinned),
        ("Repeats", f"{settings.repeats} of {settings.seconds:g} s, after {WARM_UP_SECONDS:g} s of each"),
        ("Idle server", f"{report.idle_share:.2%} of a core, included in the figures"),
        ("Event", f"{len(SECTIONS) * ROWS * SEATS_PER_ROW:,} seats; holds of {QTY}, best available"),
    ]
    return table(("what", "value"), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a Markdown table, its columns aligned for reading as it stands."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {text} |" for text in (texts[0], rule, *texts[1:]))


def _answers(load: LoadResult) -> str:
    return ", ".join(f"{count} x {status}" for status, count in load.statuses.items()) or "nothing"


def _median(items: list[Value], pick: Callable[[Value], float]) -> float:
    return statistics.median(pick(item) for item in items)


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Of each workload in each repeat.")
@click.option("--repeats", default=5, show_default=True)
@click.option("--scale", default=1.0, show_default=True, help="Multiplies the rates.")
@click.option("--program", type=click.Path(path_type=Path), default=PROGRAM, help="Another build to measure.")
def main(seconds: float, repeats: int, scale: float, program: Path) -> None:
    """Measure hold, get and confirm; print the report and write bench/results/report.md."""
    settings = Settings(seconds, repeats, scale)
    if settings.faults:
        raise click.UsageError("; ".join(settings.faults))
    try:
        report = measure(settings, program)
    except (ServerFailedError, TooFewHoldsError, OSError) as error:
        raise click.ClickException(str(error)) from error
    text = render(report)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "report.md").write_text(text)
    click.echo(text)
    if report.bad:  # a miss is a figure like any other; wrong answers are no figure
        raise click.ClickException("the service did not do what was measured")


if __name__ == "__main__":
    main()
