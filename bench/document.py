"""docs/performance.md, from the records alone: verdicts first, then a chapter for each section."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.calibration import slowness, yardsticks
from bench.chapters import CHAPTERS
from bench.charts import charts
from bench.fleet import scale_section
from bench.markdown import table
from bench.measure import Reading
from bench.records import SECTIONS, Record
from bench.scale import QUICK
from bench.sections.peers import OURS, Peers
from bench.verdicts import Verdict, verdicts

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
PRICED = ("hold", "get", "confirm", "cancel")
"""What the scale model reckons with."""
_INTRODUCTION = """\
Written by `make bench`; how it is measured, and how to read it: [bench](../bench/README.md).
Ratios are the result: absolute figures are of one machine, on one day."""


def write(records: Mapping[str, Record], document: Path = DOCUMENT, pictures: Path = PICTURES) -> None:
    """Write the document and its pictures."""
    found = {name: one.found for name, one in records.items()}
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = charts(found)
    for name, picture in drawn.items():
        (pictures / name).write_text(picture)
    document.write_text(render(records, list(drawn)))


def render(records: Mapping[str, Record], pictures: list[str]) -> str:
    """Write the text."""
    found = {name: one.found for name, one in records.items() if one.error is None}
    parts = ["# Performance", _INTRODUCTION, *_warnings(records), "## The aims", *_aims(found)]
    for name in SECTIONS:
        if name in found:
            title, chapter = CHAPTERS[name]
            parts += [f"## {title}", *chapter(found[name]), *_pictures(name, pictures)]
    parts += ["## What a fleet takes", *_scale(found.get("peers"))]
    parts += ["## Where and how", *_conditions(records)]
    return "\n\n".join(parts) + "\n"


def _warnings(records: Mapping[str, Record]) -> Iterator[str]:
    if any(one.scale.step_seconds <= QUICK.step_seconds for one in records.values()):
        yield "**A smoke run, too short for its figures to mean anything.**"
    for name, one in records.items():
        if one.error is not None:
            yield f"**Failed: {name}.**\n\n```\n{one.error.strip()}\n```"
    for name in SECTIONS:
        if name not in records:
            yield f"**Not run: {name}.**"
    for name, one in records.items():
        invalid = [reading for reading in _readings(one.found) if not reading.is_valid]
        if name != "overload" and invalid:
            told = "; ".join(f"{bad.name} at {bad.rate:.0f}/s: {bad.statuses}" for bad in invalid[:3])
            yield f"**In {name}, {len(invalid)} readings have other answers than they are about: {told}.**"


def _readings(found: Any) -> Iterator[Any]:
    """Find every reading in what a section found."""
    if isinstance(found, Reading):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _readings(value)
    elif isinstance(found, list):
        for value in found:
            yield from _readings(value)
    elif hasattr(found, "__struct_fields__"):
        for field in found.__struct_fields__:
            yield from _readings(getattr(found, field))


def _aims(found: Mapping[str, Any]) -> Iterator[str]:
    judged = verdicts(found)
    counts = [sum(one.is_met is outcome for one in judged) for outcome in (True, False, None)]
    yield "{} met, {} missed, {} not measured.".format(*counts)
    head = ("aim", "measured here", "verdict", "normalised, not measured")
    yield table(head, (_row(one) for one in judged))
    sticks = yardsticks(found.get("floor"), found.get("peers"))
    slower = slowness(sticks)
    if slower is None:
        return
    yield (
        "*Normalised*: the absolute aims are those of the machine that the design was measured on. This one"
        f" does the same work {slower:.1f} times slower by the yardstick that flatters us least, and the last"
        " column divides by that. It is a reckoning, not a measurement: the verdict beside it is of what was"
        " measured."
    )
    rows = ((one.name, f"{one.there:g}", f"{one.here:.1f}", f"{one.factor:.1f}") for one in sticks)
    yield table(("yardstick", "us there", "us here", "times slower"), rows)


def _row(one: Verdict) -> tuple[str, ...]:
    return (one.aim, one.measured, one.word, one.normalised_word)


def _pictures(section: str, pictures: list[str]) -> Iterator[str]:
    for name in pictures:
        if name.startswith(section):
            yield f"![{name.removesuffix('.svg').replace('-', ' ')}](performance/{name})"


def _scale(peers: Peers | None) -> Iterator[str]:
    """Hand the model what was measured here; without that it has its own figures."""
    measured = {} if peers is None else {name: peers.costs[OURS][name].median for name in PRICED}
    if measured:
        told = ", ".join(f"{name} = {price:.0f}" for name, price in measured.items())
        yield f"With the CPU that was measured here ({told}, in us), on processors of this machine's speed."
    yield scale_section(measured).strip()


def _conditions(records: Mapping[str, Record]) -> Iterator[str]:
    if not records:
        return
    latest = max(records.values(), key=lambda one: one.at)
    yield table(("what", "value"), latest.facts.items())
    head = ("section", "measured", "seconds", "commit")
    rows = (
        (name, one.at, f"{one.took_seconds:.0f}", one.facts.get("Commit", "unknown"))
        for name, one in records.items()
    )
    yield table(head, rows)
