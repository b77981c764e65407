"""Measure everything and write docs/performance.md: `make bench`, or `python -m bench.suite`.

Each section runs in a process of its own. One that fails or hangs is reported, and the others go on; whatever
it has started ends with it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from bench import document
from bench.cpu import descendants
from bench.measure import RESULTS
from bench.quota import remove_leftovers
from bench.records import SECTIONS, Record, load, record, save
from bench.scale import FULL, QUICK, Scale
from bench.targets import stage

PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 90.0
"""For a section that is told to end: it ends its servers first."""
ERROR_CHARACTERS = 2000


def adopt_orphans() -> None:
    """Become the parent of all whose own parent dies: so that nothing outlasts us (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill whatever is left below this process."""
    while left := descendants(os.getpid())[1:]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def run_section(name: str, scale: Scale, folder: Path = RESULTS) -> Record:
    """Run a section in a process of its own, which keeps what it finds; return its record."""
    limit = SECTIONS[name].limit_seconds + scale.soak_minutes * 60 * (name == "soak")
    began = time.monotonic()
    inside = msgspec.json.encode(scale).decode()
    command = [sys.executable, "-m", "bench.suite", "--only", name, "--inside", inside]
    output = folder / f"{name}.log"
    with TemporaryDirectory(prefix="reservation-bench-run-") as scratch, output.open("wb") as log:
        environment = {**os.environ, "TMPDIR": scratch}  # a section that is killed leaves gigabytes
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            code = process.wait(limit)
            fault = f"it ended with {code}" if code else None
        except subprocess.TimeoutExpired:
            fault = f"it was not done after {limit:.0f} s"
            _end(process)
        except BaseException:
            _end(process)
            raise
        finally:
            end_children()
            remove_leftovers()
    if fault is None:
        return load(folder)[name]
    told = output.read_text(errors="replace")[-ERROR_CHARACTERS:]
    failed = record(name, scale, time.monotonic() - began, f"{fault}:\n{told}")
    save(failed, folder)
    return failed


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)  # it unwinds, and so ends its servers
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    process.kill()
    process.wait()


def measure_here(name: str, scale: Scale, folder: Path = RESULTS) -> None:
    """Run a section in this process and keep what it finds."""
    began = time.monotonic()
    with stage() as found:
        outcome = SECTIONS[name].run(found, scale)
    save(record(name, scale, time.monotonic() - began, outcome), folder)


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run of less than two minutes: its figures mean nothing.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Of the sections; repeatable.")
@click.option("--soak-minutes", type=click.FloatRange(0.05, 600), help="How long the soak lasts.")
@click.option("--growth-rows", type=click.IntRange(1000, 100_000_000), help="Reservations of the full store.")
@click.option("--render", is_flag=True, help="Measure nothing; write the document from bench/results.")
@click.option("--inside", hidden=True, help="The scale, for a section in its own process.")
def main(
    *, quick: bool, only: tuple[str, ...], render: bool, inside: str | None, **sizes: float | None
) -> None:
    """Run the sections one after the other, and write the document."""
    if inside is not None:
        for name in only:
            measure_here(name, msgspec.json.decode(inside, type=Scale))
        return
    RESULTS.mkdir(exist_ok=True)
    failed = [] if render else _run_all(only or tuple(SECTIONS), _scale(sizes, quick=quick))
    document.write(load())
    click.echo(f"written: {document.DOCUMENT}")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def _scale(sizes: dict[str, float | None], *, quick: bool) -> Scale:
    changes = {name: size for name, size in sizes.items() if size is not None}
    return msgspec.structs.replace(QUICK if quick else FULL, **changes)


def _run_all(names: tuple[str, ...], scale: Scale) -> list[str]:
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = []
    for name in names:
        click.echo(f"{name} … (bench/results/{name}.log)", err=True)
        one = run_section(name, scale)
        click.echo(f"{name}: {one.took_seconds:.0f} s{' FAILED' if one.error else ''}", err=True)
        failed += [name] if one.error else []
    return failed


if __name__ == "__main__":
    main()
