"""The curve of a pretraining as one SVG file that needs nothing else: losses above, accuracy below."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stepdown.report.plot import LEFT, RIGHT, WIDTH, Scale

# Of one panel, and the space between two.
PANEL, GAP, TOP, BOTTOM = 190, 34, 26, 46
HEIGHT = TOP + 2 * PANEL + GAP + BOTTOM

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.grid { stroke: #ddd } .line { fill: none; stroke-width: 1.8 } .band { opacity: 0.18 }
.train { stroke: #8a8a8a; stroke-dasharray: 4 3 } .held { stroke: #1f5fa8 } .band.held { stroke: none; fill: #1f5fa8 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .grid { stroke: #444 } .held { stroke: #7db4f0 } .band.held { fill: #7db4f0 }
}
""".strip()

_Point = Mapping[str, Any]


def loss_curve(points: Sequence[_Point]) -> str:
    """Training and held-out loss, and held-out accuracy, against updates, with 95% intervals.

    Args:
        points: the `curve` of a `pretraining.json`, at least one.
    """
    last = points[-1]
    x = Scale(0, max(1, last["update"]), LEFT, WIDTH - RIGHT)
    trained = [(point["update"], point["train_loss"]) for point in points if point["train_loss"] is not None]
    losses = [value for _, value in trained] + [
        end for point in points for end in _ends(point, "held_out_loss")
    ]
    rights = [end for point in points for end in _ends(point, "held_out_accuracy")]
    bottom = HEIGHT - BOTTOM
    upper = _scale(losses, TOP + PANEL, TOP)
    lower = _scale([0.0, *rights], bottom, bottom - PANEL)
    told = (
        f"After {last['update']:,} updates: held-out loss {last['held_out_loss']['value']:.3f}, masked pieces named "
        f"right {last['held_out_accuracy']['value']:.1%}, of {last['held_out_accuracy']['n']:,}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>Loss and accuracy of a pretraining</title>",
            f"<desc>{told}</desc>",
            f"<style>{_STYLE}</style>",
            *_panel(x, upper, "loss in nats: held-out (line), training (dashes)", lambda value: f"{value:g}"),
            _line("train", x, upper, trained),
            *_held_out(x, upper, points, "held_out_loss"),
            *_panel(
                x, lower, "hidden pieces of held-out texts named right", lambda value: f"{value * 100:g}%"
            ),
            *_held_out(x, lower, points, "held_out_accuracy"),
            *_updates(x, bottom),
            "</svg>",
            "",
        ]
    )


def _ends(point: _Point, name: str) -> tuple[float, float]:
    return point[name]["low"], point[name]["high"]


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    ticks = _ticks(min(values), max(values))
    return Scale(ticks[0], ticks[-1], start, end)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, in two to six steps."""
    span = max(high - low, 1e-6)
    power = 10.0 ** math.floor(math.log10(span))
    step = next(factor * power for factor in (0.2, 0.5, 1.0, 2.0) if span / (factor * power) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 9) for number in range(first, max(last, first + 1) + 1)]


def _panel(x: Scale, y: Scale, heading: str, written: Callable[[float], str]) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{y.end - 9:.0f}">{heading}</text>'
    for tick in _ticks(y.low, y.high):
        at = y(tick)
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{x.end:.0f}"/>'
        yield f'<text x="{LEFT - 7}" y="{at + 4.5:.1f}" text-anchor="end">{written(tick)}</text>'


def _updates(x: Scale, bottom: float) -> Iterator[str]:
    for tick in _ticks(0, x.high):
        if tick <= x.high and tick == int(tick):
            text = f"{tick:,.0f}"
            yield f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">updates</text>'


def _held_out(x: Scale, y: Scale, points: Sequence[_Point], name: str) -> Iterator[str]:
    """The line of a measure, and the band of its intervals."""
    ahead = [(point["update"], point[name]["high"]) for point in points]
    back = [(point["update"], point[name]["low"]) for point in reversed(points)]
    yield f'<path class="band held" d="{_path(x, y, [*ahead, *back])}Z"/>'
    yield _line("held", x, y, [(point["update"], point[name]["value"]) for point in points])


def _line(kind: str, x: Scale, y: Scale, points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="line {kind}" d="{_path(x, y, points)}"/>' if points else ""


def _path(x: Scale, y: Scale, points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if number else 'M'}{x(a):.1f} {y(b):.1f}" for number, (a, b) in enumerate(points))
