"""The primary metric against parameters as one inline SVG, drawn by hand so that the page needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from stepdown.evaluate import MetricName
from stepdown.report.figures import count, figure, interval, name, rank
from stepdown.results import Rung

WIDTH, HEIGHT = 480, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 12, 46

DODGE = 15
"""Distance, in SVG units, between rungs whose parameters all but coincide: arms of one student."""

UNITS = (("B", 10**9), ("M", 10**6), ("K", 10**3), ("", 1))

# A mark is told by its shape as well as by its colour.
MARKS = {
    "teacher": "M-6-6H6V6H-6Z",
    "shared": "M0-6.5A6.5 6.5 0 1 1 0 6.5A6.5 6.5 0 1 1 0-6.5Z",
    "direct": "M0-7.5L7 5.5H-7Z",
    "one-hop": "M0-8L8 0L0 8L-8 0Z",
    "chain": "M0 7.5L7-5.5H-7Z",
    "dense": "M-2.5-7H2.5V-2.5H7V2.5H2.5V7H-2.5V2.5H-7V-2.5H-2.5Z",
}


@dataclass(frozen=True)
class Scale:
    """A linear map from [low, high] to [start, end], in SVG units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def plot(rows: Sequence[Rung], metric: MetricName = "accuracy", title: str = "accuracy") -> str:
    """The SVG element, or an empty string where no row has both parameters and the primary metric.

    Args:
        rows: of the ladder.
        metric: the primary one.
        title: what people call it.
    """
    drawn = [row for row in rows if row.params and metric in row.metrics]
    if not drawn:
        return ""
    logs = [math.log10(row.params) for row in drawn]
    lows, highs = zip(*((row.metrics[metric].low, row.metrics[metric].high) for row in drawn), strict=True)
    x = Scale(min(logs) - 0.3, max(logs) + 0.3, LEFT, WIDTH - RIGHT)
    ticks = _shares(min(lows), max(highs))
    y = Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    summary = "; ".join(
        f"{label(row)}: {count(row.params)} parameters, {_told(row, metric, title)}" for row in drawn
    )
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="plot-title plot-text">',
            f'<title id="plot-title">{escape(caption(title))}</title>',
            f'<desc id="plot-text">{escape(summary)}</desc>',
            *_axes(x, y, ticks, metric),
            *(_point(row, at, y, metric, title) for row, at in zip(drawn, _places(drawn, x), strict=True)),
            "</svg>",
        ]
    )


def caption(title: str) -> str:
    """What the drawing shows, where the primary metric is called so."""
    return f"{title[0].upper()}{title[1:]} against parameters"


def mark(row: Rung) -> str:
    """The class of a row's mark: `teacher`, `shared` (by all arms) or the arm."""
    return "teacher" if row.kind == "teacher" else row.arm or "shared"


def label(row: Rung) -> str:
    """A row in a word or two: teacher, rung 1, rung 2 chain."""
    return "teacher" if row.kind == "teacher" else f"rung {rank(row)}" + (f" {row.arm}" if row.arm else "")


def legend(rows: Sequence[Rung], metric: MetricName = "accuracy") -> str:
    """The marks in use and what they stand for, as an HTML list."""
    words = {"teacher": "teacher", "shared": "rung that all arms share"}
    items = (
        f'<li><svg viewBox="-9 -9 18 18" aria-hidden="true"><path class="mark {m}" d="{MARKS[m]}"/></svg>'
        f"{words.get(m, m)}</li>"
        for m in MARKS
        if m in {mark(row) for row in rows if row.params and metric in row.metrics}
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _axes(x: Scale, y: Scale, ticks: Sequence[float], metric: MetricName) -> Iterator[str]:
    step = ticks[1] - ticks[0]
    for tick in ticks:
        at = y(tick)
        text = figure(tick, metric)
        if metric != "pearson" and step >= 0.0099:
            text = f"{tick * 100:.0f}%"
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 7}" y="{at + 4.5:.1f}" text-anchor="end">{text}</text>'
    for number in _counts(x):
        at = x(math.log10(number))
        yield f'<path class="grid" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        unit, power = next(pair for pair in UNITS if number >= pair[1])
        text = f"{number // power}{unit}"
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{text}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">parameters (log scale)</text>'


def _shares(low: float, high: float) -> list[float]:
    """Round shares from below `low` to above `high`, in three to seven steps, within 0 and 1."""
    span = max(high - low, 0.004)
    step = next(s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if span / s <= 5 or s == 0.2)
    first, last = math.floor(low / step), math.ceil(min(high, 1.0) / step)
    return [round(i * step, 6) for i in range(first, max(last, first + 1) + 1)]


def _counts(x: Scale) -> list[int]:
    """Round numbers of parameters on the axis: powers of ten, and simple multiples of them where few fit."""
    exponents = range(math.floor(x.low), math.ceil(x.high) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        numbers = sorted(round(f * 10.0**e) for e in exponents for f in factors)
        inside = [number for number in numbers if number >= 1 and x.low <= math.log10(number) <= x.high]
        if len(inside) >= 3:
            break
    return inside


def _places(rows: Sequence[Rung], x: Scale) -> list[float]:
    """Where each row stands; rows closer than DODGE stand side by side around their mean."""
    groups: list[list[int]] = []
    order = sorted(range(len(rows)), key=lambda i: (rows[i].params, i))
    for i in order:
        near = groups and x(math.log10(rows[i].params)) - x(math.log10(rows[groups[-1][-1]].params)) < DODGE
        groups[-1].append(i) if near else groups.append([i])
    places = [0.0] * len(rows)
    for group in groups:
        middle = sum(x(math.log10(rows[i].params)) for i in group) / len(group)
        for k, i in enumerate(sorted(group)):
            places[i] = middle + (k - (len(group) - 1) / 2) * DODGE
    return places


def _point(row: Rung, at: float, y: Scale, metric: MetricName, title: str) -> str:
    found = row.metrics[metric]
    kind, middle = mark(row), y(found.value)
    return (
        f"<g><title>{escape(f'{label(row)}, {name(row)}: {_told(row, metric, title)}')}</title>"
        f'<path class="bar {kind}" d="M{at:.1f} {y(found.low):.1f}V{y(found.high):.1f}"/>'
        f'<path class="mark {kind}" transform="translate({at:.1f} {middle:.1f})" d="{MARKS[kind]}"/></g>'
    )


def _told(row: Rung, metric: MetricName, title: str) -> str:
    return f"{title} {interval(row.metrics[metric], metric)}"
