"""The pictures of the document."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.sections.latency import Latency
from bench.sections.overload import Overload
from bench.sections.soak import Slice, Soak
from bench.svg import Axis, Curve, chart


def charts(found: Mapping[str, Any]) -> dict[str, str]:
    """Draw what there is, by the names of the files: each begins with its section's."""
    drawn: dict[str, str] = {}
    if found.get("latency") is not None:
        drawn |= _latency(found["latency"])
    if found.get("overload") is not None:
        drawn["overload.svg"] = _overload(found["overload"])
    if found.get("soak") is not None:
        drawn |= dict(_soak(found["soak"]))
    return drawn


def _latency(latency: Latency) -> dict[str, str]:
    storms = {
        name: curve for name, curve in latency.curves.items() if curve.runtime == "embedded" and curve.steps
    }
    sales = {name: curve for name, curve in latency.curves.items() if name not in storms and curve.steps}
    named = {"latency-aws.svg": ("P95 on AWS", sales), "latency-storms.svg": ("P95 in storms", storms)}
    x, y = Axis("per cent of saturation"), Axis("P95, ms")
    return {
        file: chart(
            title,
            x,
            y,
            [
                Curve(name, [(100 * step.share, step.reading.latency.p95) for step in curve.steps])
                for name, curve in curves.items()
            ],
        )
        for file, (title, curves) in named.items()
        if curves
    }


def _overload(overload: Overload) -> str:
    points = [(100 * load.factor, load.goodput) for load in overload.loads]
    ideal = [(x, overload.best) for x, _ in points]
    curves = [Curve("orders", points), Curve("peak", ideal, is_dashed=True)]
    return chart(
        "The sale beyond saturation", Axis("per cent of saturation"), Axis("orders a second"), curves
    )


def _soak(soak: Soak) -> Iterator[tuple[str, str]]:
    minute = soak.minutes / 10
    pictures: Mapping[str, tuple[str, Callable[[Slice], float]]] = {
        "soak-memory.svg": ("MiB", lambda one: one.resident),
        "soak-cpu.svg": ("CPU us a request", lambda one: one.reading.microseconds),
    }
    for file, (title, pick) in pictures.items():
        curves = [
            Curve(name, [((number + 1) * minute, pick(one)) for number, one in enumerate(slices)])
            for name, slices in soak.slices.items()
        ]
        yield file, chart(f"The soak: {title}", Axis("minutes"), Axis(title), curves)
