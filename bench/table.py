"""What was measured, as a table for people: medians, and how many times as long as the first each took."""

from __future__ import annotations

from statistics import median

from bench.measuring import Measured
from bench.peers import PEERS


def markdown(found: dict[str, Measured], failed: dict[str, str]) -> str:
    """A table, and below it the peers that were not measured, with the reason."""
    base = next(iter(found.values()))
    lines = [
        "| | parameters | sentences a second | | one sentence alone | | start to answer | most memory | right |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        cells = (
            f"{PEERS[name].title} ({one.version})",
            f"{one.parameters:,}",
            f"{1 / median(one.per_text):,.0f}",
            ratio(one.per_text, base.per_text),
            f"{1e6 * median(one.one_text):,.0f} µs",
            ratio(one.one_text, base.one_text),
            f"{median(one.start):.2f} s",
            f"{one.memory / 1e6:,.0f} MB",
            "" if one.right is None else f"{one.right:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nNot measured: {PEERS[name].title}: {why}." for name, why in failed.items()]
    return "\n".join(lines)


def ratio(own: list[float], base: list[float]) -> str:
    """The median of the ratios of the rounds, in each of which both were measured within seconds."""
    times = median(a / b for a, b in zip(own, base, strict=True))
    return f"× {times:.2g}" if times < 10 else f"× {times:,.0f}"
