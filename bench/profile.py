# ruff: noqa: A005  (it is run as bench.profile; bench/ itself is never on the path)
"""Where a request's CPU time goes: py-spy on the server while it is under load.

One recording, shown twice: in Python functions alone, and with the C functions below them. Shares come
from the samples, and times from the CPU counters of the process: a sampler takes a thread that is about
to sleep for a running one, so its samples, added up, come to more time than was used.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import uvloop

from bench.cpu import choose_pins, pinned_to, thread_cpu, tree_cpu
from bench.report import MICROSECONDS, RATES, RESULTS, table
from bench.server import PROGRAM, ServerFailedError, running_server
from bench.stacks import Frame, Profile, Sample, count, is_waiting, parse
from bench.tally import LoadResult
from bench.workloads import NAMES, Name, Pace, Session, TooFewHoldsError, is_good

PY_SPY = Path(sys.executable).parent / "py-spy"
ATTACH_SECONDS = 5.0
"""What py-spy takes to read the symbols before it samples; load goes on that much longer."""
SPY_WRITES_SECONDS = 30.0
EXTRA_HOLDS = 1.1
"""So that a refused hold does not leave confirm without work."""


class SpyFailedError(Exception):
    """py-spy could not record; the text is its own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to record, for how long, how finely, and how much of it to show."""

    name: Name
    rate_per_second: float
    seconds: float
    hertz: int
    rows: int
    """Of each table."""
    native: bool
    """Whether to look into C functions; without, waiting threads can not be told from working ones."""

    @property
    def pace(self) -> Pace:
        """Return the load, which outlasts the recording."""
        return Pace(self.rate_per_second, self.seconds + ATTACH_SECONDS)


@dataclass(frozen=True, slots=True)
class Recording:
    """One workload's samples, and the CPU seconds used meanwhile."""

    raw: str
    load: LoadResult
    cpu_seconds: float
    thread_seconds: dict[tuple[int, str], float]

    def each(self, seconds: float) -> float:
        """Return microseconds for each answer."""
        return seconds * MICROSECONDS / max(1, self.load.answered)


def record(settings: Settings, program: Path) -> Recording:
    """Start a server and record it; raises ServerFailedError, TooFewHoldsError, SpyFailedError."""
    pins = choose_pins()
    with running_server(pins.server, program) as server, pinned_to(pins.generator):
        return uvloop.run(_record(Session(server), settings))


async def _record(session: Session, settings: Settings) -> Recording:
    if settings.name != "hold":
        await session.run("hold", Pace(settings.rate_per_second, settings.pace.seconds * EXTRA_HOLDS))
    pid = session.server.pid
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "raw.txt"
        cpu_before, before = tree_cpu(pid), thread_cpu(pid)
        load = await _run_under_spy(session, settings, _command(pid, settings, output))
        cpu, after = tree_cpu(pid) - cpu_before, thread_cpu(pid)
        threads = {thread: seconds - before.get(thread, 0.0) for thread, seconds in after.items()}
        return Recording(output.read_text(), load, cpu.total, threads)


async def _run_under_spy(session: Session, settings: Settings, command: list[str]) -> LoadResult:
    spy = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        load = await session.run(settings.name, settings.pace)
        _, errors = await asyncio.wait_for(spy.communicate(), settings.seconds + SPY_WRITES_SECONDS)
    finally:
        if spy.returncode is None:
            spy.kill()
            await spy.wait()
    if spy.returncode != 0:
        raise SpyFailedError(errors.decode()[-2000:])
    return load


def _command(pid: int, settings: Settings, output: Path) -> list[str]:
    what = ["--pid", str(pid), "--subprocesses", "--function", "--full-filenames"]
    how = ["--duration", f"{settings.seconds:.0f}", "--rate", str(settings.hertz), "--format", "raw"]
    return [str(PY_SPY), "record", *what, *how, "--output", str(output), *["--native"] * settings.native]


