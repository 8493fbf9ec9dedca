"""The report's figures as inline SVG, drawn by hand so that they follow the page's light or dark colours by class."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from services.datasets.evaluation.agreement import BlandAltman
from services.datasets.evaluation.calibrating import Reliability

WIDTH, HEIGHT = 280.0, 252.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 10.0, 10.0, 40.0

Point = tuple[float, float]


@dataclass(frozen=True)
class _Frame:
    """Axes: ranges of both, and where a value lies in the picture."""

    x: Point
    y: Point

    def at(self, point: Point) -> Point:
        across = (point[0] - self.x[0]) / (self.x[1] - self.x[0])
        up = (point[1] - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def path(self, points: Iterable[Point], css: str) -> str:
        places = " L".join("{:.1f} {:.1f}".format(*self.at(point)) for point in points)
        return f'<path class="{css}" d="M{places}"/>'

    def dots(self, points: Iterable[Point], css: str = "dot", radius: float = 3) -> str:
        places = (self.at(point) for point in points)
        return "".join(f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>' for x, y in places)

    def level(self, value: float, css: str) -> str:
        return self.path([(self.x[0], value), (self.x[1], value)], css)

    def band(self, low: float, high: float) -> str:
        (left, top), (right, bottom) = self.at((self.x[0], high)), self.at((self.x[1], low))
        return (
            f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
        )

    def note(self, value: float, text: str) -> str:
        """Words above a level, at its right end."""
        x, y = self.at((self.x[1], value))
        return f'<text class="note" x="{x - 3:.1f}" y="{y - 4:.1f}" text-anchor="end">{escape(text)}</text>'

    def draw(self, title: str, x_name: str, y_name: str, *content: str, x_words: Sequence[str] | None = None) -> Markup:
        """The whole picture; `title` is read out in its place. `x_words` stand at 0, 1, 2 ... instead of numbers."""
        parts = [f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">']
        floor, end = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        marks = enumerate(x_words) if x_words is not None else ((value, f"{value:g}") for value in _ticks(*self.x))
        for value, word in marks:
            x, _ = self.at((value, self.y[0]))
            if x_words is None:
                parts.append(f'<path class="grid" d="M{x:.1f} {_TOP:g} V{floor:g}"/>')
            parts.append(f'<text x="{x:.1f}" y="{floor + 14:g}" text-anchor="middle">{escape(word)}</text>')
        for value in _ticks(*self.y):
            _, y = self.at((self.x[0], value))
            parts.append(f'<path class="grid" d="M{_LEFT:g} {y:.1f} H{end:g}"/>')
            parts.append(f'<text x="{_LEFT - 6:g}" y="{y + 3.5:.1f}" text-anchor="end">{_signed(value)}</text>')
        parts += content
        middle, side = (_LEFT + end) / 2, (_TOP + floor) / 2
        parts.append(
            f'<text class="name" x="{middle:g}" y="{HEIGHT - 6:g}" text-anchor="middle">{escape(x_name)}</text>'
        )
        parts.append(
            f'<text class="name" transform="translate(11 {side:g}) rotate(-90)" text-anchor="middle">'
            f"{escape(y_name)}</text></svg>"
        )
        return Markup("".join(parts))  # noqa: S704  numbers, and names that were escaped


_SHARE = (0.0, 1.0)


NOTHING_ML = 1e-9


def roc_figure(label: str, curve: Sequence[Point], operating: Point) -> Markup:
    """The curve, chance, and where the operating point lies, all as (1 - specificity, sensitivity)."""
    frame = _Frame(_SHARE, _SHARE)
    return frame.draw(
        f"ROC curve of {label}",
        "1 − specificity",
        "Sensitivity",
        frame.path([(0, 0), (1, 1)], "identity"),
        frame.path(curve, "curve"),
        frame.dots([operating], "point", 4.5),
    )


def scatter_figure(label: str, points: Sequence[Point]) -> Markup:
    """(truth, answer) in mL, with the line of identity."""
    most = _round_up(max((max(point) for point in points), default=1.0))
    frame = _Frame((0, most), (0, most))
    return frame.draw(
        f"Volumes of {label}, model against experts",
        "Experts, mL",
        "Model, mL",
        frame.path([(0, 0), (most, most)], "identity"),
        frame.dots(points),
    )


def bland_altman_figure(
    label: str, points: Sequence[Point], agreement: BlandAltman, difference: str = "Model − experts"
) -> Markup:
    """Differences (answer - truth) over means, with bias, limits and their intervals."""
    pairs = [((truth + answer) / 2, answer - truth) for truth, answer in points]
    lines = [("upper limit", agreement.upper_limit), ("bias", agreement.bias), ("lower limit", agreement.lower_limit)]
    values = [difference for _, difference in pairs]
    values += [bound for _, line in lines for bound in (line.lower, line.upper) if bound is not None]
    reach = _round_up(max((abs(value) for value in values), default=1.0) or 1.0)
    frame = _Frame((0, _round_up(max((mean for mean, _ in pairs), default=1.0))), (-reach, reach))
    content = [frame.level(0, "identity")]
    for name, line in lines:
        if line.value is not None and line.lower is not None and line.upper is not None:
            content.append(frame.band(line.lower, line.upper))
            content.append(frame.level(line.value, "bias" if name == "bias" else "limit"))
    content.append(frame.dots(pairs))
    content += [
        frame.note(line.value, f"{name} {_signed(round(line.value, 1))}")
        for name, line in lines
        if line.value is not None
    ]
    return frame.draw(f"Bland-Altman plot of {label}", "Mean of both, mL", f"{difference}, mL", *content)


def reliability_figure(label: str, before: Reliability, after: Reliability) -> Markup:
    """Share that shows the label over mean probability, before and after calibration."""
    frame = _Frame(_SHARE, _SHARE)
    old, new = ([(b.predicted, b.observed) for b in each.bins] for each in (before, after))
    return frame.draw(
        f"Reliability of {label}",
        "Probability",
        "Share that shows it",
        frame.path([(0, 0), (1, 1)], "identity"),
        frame.path(old, "before"),
        frame.dots(old, "before"),
        frame.path(new, "curve"),
        frame.dots(new),
    )


def bars_figure(title: str, x_name: str, counts: Mapping[str, int]) -> Markup:
    """How often what occurs; whole numbers, so the axis begins at nothing."""
    frame = _Frame((-0.6, len(counts) - 0.4), (0, _round_up(max(4, *counts.values()))))
    content = []
    for place, count in enumerate(counts.values()):
        (left, top), (right, floor) = frame.at((place - 0.32, count)), frame.at((place + 0.32, 0))
        content.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{floor - top:.1f}"/>'
            f'<text class="note" x="{(left + right) / 2:.1f}" y="{top - 4:.1f}" text-anchor="middle">{count}</text>'
        )
    return frame.draw(title, x_name, "Cases", *content, x_words=[*counts])


def strip_figure(title: str, y_name: str, values: Mapping[str, Sequence[float]], most: float | None = None) -> Markup:
    """Every value as a dot in its column, side by side in order, with a line at the median."""
    top = most or _round_up(max((value for column in values.values() for value in column), default=1.0))
    frame = _Frame((-0.6, len(values) - 0.4), (0, top))
    content = []
    for place, column in enumerate(values.values()):
        ordered = sorted(column)
        spread = [(0.5 + 0.618034 * index) % 1 - 0.5 for index in range(len(ordered))]
        content.append(frame.dots((place + 0.5 * off, value) for off, value in zip(spread, ordered, strict=True)))
        if ordered:
            middle = float(np.median(ordered))
            content.append(frame.path([(place - 0.32, middle), (place + 0.32, middle)], "bias"))
    return frame.draw(title, "", y_name, *content, x_words=[*values])


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values."""
    step = _round_up((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten; 1 for nothing, which is less than any voxel."""
    if value <= NOTHING_ML:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value * (1 - 1e-9))


def _signed(value: float) -> str:
    """With a real minus sign."""
    return f"{value:g}".replace("-", "−")
