"""Metrics of what a model says, each with a 95% interval and the number of texts behind it.

    intervals      Wilson's for shares of texts, a bootstrap for all else
    single_label   accuracy and others of exclusive labels
    multi_label    F1 and others of sets of labels
    regression     correlations and errors of numbers
    calibration    what turns outputs into probabilities, and these into sets of labels
    abstaining     how much is answered, and how well, where answers of low probability are held back
    chance         whether a model knows anything at all

Here is what they have in common: each kind of task has a primary metric, which chooses between models, and which is
the mean of a value for each text, so that models can be compared in pairs (`stepdown.compare`).

Where nobody knows the labels of some texts, all that can be measured there is how like its teacher a model is: on how
many of them it says the same, or how its numbers go with the teacher's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stepdown.data.task import Task
from stepdown.evaluate import chance, multi_label, regression, single_label
from stepdown.evaluate.abstaining import Answered, answered
from stepdown.evaluate.calibration import Fit, calibrate, without_labels
from stepdown.evaluate.chance import MIN_KAPPA, ChanceTest
from stepdown.evaluate.intervals import LEVEL, Floats, Ints, Metric, proportion, wilson
from stepdown.outputs import UNCALIBRATED, Calibration
from stepdown.tasks import TaskKind

__all__ = [
    "LEVEL",
    "MIN_KAPPA",
    "PRIMARY",
    "SHARES",
    "TITLES",
    "UNCALIBRATED",
    "Answered",
    "ChanceTest",
    "Fit",
    "Floats",
    "Ints",
    "Metric",
    "MetricName",
    "Said",
    "agreed",
    "answered",
    "by_text",
    "calibrate",
    "calibrate_to_teacher",
    "chance_test",
    "lowest",
    "measure",
    "primary",
    "proportion",
    "suited",
    "wilson",
]

MetricName = Literal[
    "accuracy",
    "macro_f1",
    "mcc",
    "micro_f1",
    "pearson",
    "spearman",
    "agreement",
    "kl",
    "rmse",
    "mae",
    "ece",
    "nll",
    "ece_uncalibrated",
    "nll_uncalibrated",
    "ms_per_text",
]

PRIMARY: Mapping[TaskKind, MetricName] = {
    "single-label": "accuracy",
    "multi-label": "micro_f1",
    "regression": "pearson",
}
"""The metric that chooses between models, by kind of task."""

TITLES: Mapping[MetricName, str] = {
    "accuracy": "accuracy",
    "agreement": "agreement with the teacher",
    "micro_f1": "micro F1",
    "pearson": "Pearson's correlation",
}
"""What people call the primary metrics."""

SHARES: frozenset[MetricName] = frozenset(("accuracy", "agreement"))
"""Metrics that are shares of texts."""


def lowest(metric: MetricName) -> float:
    """The lowest value that a primary metric can have; the highest is 1."""
    return -1.0 if metric == "pearson" else 0.0


@dataclass(frozen=True)
class Said:
    """What a model says of n texts.

    Attributes:
        outputs: float32 [n, outputs]: logits, or for regression one number each.
        calibration: what turns them into probabilities and answers; as they are for regression.
    """

    outputs: NDArray[np.float32]
    calibration: Calibration = UNCALIBRATED


def primary(kind: TaskKind, *, labelled: bool) -> MetricName:
    """The metric that chooses between models on texts with or without labels."""
    return PRIMARY[kind] if labelled or kind == "regression" else "agreement"


def measure(task: Task, said: Said, labels: Ints | None, teacher: Said | None = None) -> dict[str, Metric]:
    """All metrics of one model on one split, by the functions of that name for each kind of task.

    Args:
        task: what is asked.
        said: what the model says of n texts.
        labels: int64 [n], all of them known; None where none is, and then it is measured how like the teacher it is:
            `agreement` and `kl`, or of numbers how they go with the teacher's.
        teacher: what the teacher says of the same texts, or None.

    Raises:
        ValueError: arrays that do not fit together.
        CheckError: outputs that are not finite.
    """
    if labels is None:
        return _likeness(task, said, teacher) if teacher else {}
    if task.kind == "single-label":
        above = teacher.outputs if teacher else None
        return single_label.measure(said.outputs, labels, above, said.calibration)
    truth = task.truth(labels)
    if task.kind == "regression":
        return regression.measure(said.outputs[:, 0], truth[:, 0])
    if teacher is None:
        return multi_label.measure(said.outputs, truth, said.calibration)
    return multi_label.measure(said.outputs, truth, said.calibration, teacher.outputs, teacher.calibration)


def _likeness(task: Task, said: Said, teacher: Said) -> dict[str, Metric]:
    if task.kind == "regression":
        return regression.measure(said.outputs[:, 0], teacher.outputs[:, 0])
    if task.kind == "single-label":
        found = single_label.measure(said.outputs, teacher.outputs.argmax(1), teacher.outputs)
    else:
        sets = multi_label.applies(teacher.outputs, teacher.calibration).astype(np.float32)
        found = multi_label.measure(
            said.outputs, sets, said.calibration, teacher.outputs, teacher.calibration
        )
    # The others have names that speak of labels.
    return {name: found[name] for name in ("agreement", "kl") if name in found}


def by_text(task: Task, said: Said, labels: Ints | None, teacher: Said | None = None) -> Floats:
    """What each text adds to the primary metric, which is the mean of these values: float64 [n].

    Args:
        task, said: as for `measure`.
        labels: as for `measure`; where they are not known, there must be a teacher.
        teacher: what it says of the same texts.
    """
    if labels is None:
        assert teacher is not None, "nothing to compare with"
        if task.kind == "regression":
            return regression.pearson_by_text(said.outputs[:, 0], teacher.outputs[:, 0])
        return np.asarray(agreed(task, said, teacher), np.float64)
    if task.kind == "single-label":
        return single_label.correct(said.outputs, labels).astype(np.float64)
    truth = task.truth(labels)
    if task.kind == "regression":
        return regression.pearson_by_text(said.outputs[:, 0], truth[:, 0])
    return multi_label.f1_by_text(said.outputs, truth, said.calibration)


def agreed(task: Task, said: Said, teacher: Said) -> NDArray[np.bool_] | None:
    """Whether a model answers each text as the teacher does, bool [n]; None for numbers, which never quite agree."""
    if task.kind == "single-label":
        return np.asarray(said.outputs.argmax(1) == teacher.outputs.argmax(1))
    if task.kind == "regression":
        return None
    own, above = (multi_label.applies(one.outputs, one.calibration) for one in (said, teacher))
    return np.asarray((own == above).all(axis=1))


def calibrate_to_teacher(task: Task, outputs: NDArray[np.float32], teacher: Said | None) -> Fit:
    """As `calibrate`, of texts whose labels nobody knows: without a temperature, with thresholds by the teacher's sets.

    Args:
        task: what is asked.
        outputs: of the n texts of the selection split, [n, outputs].
        teacher: what it says of them; None for the teacher itself.
    """
    sets = None
    if teacher is not None and task.kind == "multi-label":
        sets = multi_label.applies(teacher.outputs, teacher.calibration)
    return without_labels(task, outputs, sets)


def suited(task: Task, outputs: NDArray[np.float32], labels: Ints) -> Said:
    """What a model says of labelled texts, with the calibration that suits it there."""
    return Said(outputs, calibrate(task, outputs, labels).calibration)


def chance_test(task: Task, said: Said, labels: Ints) -> ChanceTest:
    """Whether a model knows anything of the task, by the function for its kind in `chance`."""
    if task.kind == "single-label":
        return chance.chance_test(said.outputs, labels)
    truth = task.truth(labels)
    if task.kind == "regression":
        return chance.chance_test_of_numbers(
            said.outputs[:, 0].astype(np.float64), truth[:, 0].astype(np.float64)
        )
    return chance.chance_test_of_sets(multi_label.applies(said.outputs, said.calibration), truth)
