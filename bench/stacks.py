"""Sampled call stacks: read them, count functions, and say which layer the time belongs to."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Frame(NamedTuple):
    """A function and the file it is in."""

    function: str
    file: str

    @property
    def is_python(self) -> bool:
        """Tell it from a native one, which has a library or a C file."""
        return self.file.endswith(".py")

    def __str__(self) -> str:
        return f"{self.function} ({short_file(self.file)})"


@dataclass(frozen=True, slots=True)
class Sample:
    """One call stack, outermost frame first, and how often it was seen."""

    frames: tuple[Frame, ...]
    count: int


OTHER = "other"
OWN_LAYERS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (layer, re.compile(pattern))
    for layer, pattern in (
        ("codec", r"/msgspec/|/json/|entrypoints/http/(render|decoding|wire|idempotency)\.py"),
        ("logging, metrics, tracing", r"/telemetry/|/logging/|prometheus_client/|application/tracing\.py"),
        ("auth", r"/adapters/jwt/|/joserfc/|/cryptography/|entrypoints/http/authentication\.py"),
        ("inventory", r"/adapters/sqlite/(inventory|venues)"),
        (
            "relay, event log, workers",
            r"/sqlite/(event_log|outbox)|/workers/|/application/(relay|deliver|expire|recover|outbox_entries)",
        ),
        ("sqlite writer and store", r"/adapters/sqlite/"),
        ("use case", r"/reservation_api/(application|domain|ports|adapters)/"),
        ("HTTP adapter", r"/reservation_api/"),
    )
)
"""The innermost frame that matches one of these says whose work a sample is; the first match counts.
SQLite's own frames match none: its time belongs to whoever asked."""
GENERIC_LAYERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("server and event loop", re.compile(r"granian|uvloop|/asyncio/|/selectors\.py|/concurrent/")),
)
"""Only for samples without a frame of the layers above: the loop calls, and is called by, all of them."""

_WAITS = re.compile(
    r"epoll_p?wait|^p?poll$|^p?select$|cond_(timed|clock)?wait|sem_(timed|clock)?wait|futex|nanosleep|take_gil"
    r"|acquire_lock|_lock_lock"
)
_UNNAMED_CALLEES = re.compile(r"/(libc|libpthread|libpython)[.\d-]")
"""What waits is called through these, and they have no names for all of their functions."""
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)")
_PREFIXES = re.compile(r".*(?:/site-packages/|/src/|/lib/python3\.\d+/)")


def parse(text: str) -> Iterator[Sample]:
    """Read lines `frame;frame;frame count`, as `py-spy record -f raw --full-filenames` writes them."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack:
            frames = (
                _parse_frame(part)
                for part in stack.split(";")
                if not part.startswith(("process ", "thread "))
            )
            yield Sample(tuple(frames), int(count))


def _parse_frame(text: str) -> Frame:
    match = _FRAME.fullmatch(text)
    if not match:
        return Frame(text, "")
    named = not match["function"].startswith("0x")  # an address is another one in each process
    return Frame(match["function"] if named else "?", match["file"])


def short_file(file: str) -> str:
    """Drop the part of a path that depends on the machine; of a library or C file only its name is left."""
    if file.endswith(".py"):
        return _PREFIXES.sub("", file)
    return file.rpartition("/")[2]


def layer_of(sample: Sample) -> str:
    """Name the layer that a sample's time belongs to."""
    for layers in (OWN_LAYERS, GENERIC_LAYERS):
        for frame in reversed(sample.frames):
            for layer, pattern in layers:
                if pattern.search(frame.file):
                    return layer
    return OTHER


def is_waiting(sample: Sample) -> bool:
    """Tell whether a thread was caught going to sleep or waking up: a sampler counts that as running."""
    for frame in reversed(sample.frames):
        if frame.is_python:
            return False
        if _WAITS.search(frame.function):
            return True
        if not _UNNAMED_CALLEES.search(frame.file):
            return False
    return False


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of samples: by the innermost frame, by any frame, by layer."""

    total: int
    by_self: Counter[Frame]
    cumulative: Counter[Frame]
    layers: Counter[str]
    layer_of_self: dict[Frame, str]
    """The layer in which a function was innermost most often."""


def count(samples: Iterable[Sample], *, native: bool) -> Profile:
    """Add samples up; a function that calls itself counts once for each sample.

    Without `native` a C function's time goes to the Python function that called it. Its layer stays.
    """
    by_self: Counter[Frame] = Counter()
    cumulative: Counter[Frame] = Counter()
    layers: Counter[str] = Counter()
    pairs: Counter[tuple[Frame, str]] = Counter()
    for sample in samples:
        frames = [frame for frame in sample.frames if native or frame.is_python]
        if frames:
            layer = layer_of(sample)
            layers[layer] += sample.count
            by_self[frames[-1]] += sample.count
            pairs[frames[-1], layer] += sample.count
            cumulative.update(dict.fromkeys(frames, sample.count))
    main_layer = {frame: layer for (frame, layer), _ in reversed(pairs.most_common())}
    return Profile(layers.total(), by_self, cumulative, layers, main_layer)
