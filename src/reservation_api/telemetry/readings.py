"""What metrics stand at, as numbers that add up: of one process, or of several together."""

from collections.abc import Iterable, Sequence

import msgspec

from reservation_api.telemetry.instruments import Counter, Family, Gauge, Histogram, Labels
from reservation_api.telemetry.names import Kind

ANY_FAMILY = Family[Counter] | Family[Gauge] | Family[Histogram]


class FamilyReading(msgspec.Struct, frozen=True, array_like=True):
    """One metric; each series has one number, or a histogram's count, total and counts of its buckets."""

    name: str
    kind: Kind
    description: str
    labels: Labels
    series: list[tuple[Labels, list[float]]]


def read_family(family: ANY_FAMILY) -> FamilyReading:
    """Return what a family stands at now."""
    metric = family.metric
    series = [(tuple(labels.values()), _numbers(one)) for labels, one in family.series()]
    return FamilyReading(metric.name, metric.kind, metric.description, metric.labels, series)


def merge(processes: Iterable[Sequence[FamilyReading]]) -> list[FamilyReading]:
    """Add up, series by series; of a peak the greatest counts."""
    firsts: dict[str, FamilyReading] = {}
    series: dict[str, dict[Labels, list[float]]] = {}
    for families in processes:
        for family in families:
            merged = series.setdefault(firsts.setdefault(family.name, family).name, {})
            for labels, numbers in family.series:
                known = merged.get(labels)
                merged[labels] = numbers if known is None else _together(family.kind, known, numbers)
    return [
        msgspec.structs.replace(first, series=list(series[name].items())) for name, first in firsts.items()
    ]


def what_lasts(families: Iterable[FamilyReading]) -> list[FamilyReading]:
    """Return what goes on counting when its process is gone: all but gauges."""
    return [family for family in families if family.kind in {Kind.COUNTER, Kind.HISTOGRAM}]


def _numbers(instrument: Counter | Gauge | Histogram) -> list[float]:
    if isinstance(instrument, Histogram):
        now = instrument.read()
        return [now.count, now.total, *now.buckets]
    return [instrument.value]


def _together(kind: Kind, one: Sequence[float], other: Sequence[float]) -> list[float]:
    if kind is Kind.PEAK:
        return [max(one[0], other[0])]
    return [a + b for a, b in zip(one, other, strict=True)]
