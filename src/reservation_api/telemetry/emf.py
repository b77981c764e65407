"""Metrics for CloudWatch in its embedded metric format: lines on stdout, which its logs turn into metrics.

Only what is `essential` (document section 7.3), by the document's dimensions (section 4.1): each set of their
values is paid for. A line is what the collector beside the service would write of the same histogram: values
and how often each came, of which CloudWatch makes percentiles.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from reservation_api.telemetry.deltas import Deltas, HistogramDelta, Point, bucket_bounds
from reservation_api.telemetry.line_sink import LineSink
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import API_LATENCY, TELEMETRY_DROPPED, Metric

NAMESPACE: Final = "TrafficTacos/Reservation"
INTERVAL_SECONDS: Final = 60.0
"""CloudWatch looks at a minute, and is charged by the byte."""
MAX_VALUES: Final = 100
"""Of one metric in one line (CloudWatch's own limit); there are more lines if there are more."""
FLUSH_SECONDS: Final = 3.0
SIGNAL: Final = "emf"
_UNITS: Final = {"ms": "Milliseconds", "s": "Seconds", "1": "Count"}
_OF_THE_API: Final = re.compile("[/.]v1[/.]")
"""Endpoints that users wait for: health checks would hide what users see."""

_encode = msgspec.json.Encoder().encode


class EmfWriter:
    """Writes the metrics of one process by differences; a line that nobody reads is dropped, and counted."""

    def __init__(self, metrics: Metrics, now: Callable[[], datetime], sink: LineSink) -> None:
        self._deltas = Deltas(metrics)
        self._now = now
        self._sink = sink
        metrics.watch(TELEMETRY_DROPPED, (SIGNAL,), lambda: sink.dropped)

    async def run(self, stopping: asyncio.Event, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Write again and again until asked to stop, and then what there still is."""
        while not stopping.is_set():
            try:
                async with asyncio.timeout(interval_seconds):
                    await stopping.wait()
            except TimeoutError:
                self.write_once()
        self.write_once()
        await asyncio.to_thread(self._sink.flush, FLUSH_SECONDS)

    def write_once(self) -> None:
        """Write what is new."""
        for line in self.lines():
            self._sink.write(_encode(line) + b"\n")

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield a line for each series that has something to tell."""
        milliseconds = int(self._now().timestamp() * 1000)
        for family in self._deltas.take():
            if family.metric.essential:
                for point in family.points:
                    yield from _lines(family.metric, point, milliseconds)


def _lines(metric: Metric, point: Point, milliseconds: int) -> Iterator[Mapping[str, Any]]:
    dimensions = _dimensions(metric, point)
    if dimensions is None:
        return
    told = {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": [{"Name": metric.name, "Unit": _UNITS[metric.unit]}],
    }
    for value in _values(point.value):
        yield {
            "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [told]},
            **point.labels,
            metric.name: value,
        }


def _dimensions(metric: Metric, point: Point) -> list[Sequence[str]] | None:
    """Return the sets of dimensions, as the collector's configuration has them; None: not told at all."""
    if metric is not API_LATENCY:
        return [metric.labels]
    if _OF_THE_API.search(point.labels["endpoint"]) is None:
        return None
    return [metric.labels, ()]  # all endpoints together, for the alarm on P95


def _values(value: float | HistogramDelta) -> Iterator[Any]:
    if not isinstance(value, HistogramDelta):
        yield value
        return
    counts = [(0.0, value.zeros)] if value.zeros else []
    counts += [(_middle(index), n) for index, n in value.exponential.items()]
    total = value.total
    for start in range(0, len(counts), MAX_VALUES):
        part = counts[start : start + MAX_VALUES]
        is_first, is_last = start == 0, start + MAX_VALUES >= len(counts)
        yield {
            "Values": [middle for middle, _ in part],
            "Counts": [n for _, n in part],
            "Count": sum(n for _, n in part),
            # Sums of lines are added up: the first one has it all.
            "Sum": total if is_first else 0.0,
            "Min": value.least if is_first else part[0][0],
            "Max": value.greatest if is_last else part[-1][0],
        }


def _middle(index: int) -> float:
    """Return what stands for a bucket's values; six digits are more than it knows."""
    return float(f"{sum(bucket_bounds(index)) / 2:.6g}")
