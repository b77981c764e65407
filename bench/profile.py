# ruff: noqa: A005  (it is run as bench.profile; bench/ itself is never on the path)
"""Where a request's CPU time goes: py-spy on the server while it is under load.

One recording, shown twice: in Python functions alone, and with the C functions below them. The samples
say how a thread's time is divided; how much it is comes from the kernel's counters of each thread, since a
sampler takes a thread that is about to sleep for a running one.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from bench.cpu import CpuTime, pinned_to, thread_cpu
from bench.markdown import table
from bench.measure import MICROSECONDS, RESULTS
from bench.quota import Place
from bench.sections.common import GREETINGS_PER_SECOND
from bench.server import PROGRAM, Launch, ServerFailedError, embedded, running
from bench.stacks import Frame, Profile, Sample, count, is_waiting, parse, weigh
from bench.tally import LoadResult
from bench.targets import Stage, stage
from bench.workloads import NAMES, CannedBook, Name, Pace, RealBook, Session, TooFewHoldsError, is_good

PY_SPY = Path(sys.executable).parent / "py-spy"
ATTACH_SECONDS = 5.0
"""What py-spy takes to read the symbols before it samples; load goes on that much longer."""
SPY_WRITES_SECONDS = 30.0
RATE = 500.0
"""Requests a second: busy, but not saturated."""
EXTRA_HOLDS = 1.1
"""So that a refused hold does not leave confirm without work."""

_SCAFFOLD = re.compile(r"/click/|/threading\.py|/asyncio/runners\.py|/uvloop/|/entrypoints/cli/|/bin/")
"""What everything runs in: at the head of every cumulative table, and of no use there."""

Key = TypeVar("Key")


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
    on_aws: bool
    """On canned endpoints of AWS, not on the embedded runtime."""

    @property
    def pace(self) -> Pace:
        """Return the load, which outlasts the recording."""
        return Pace(self.rate_per_second, self.seconds + ATTACH_SECONDS)


@dataclass(frozen=True, slots=True)
class Recording:
    """One workload's samples, and the CPU seconds used meanwhile."""

    raw: str
    load: LoadResult
    threads: dict[int, CpuTime]
    """By thread id."""

    @property
    def cpu_seconds(self) -> float:
        """Return the sum over the threads."""
        return sum(cpu.total for cpu in self.threads.values())

    def each(self, seconds: float) -> float:
        """Return microseconds for each answer."""
        return seconds * MICROSECONDS / max(1, self.load.answered)


def record(settings: Settings, program: Path) -> Recording:
    """Start a server and record it; raises ServerFailedError, TooFewHoldsError, SpyFailedError."""
    with stage() as found, ExitStack() as stack:
        server = stack.enter_context(running(Place(found.pins.server), _launch(settings, found, program)))
        stack.enter_context(pinned_to(found.pins.generator))
        book = CannedBook(len(server.tokens)) if settings.on_aws else RealBook()
        return uvloop.run(_record(Session(server, book), settings))


def _launch(settings: Settings, found: Stage, program: Path) -> Launch:
    return found.on_aws(program=program) if settings.on_aws else embedded(found.identity, program)


