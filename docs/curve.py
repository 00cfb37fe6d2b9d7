# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib>=3.9"]
# ///
"""Draws accuracy against parameters from finished runs, with published models as points.

    python docs/curve.py runs/sst2-250k runs/curve-*

For each run it takes the one-hop student; value, interval and parameters stand in its results.json. docs/curve.md says
how the runs are made.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import EngFormatter

# SST-2 validation, as their authors or the recipe that we compare with report it; parameters with embeddings.
PUBLISHED = (
    ("bert-hash-femto, chain", 242_662, 0.8085),
    ("BERT-tiny, distilled", 4_386_178, 0.8326),
    ("BERT-mini, distilled", 11_171_074, 0.8750),
    ("DistilBERT", 66_955_010, 0.913),
)
BLUE, GREY = "#1f5fa8", "#6b6b6b"


def points(runs: list[Path]) -> list[tuple[int, float, float, float, int]]:
    """Parameters, mean accuracy, its interval and seeds of each run's one-hop student, by parameters."""
    found = []
    for run in runs:
        results = json.loads((run / "results.json").read_text(encoding="utf-8"))
        student = next(row for row in results["rungs"] if row["arm"] == "one-hop")
        accuracy = student["metrics"]["accuracy"]
        found.append(
            (student["params"], accuracy["value"], accuracy["low"], accuracy["high"], student["seeds"])
        )
    return sorted(found)


def draw(found: list[tuple[int, float, float, float, int]], path: Path) -> None:
    """Write the plot."""
    plt.rcParams.update({"font.size": 11, "svg.fonttype": "none", "svg.hashsalt": "stepdown"})
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    sizes, values, lows, highs, _ = zip(*found, strict=True)
    below = [value - low for value, low in zip(values, lows, strict=True)]
    above = [high - value for value, high in zip(values, highs, strict=True)]
    axes.errorbar(sizes, values, [below, above], fmt="o-", color=BLUE, capsize=3, label="stepdown, one hop")
    for name, size, value in PUBLISHED:
        axes.plot(size, value, "s", color=GREY)
        axes.annotate(name, (size, value), (6, -14), textcoords="offset points", color=GREY, fontsize=9)
    axes.plot([], [], "s", color=GREY, label="published")
    axes.set_xscale("log")
    axes.set_xlim(35_000, 300_000_000)
    axes.set_ylim(0.79, 0.95)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("parameters, embeddings included (log scale)")
    axes.set_ylabel("accuracy on SST-2 validation")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    measured = points([Path(name) for name in sys.argv[1:]])
    draw(measured, Path(__file__).with_name("curve.svg"))
    for size, value, low, high, seeds in measured:
        print(f"| {size:,} | {value:.3f} ({low:.3f} to {high:.3f}) | {seeds} |")