# Rendering


@dataclass(frozen=True, slots=True)
class Tables:
    """A recording as Markdown."""

    recording: Recording
    settings: Settings

    def render(self) -> str:
        """Write all tables."""
        samples = list(parse(self.recording.raw))
        working = [sample for sample in samples if not is_waiting(sample)]
        waiting = sum(sample.count for sample in samples) - sum(sample.count for sample in working)
        profile = count(working, native=False)
        each = self.recording.each(self.recording.cpu_seconds)
        rate = f"{self.settings.rate_per_second:g}/s"
        parts = [
            f"# {self.settings.name} at {rate}: {each:.0f} us of CPU a request, py-spy's pauses included",
            f"{profile.total} samples, and {waiting} of waiting threads left out.",
            *self._warnings(),
            *self._python(profile),
            *(self._native(working) if self.settings.native else ()),
            "## Threads by CPU time",
            self._threads(),
        ]
        return "\n\n".join(parts) + "\n"

    def _warnings(self) -> Iterator[str]:
        if not is_good(self.settings.name, self.recording.load):
            yield f"**Not valid: the answers were {dict(self.recording.load.statuses)}.**"
        if not self.settings.native:
            yield "**Without C frames, waiting threads count as working ones.**"

    def _python(self, profile: Profile) -> Iterator[str]:
        rows = [(layer, *self._share(samples, profile)) for layer, samples in profile.layers.most_common()]
        yield table(("layer", "share", "us/request"), rows)
        yield "## Python functions by self time (C functions that they call included)"
        yield self._functions(profile.by_self, profile)
        yield "## Python functions by cumulative time"
        yield self._functions(profile.cumulative, profile)

    def _native(self, working: list[Sample]) -> Iterator[str]:
        profile = count(working, native=True)
        yield "## All functions by self time"
        yield self._functions(profile.by_self, profile)

    def _functions(self, counts: Counter[Frame], profile: Profile) -> str:
        rows = [
            (str(frame), *self._share(samples, profile), profile.layer_of_self.get(frame, ""))
            for frame, samples in counts.most_common(self.settings.rows)
        ]
        return table(("function", "share", "us/request", "layer when innermost"), rows)

    def _share(self, samples: int, profile: Profile) -> tuple[str, str]:
        share = samples / max(1, profile.total)
        return f"{share:.1%}", f"{self.recording.each(share * self.recording.cpu_seconds):.1f}"

    def _threads(self) -> str:
        by_seconds = Counter(self.recording.thread_seconds).most_common(self.settings.rows)
        rows = [
            (f"{name} {number}", f"{seconds:.2f}", f"{self.recording.each(seconds):.0f}")
            for (number, name), seconds in by_seconds
            if seconds > 0
        ]
        return table(("thread", "CPU s", "us/request"), rows)


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--rate", type=float, help="Requests a second; as in the report if not given.")
@click.option("--seconds", type=click.FloatRange(1, 20), default=10.0, show_default=True)
@click.option("--hertz", type=click.IntRange(10, 1000), default=250, show_default=True)
@click.option("--rows", default=25, show_default=True, help="Of each table.")
@click.option("--native/--no-native", default=True, show_default=True, help="Look into C functions.")
@click.option("--program", type=click.Path(path_type=Path), default=PROGRAM, help="Another build to record.")
def main(name: Name, rate: float | None, program: Path, **detail: Any) -> None:
    """Record a workload; print where its time goes, and keep the stacks in bench/results/."""
    settings = Settings(name, rate or RATES[name], **detail)
    try:
        recording = record(settings, program)
    except (ServerFailedError, TooFewHoldsError, SpyFailedError, OSError) as error:
        raise click.ClickException(str(error)) from error
    RESULTS.mkdir(exist_ok=True)
    text = Tables(recording, settings).render()
    (RESULTS / f"profile-{name}.raw").write_text(recording.raw)
    (RESULTS / f"profile-{name}.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