async def _record(session: Session, settings: Settings) -> Recording:
    await session.greet(GREETINGS_PER_SECOND)
    if settings.name != "hold" and not settings.on_aws:
        await session.run("hold", Pace(settings.rate_per_second, settings.pace.seconds * EXTRA_HOLDS))
    pid = session.server.pid
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "raw.txt"
        before = thread_cpu(pid)
        load = await _run_under_spy(session, settings, _command(pid, settings, output))
        after = thread_cpu(pid)
        used = {thread: cpu - before.get(thread, CpuTime(0.0, 0.0)) for thread, cpu in after.items()}
        return Recording(output.read_text(), load, used)


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
    what = ["--pid", str(pid), "--subprocesses", "--threads", "--function", "--full-filenames"]
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
        weighed = weigh(samples, {thread: cpu.total for thread, cpu in self.recording.threads.items()})
        profile = count(weighed, native=False)
        each = self.recording.each(self.recording.cpu_seconds)
        rate = f"{self.settings.rate_per_second:g}/s"
        parts = [
            f"# {self.settings.name} at {rate}: {each:.0f} us of CPU a request, py-spy's pauses included",
            self._sizes(samples),
            *self._warnings(),
            *self._python(profile),
            *(self._native(weighed) if self.settings.native else ()),
            "## Threads by CPU time",
            self._threads(samples),
        ]
        return "\n\n".join(parts) + "\n"

    def _sizes(self, samples: list[Sample]) -> str:
        waiting = sum(sample.weight for sample in samples if is_waiting(sample))
        working = sum(sample.weight for sample in samples) - waiting
        return f"{working:.0f} samples, and {waiting:.0f} of waiting threads left out."

    def _warnings(self) -> Iterator[str]:
        load = self.recording.load
        if load.unfinished:
            yield f"**The server did not keep up: {load.unfinished} of {load.planned} without an answer.**"
        elif not is_good(self.settings.name, load):
            yield f"**Not valid: the answers were {dict(load.statuses)}.**"
        if not self.settings.native:
            yield "**Without C frames, waiting threads count as working ones.**"

    def _python(self, profile: Profile) -> Iterator[str]:
        layers = _ordered(profile.layers)
        yield table(("layer", "share", "us/request"), [(layer, *self._share(part)) for layer, part in layers])
        yield "## Python functions by self time (C functions that they call included)"
        yield self._functions(profile.by_self, profile)
        yield "## Python functions by cumulative time"
        inner = {
            frame: part for frame, part in profile.cumulative.items() if not _SCAFFOLD.search(frame.file)
        }
        yield self._functions(inner, profile)

    def _native(self, samples: list[Sample]) -> Iterator[str]:
        profile = count(samples, native=True)
        yield "## All functions by self time"
        yield self._functions(profile.by_self, profile)

    def _functions(self, parts: Mapping[Frame, float], profile: Profile) -> str:
        rows = [
            (str(frame), *self._share(seconds), profile.main_layer.get(frame, ""))
            for frame, seconds in _ordered(parts)[: self.settings.rows]
        ]
        return table(("function", "share", "us/request", "layer when innermost"), rows)

    def _share(self, seconds: float) -> tuple[str, str]:
        total = self.recording.cpu_seconds
        return f"{seconds / total if total else 0:.1%}", f"{self.recording.each(seconds):.1f}"

    def _threads(self, samples: list[Sample]) -> str:
        counts: Counter[int] = Counter()
        for sample in samples:
            if not is_waiting(sample):
                counts[sample.thread] += round(sample.weight)
        names = {sample.thread: sample.thread_name or "no name" for sample in samples}
        each = self.recording.each
        rows = [
            (
                names.get(thread, "no Python"),
                *(f"{each(part):.1f}" for part in (cpu.user, cpu.system)),
                str(counts[thread]),
            )
            for thread, cpu in sorted(self.recording.threads.items(), key=lambda item: -item[1].total)
            if cpu.total > 0
        ]
        return table(("thread", "user us/request", "system us/request", "samples"), rows)


def _ordered(parts: Mapping[Key, float]) -> list[tuple[Key, float]]:
    return sorted(parts.items(), key=lambda part: part[1], reverse=True)


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--aws/--embedded", "on_aws", default=True, show_default=True, help="The runtime.")
@click.option("--rate", "rate_per_second", default=RATE, show_default=True, help="Requests a second.")
@click.option("--seconds", type=click.FloatRange(1, 20), default=10.0, show_default=True)
@click.option("--hertz", type=click.IntRange(10, 1000), default=100, show_default=True)
@click.option("--rows", default=25, show_default=True, help="Of each table.")
@click.option("--native/--no-native", default=True, show_default=True, help="Look into C functions.")
@click.option("--program", type=click.Path(path_type=Path), default=PROGRAM, help="Another build to record.")
def main(name: Name, program: Path, **detail: Any) -> None:
    """Record a workload; print where its time goes, and keep the stacks in bench/results/."""
    settings = Settings(name, **detail)
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
