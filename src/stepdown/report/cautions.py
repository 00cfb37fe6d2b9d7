"""What should make a reader of a report careful, in sentences."""

from __future__ import annotations

from stepdown.compare import MIN_SEEDS
from stepdown.report import judged
from stepdown.report.figures import clean, figure, percent, rank
from stepdown.results import Results, too_few_seeds

FEW_TEXTS = 200
"""Fewer report texts than this are worth a warning: an accuracy of 90% then has more than ±4 points."""


def cautions(results: Results) -> tuple[str, ...]:
    """What to bear in mind of a run, a sentence each; nothing where nothing is amiss."""
    found = [*judged.missing(results)]
    if too_few_seeds(results):
        found.append(
            f"Fewer than {MIN_SEEDS} seeds: no difference can be shown. "
            f"Set compare.seeds to {MIN_SEEDS} or more."
        )
    told = results.data.report
    if told < FEW_TEXTS:
        found.append(f"Only {told} report texts: intervals are wide, and small differences cannot be shown.")
    found += _majority(results)
    overlaps = [overlap for overlap in results.data.facts.overlaps if overlap.second == "report"]
    left = max((overlap.rows for overlap in overlaps if overlap.first != "selection"), default=0)
    if left:
        found.append(
            f"{left:,} of {told:,} report texts share a run of words with texts that were learnt from: the "
            "results on them may flatter every model, the teacher included."
        )
    metric = results.metric
    top = results.rungs[0].metrics.get(metric) if results.rungs else None
    alone = [row for row in results.rungs if row.arm == "direct"]
    if top and alone and alone[-1].metrics[metric].value > top.value:
        found.append(
            f"From the labels alone the student reaches {figure(alone[-1].metrics[metric].value, metric)}, its "
            f"teacher {figure(top.value, metric)}: such a teacher has little to teach. Take a better one, or fine-tune "
            "it longer (teacher.epochs, teacher.learning_rate)."
        )
    positions = {cell.position for cell in results.cells}
    idle = [str(p) for p in range(1, len(results.recipe.get("rungs", ())) + 1) if p not in positions]
    if idle:
        found.append(
            f"No arm asks for rung {' and '.join(idle)}: not trained. Add chain or dense to compare.arms for it."
        )
    coincide = results.coincide
    for kept in sorted(set(coincide.values())):
        arms = " and ".join(arm for arm, other in coincide.items() if other == kept)
        found.append(
            f"With this ladder {arms} would train the same student as {kept}: it was trained once, as {kept}."
        )
    return tuple(found)


def _majority(results: Results) -> list[str]:
    """Which rungs are not shown to beat a model that reads no text: that always names the commonest label."""
    split = results.data.facts.splits.get("report")
    if (
        results.data.task != "single-label"
        or results.metric != "accuracy"
        or split is None
        or not split.labels
    ):
        return []
    label, most = max(split.labels.items(), key=lambda item: item[1])
    share = most / max(1, sum(split.labels.values()))
    rungs = [row for row in results.rungs if row.kind == "rung" and "accuracy" in row.metrics]
    behind = [row for row in rungs if row.metrics["accuracy"].low <= share]
    if not behind:
        return []
    which = "no rung is shown to beat that"
    if len(behind) < len(rungs):
        named = ", ".join(f"rung {rank(row)}{f' ({row.arm})' if row.arm else ''}" for row in behind)
        which = f"these are not shown to beat that: {named}"
    return [
        f"Always naming the commonest label, {clean(label)}, would be right on {percent(share)} of the report texts, "
        f"and {which}."
    ]
