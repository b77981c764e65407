"""What the sections found, kept as JSON: each may be measured anew by itself, the document is made of all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import machine
from bench.measure import RESULTS
from bench.scale import Scale
from bench.sections import floor, growth, latency, overload, peers, sellout, soak, telemetry, workers
from bench.targets import Stage


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the benchmark."""

    run: Callable[[Stage, Scale], Any]
    found: type[msgspec.Struct]
    """What `run` returns."""
    limit_seconds: float
    """After that it hangs; the soak may take its minutes besides."""


SECTIONS: Mapping[str, Section] = {
    "floor": Section(floor.run, floor.Floor, 180),
    "peers": Section(peers.run, peers.Peers, 480),
    "telemetry": Section(telemetry.run, telemetry.Telemetry, 120),
    "latency": Section(latency.run, latency.Latency, 720),
    "overload": Section(overload.run, overload.Overload, 240),
    "sellout": Section(sellout.run, sellout.SellOut, 300),
    "growth": Section(growth.run, growth.Growth, 900),
    "workers": Section(workers.run, workers.Workers, 360),
    "soak": Section(soak.run, soak.Soak, 180),
}
"""In the order in which they run."""


class Record(msgspec.Struct, frozen=True):
    """A section that was run, or failed."""

    section: str
    at: str
    took_seconds: float
    scale: Scale
    facts: dict[str, str]
    """The machine and the versions."""
    error: str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def found(self) -> Any:
        """Return what its `run` returned; None if it failed."""
        if self.error is not None:
            return None
        return msgspec.json.decode(self.result, type=SECTIONS[self.section].found)


def record(section: str, scale: Scale, took: float, outcome: msgspec.Struct | str) -> Record:
    """Make a record of what was found, or of an error's text."""
    is_error = isinstance(outcome, str)
    return Record(
        section=section,
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        took_seconds=took,
        scale=scale,
        facts=dict(machine.facts()),
        error=outcome if isinstance(outcome, str) else None,
        result=msgspec.Raw(b"null" if is_error else msgspec.json.encode(outcome)),
    )


def save(one: Record, folder: Path = RESULTS) -> None:
    """Keep a record; one that failed does not take the place of a result of earlier."""
    folder.mkdir(exist_ok=True)
    name = one.section if one.error is None else f"{one.section}.failed"
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(one)))
    if one.error is None:
        (folder / f"{one.section}.failed.json").unlink(missing_ok=True)


def load(folder: Path = RESULTS) -> dict[str, Record]:
    """Read the records that there are, in the order of the sections; of a failed section the failure."""
    records = {}
    for section in SECTIONS:
        for name in (f"{section}.failed.json", f"{section}.json"):
            file = folder / name
            if file.exists():
                records[section] = msgspec.json.decode(file.read_bytes(), type=Record)
                break
    return records
