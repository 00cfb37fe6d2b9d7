"""What smaller weights cost: the answers that change, and the metric on texts whose right answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepdown.tasks import TaskKind

# More than this is no rounding that a user would take without being asked.
MOST_FLIPS = 0.005
MOST_LOST = 0.003
# With fewer labelled texts, a difference of that size is one or two texts.
FEWEST_LABELLED = 2000
# A value has changed if it moves by more than this share of the values' standard deviation. Were all to move by m of
# it at random, their correlation with anything would fall by m²/2 of itself, here by 0.00125. Measured on the margins
# of five trained students of 50K to 1M parameters (LOG.md): int8 moves 0.6 to 15% of the texts by more than 1%, and at
# most 0.02% by more than 5%, and the values correlate by 0.99997 or more with what they were.
MOST_MOVED = 0.05

_CHANGED: dict[TaskKind, str] = {
    "single-label": "get another label",
    "multi-label": "get other labels",
    "regression": f"get a value that is off by more than {MOST_MOVED:.0%} of the values' standard deviation",
}
_METRICS: dict[TaskKind, str] = {
    "single-label": "accuracy",
    "multi-label": "micro F1",
    "regression": "Pearson's correlation",
}


@dataclass(frozen=True)
class Loss:
    """Float32 weights against smaller ones on the same texts.

    Attributes:
        texts: compared.
        flips: texts that get another answer: another label, another set of labels, or a value that is off by more
            than 5% of the values' standard deviation.
        labelled: texts among them whose right answer is known.
        before, after: accuracy, micro F1 or Pearson's correlation on those; None where it is not defined.
        task: what is answered.
    """

    texts: int
    flips: int
    labelled: int
    before: float | None
    after: float | None
    task: TaskKind = "single-label"

    @property
    def acceptable(self) -> bool:
        """At most 0.5% of answers change, and at most 0.003 of the metric is lost where 2,000 labels tell."""
        if self.flips > MOST_FLIPS * self.texts:
            return False
        if self.before is None or self.after is None or self.labelled < FEWEST_LABELLED:
            return True
        # Rounded, since 0.900 - 0.897 is a little more than 0.003 in binary.
        return round(self.before - self.after, 9) <= MOST_LOST

    @property
    def bound(self) -> str:
        """What is acceptable, as a sentence."""
        most = f"{MOST_LOST}" if self.task == "regression" else f"{100 * MOST_LOST:.1f} points"
        return (
            f"At most {MOST_FLIPS:.1%} of texts may change and, on {FEWEST_LABELLED:,} labelled ones or more, "
            f"{most} of {_METRICS[self.task]} be lost."
        )

    def __str__(self) -> str:
        share = self.flips / max(1, self.texts)
        said = f"{self.flips:,} of {self.texts:,} texts {_CHANGED[self.task]} ({share:.2%})"
        if self.before is None or self.after is None:
            return said
        form = ".4f" if self.task == "regression" else ".2%"
        metric = f"{_METRICS[self.task]} on {self.labelled:,} labelled ones"
        return f"{said}; {metric} is {self.after:{form}}, {self.before:{form}} before"


def loss(task: TaskKind, before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> Loss:
    """Compare what two models say.

    Args:
        task: what is answered.
        before, after: answers, float32 [n, outputs]: 1 for the labels that are said and else 0, or the value.
        truth: the right ones in the same form; rows of NaN where they are not known.
    """
    if task == "regression":
        spread = before.std(dtype=np.float64) if len(before) else 0.0
        changed = np.abs(after - before)[:, 0] > MOST_MOVED * spread
    else:
        changed = (before != after).any(1)
    known = ~np.isnan(truth).any(1)
    measured = [_metric(task, said[known], truth[known]) for said in (before, after)]
    return Loss(len(truth), int(changed.sum()), int(known.sum()), measured[0], measured[1], task)


def _metric(task: TaskKind, said: np.ndarray, truth: np.ndarray) -> float | None:
    if not len(truth):
        return None
    if task == "single-label":
        return float((said == truth).all(1).mean())
    if task == "multi-label":
        marked = float(said.sum() + truth.sum())
        return 2 * float((said * truth).sum()) / marked if marked else 1.0  # as `evaluate.multi_label` has it
    if said.std() == 0 or truth.std() == 0:
        return None
    return float(np.corrcoef(said[:, 0].astype(np.float64), truth[:, 0].astype(np.float64))[0, 1])
