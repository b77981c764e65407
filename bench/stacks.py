"""Sampled call stacks: read them, weigh them by CPU time, and say which layer the time belongs to."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
        return f"{self.function} ({short_file(self.file)})" if self.file else self.function


@dataclass(frozen=True, slots=True)
class Sample:
    """A call stack of a thread, outermost frame first, and its weight: first a count, later CPU seconds."""

    thread: int
    thread_name: str
    frames: tuple[Frame, ...]
    weight: float


NO_PYTHON = Frame("threads and frames without Python", "")
OTHER = "other"
_LAYERS = (
    ("codec", r"/msgspec/|/json/|entrypoints/http/(render|decoding|wire|idempotency)\.py"),
    ("logging, metrics, tracing", r"/telemetry/|/logging/|prometheus_client/|application/tracing\.py"),
    ("auth", r"/adapters/jwt/|/joserfc/|/cryptography/|entrypoints/http/authentication\.py"),
    ("inventory", r"/adapters/sqlite/(inventory|venues)"),
    (
        "relay, event log, workers",
        r"/sqlite/(event_log|outbox)|/workers/|/application/(relay|deliver|expire|recover|outbox_entries)",
    ),
    ("sqlite writer and store", r"/adapters/sqlite/"),
    ("calls of AWS", r"/adapters/(aws_wire|dynamodb|eventbridge)/|/botocore/"),
    ("inventory over gRPC", r"/adapters/grpc_inventory/|/site-packages/grpc/|/reservation_proto/|/google/"),
    ("guards: breakers, bulkheads, limits", r"/adapters/resilience/"),
    ("use case", r"/reservation_api/(application|domain|ports|adapters)/"),
    ("HTTP adapter", r"/entrypoints/http/"),
)
LAYERS = tuple((layer, re.compile(pattern)) for layer, pattern in _LAYERS)
"""The innermost frame that matches one of these says whose work a sample is; the first match counts.
SQLite's own frames match none: its time belongs to whoever asked."""
LOOP_LAYER = "server and event loop"
"""For samples without a frame of the layers above: the loop calls, and is called by, all of them."""

_LOOP = re.compile(r"uvloop|/asyncio/|/selectors\.py|/concurrent/")
_WAITS = re.compile(
    r"epoll_p?wait|^p?poll$|^p?select$|cond_(timed|clock)?wait|sem_(timed|clock)?wait|futex|nanosleep|take_gil"
    r"|acquire_lock|_lock_lock|^syscall$"  # the last: how Rust waits for a futex
)
_UNNAMED_CALLEES = re.compile(r"/(libc|libpthread|libpython)[.\d-]")
"""What waits is called through these, and they have no names for all of their functions."""
_THREAD = re.compile(r"thread \((\d+)\)(?:: )?(.*)")
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)")
_PREFIXES = re.compile(r".*(?:/site-packages/|/src/|/lib/python3\.\d+/)")


def parse(text: str) -> Iterator[Sample]:
    """Read lines `frame;frame;frame count`: `py-spy record --format raw --threads --full-filenames`."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        parts = stack.split(";")
        threads = [match for part in parts if (match := _THREAD.match(part))]
        frames = tuple(_parse_frame(part) for part in parts if not part.startswith(("process ", "thread (")))
        if threads and frames:
            yield Sample(int(threads[0][1]), threads[0][2], frames, float(count))


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


def weigh(samples: Iterable[Sample], thread_seconds: Mapping[int, float]) -> list[Sample]:
    """Give the samples of each thread its CPU seconds, waiting samples none.

    A sampler sees a thread that often sleeps more often than it runs, so that its counts do not compare
    between threads. Threads without samples get one that says so.
    """
    working = [sample for sample in samples if not is_waiting(sample)]
    counts: Counter[int] = Counter()
    for sample in working:
        counts[sample.thread] += round(sample.weight)
    weighed = [
        replace(sample, weight=sample.weight * thread_seconds.get(sample.thread, 0.0) / counts[sample.thread])
        for sample in working
    ]
    unseen = [
        Sample(thread, "", (NO_PYTHON,), seconds)
        for thread, seconds in thread_seconds.items()
        if thread not in counts and seconds > 0
    ]
    return weighed + unseen


def layer_of(sample: Sample) -> str:
    """Name the layer that a sample's time belongs to."""
    for frame in reversed(sample.frames):
        for layer, pattern in LAYERS:
            if pattern.search(frame.file):
                return layer
    in_loop = any(frame == NO_PYTHON or _LOOP.search(frame.file) for frame in sample.frames)
    return LOOP_LAYER if in_loop else OTHER


@dataclass(frozen=True, slots=True)
class Profile:
    """Weights by the innermost frame, by any frame, by layer."""

    total: float
    by_self: Mapping[Frame, float]
    cumulative: Mapping[Frame, float]
    layers: Mapping[str, float]
    main_layer: Mapping[Frame, str]
    """The layer in which a function was innermost for most of the time."""


def count(samples: Iterable[Sample], *, native: bool) -> Profile:
    """Add samples up; a function that calls itself counts once for each sample.

    Without `native` a C function's time goes to the Python function that called it. Its layer stays.
    """
    by_self: dict[Frame, float] = defaultdict(float)
    cumulative: dict[Frame, float] = defaultdict(float)
    layers: dict[str, float] = defaultdict(float)
    pairs: dict[tuple[Frame, str], float] = defaultdict(float)
    for sample in samples:
        frames = [frame for frame in sample.frames if native or frame.is_python] or [NO_PYTHON]
        layer = layer_of(sample)
        layers[layer] += sample.weight
        by_self[frames[-1]] += sample.weight
        pairs[frames[-1], layer] += sample.weight
        for frame in set(frames):
            cumulative[frame] += sample.weight
    main_layer = {frame: layer for (frame, layer), _ in sorted(pairs.items(), key=lambda pair: pair[1])}
    return Profile(sum(layers.values()), by_self, cumulative, layers, main_layer)
