"""Line charts as SVG, a few hundred bytes a curve, and the same bytes for the same numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 24, 44, 60
_COLOURS: Final = ("#0b6e99", "#c2410c", "#15803d", "#7e22ce")
_TICKS: Final = 5
_STYLE: Final = "font-family:system-ui,sans-serif;font-size:13px"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points joined by lines; a dashed one is reckoned, not observed."""

    name: str
    points: Points
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What it shows, and in powers of ten or not."""

    title: str
    is_logarithmic: bool = False

    def place(self, value: float, bounds: tuple[float, float]) -> float:
        """Return where a value stands between the bounds: 0 to 1."""
        low, high = bounds
        if self.is_logarithmic:
            return (log10(value) - log10(low)) / (log10(high) - log10(low))
        return (value - low) / (high - low)

    def bounds(self, values: Sequence[float]) -> tuple[float, float]:
        """Return the ends of the axis."""
        if self.is_logarithmic:
            return float(10 ** int(log10(min(values)))), max(values)
        step = _step(max(values))
        return 0.0, step * ceil(round(max(values) / step, 9))

    def ticks(self, bounds: tuple[float, float]) -> list[float]:
        """Return the values to be written beside it."""
        low, high = bounds
        if self.is_logarithmic:
            return [low * 10.0**power for power in range(int(log10(high / low)) + 1)]
        step = _step(high)
        return [low + step * number for number in range(round((high - low) / step) + 1)]


def chart(title: str, x: Axis, y: Axis, curves: Sequence[Curve]) -> str:
    """Draw the curves; raises ValueError if there is nothing to draw."""
    xs = [point[0] for curve in curves for point in curve.points]
    ys = [point[1] for curve in curves for point in curve.points]
    if not xs:
        raise ValueError("no points, no chart")
    across, up = x.bounds(xs), y.bounds(ys)

    def spot(point: tuple[float, float]) -> tuple[float, float]:
        left = _LEFT + x.place(point[0], across) * (WIDTH - _LEFT - _RIGHT)
        return left, HEIGHT - _BOTTOM - y.place(point[1], up) * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="{_STYLE}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(WIDTH / 2, 22, title, "middle", "font-weight:600"),
        _text(WIDTH / 2, HEIGHT - 12, x.title, "middle"),
        f'<g transform="rotate(-90 16 {HEIGHT / 2:.0f})">{_text(16, HEIGHT / 2, y.title, "middle")}</g>',
    ]
    for tick in x.ticks(across):
        left, _ = spot((tick, up[0]))
        parts.append(_line((left, _TOP), (left, HEIGHT - _BOTTOM)))
        parts.append(_text(left, HEIGHT - _BOTTOM + 18, _told(tick), "middle"))
    for tick in y.ticks(up):
        _, height = spot((across[0], tick))
        parts.append(_line((_LEFT, height), (WIDTH - _RIGHT, height)))
        parts.append(_text(_LEFT - 8, height + 4, _told(tick), "end"))
    for number, curve in enumerate(curves):
        parts += _drawn(number, curve, [spot(point) for point in curve.points])
    return "\n".join([*parts, "</svg>", ""])


def _step(highest: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that it takes five to ten steps to the highest."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(highest / _TICKS) - 1)
    return max(factor * power for factor in (1, 2, 5) if factor * power * _TICKS <= highest * (1 + 1e-9))


def _drawn(number: int, curve: Curve, spots: Points) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    dash = ' stroke-dasharray="6 4"' if curve.is_dashed else ""
    path = " ".join(f"{left:.1f},{top:.1f}" for left, top in spots)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    return [line, _text(_LEFT + 12, _TOP + 18 + 18 * number, curve.name, "start", f"fill:{colour}")]


def _line(begin: tuple[float, float], end: tuple[float, float]) -> str:
    ends = f'x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {ends} stroke="#e5e7eb"/>'


def _text(left: float, top: float, text: str, anchor: str, style: str = "") -> str:
    where = f'x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}"'
    return f'<text {where} style="{style}">{escape(text)}</text>'


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == 0 else f"{value:.3g}"
