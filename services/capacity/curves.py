"""Line charts as SVG that stand alone in a file: linear or logarithmic axes, light or dark as the screen is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import escape

WIDTH, HEIGHT = 720.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 150.0, 34.0, 48.0
_COLOURS = ("#2f6fb0", "#c2571a", "#2e8b57", "#8a4fb0", "#b08a1a", "#b03060", "#4a8f9a")
_STYLE = """text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:14px}.grid{stroke:#ddd}
.line{fill:none;stroke-width:2}.paper{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#333}.paper{fill:#0b0d10}}"""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """What it shows, and whether by powers of ten; a linear axis begins at nothing."""

    name: str
    log: bool = False

    def ends(self, values: Sequence[float]) -> Point:
        most = max(values)
        if not self.log:
            return 0.0, _round_up(most or 1.0)
        return 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(most) - 1e-9)

    def ticks(self, low: float, high: float) -> list[float]:
        if self.log:
            return [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
        step = _round_up(high / 5)
        return [number * step for number in range(math.floor(high / step + 1e-9) + 1)]

    def share(self, value: float, low: float, high: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        if self.log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return (value - low) / (high - low)


def draw(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The chart; `title` is read out in its place."""
    across, up = ([point[axis] for line in lines for point in line.points] for axis in (0, 1))
    x_ends, y_ends = x.ends(across), y.ends(up)
    right, floor = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def at(point: Point) -> Point:
        return (
            _LEFT + x.share(point[0], *x_ends) * (right - _LEFT),
            floor - y.share(point[1], *y_ends) * (floor - _TOP),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style><rect class="paper" width="100%" height="100%"/>',
        f'<text class="title" x="{_LEFT:g}" y="20">{escape(title)}</text>',
    ]
    for value in x.ticks(*x_ends):
        left = at((value, y_ends[0]))[0]
        parts.append(f'<path class="grid" d="M{left:.1f} {_TOP:g} V{floor:g}"/>')
        parts.append(f'<text x="{left:.1f}" y="{floor + 17:g}" text-anchor="middle">{_said(value)}</text>')
    for value in y.ticks(*y_ends):
        top = at((x_ends[0], value))[1]
        parts.append(f'<path class="grid" d="M{_LEFT:g} {top:.1f} H{right:g}"/>')
        parts.append(f'<text x="{_LEFT - 7:g}" y="{top + 4:.1f}" text-anchor="end">{_said(value)}</text>')
    ends: list[float] = []
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [at(point) for point in line.points]
        path = " L".join(f"{left:.1f} {top:.1f}" for left, top in places)
        parts.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        ends.append(places[-1][1])
    for (line, colour), top in zip(
        ((line, _COLOURS[number % len(_COLOURS)]) for number, line in enumerate(lines)), _apart(ends), strict=True
    ):
        parts.append(f'<text x="{right + 8:g}" y="{top + 4:.1f}" style="fill:{colour}">{escape(line.name)}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2:g}" y="{HEIGHT - 10:g}" text-anchor="middle">{escape(x.name)}</text>')
    side = (_TOP + floor) / 2
    parts.append(
        f'<text transform="translate(15 {side:g}) rotate(-90)" text-anchor="middle">{escape(y.name)}</text></svg>'
    )
    return "".join(parts)


def _apart(tops: Sequence[float], least: float = 15.0) -> list[float]:
    """Heights of the lines' names, moved down so that none covers another."""
    placed = list(tops)
    last = -math.inf
    for number in sorted(range(len(tops)), key=lambda index: tops[index]):
        last = placed[number] = max(tops[number], last + least)
    return placed


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value * (1 - 1e-9))
