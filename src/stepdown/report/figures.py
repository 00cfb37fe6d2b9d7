"""Numbers and names as people read them."""

from __future__ import annotations

from stepdown.evaluate import Metric, MetricName
from stepdown.results import Rung

NONE = "–"
"""Stands where there is no number."""


def clean(text: str) -> str:
    """Text without control or other unprintable characters, which could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def name(row: Rung) -> str:
    """A model as what it is."""
    return clean(row.model)


def rank(row: Rung) -> str:
    """`teacher` or the number of the rung."""
    return "teacher" if row.kind == "teacher" else str(row.position)


def count(number: int) -> str:
    """22,713,216 as 22.7M; below a million in full, with separators."""
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if number >= size:
            value = number / size
            return f"{value:.2f}{unit}" if value < 9.995 else f"{value:,.1f}{unit}"
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes in decimal units: 286 kB, 90.9 MB."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 99.95 or unit == "B" else f"{value:.1f} {unit}"


def percent(value: float) -> str:
    """A share with one decimal."""
    return f"{value * 100:.1f}%"


def figure(value: float, metric: MetricName) -> str:
    """The value of a primary metric: a share as 88.9%, a correlation as 0.873."""
    return f"{value:.3f}".replace("-", "−") if metric == "pearson" else percent(value)


def interval(metric: Metric, name: MetricName = "accuracy") -> str:
    """A primary metric with its interval: 88.9% (86.6 to 90.8)."""
    if name == "pearson":
        ends = f"{metric.low:.3f} to {metric.high:.3f}".replace("-", "−")
        return f"{figure(metric.value, name)} ({ends})"
    return f"{percent(metric.value)} ({metric.low * 100:.1f} to {metric.high * 100:.1f})"


def times(ratio: float | None) -> str:
    """A ratio: 94×, 1.8×, 0.62×."""
    if ratio is None:
        return NONE
    return f"{ratio:,.0f}×" if ratio >= 9.95 else f"{ratio:.1f}×" if ratio >= 0.95 else f"{ratio:.2f}×"


def short(value: float) -> str:
    """Two significant digits, without an exponent, for times and hours."""
    if value == 0:
        return "0"
    digits = next((d for d in range(9) if abs(value) >= 0.95 * 10 ** (1 - d)), 9)
    return f"{value:,.{digits}f}" if digits else f"{value:,.0f}"
