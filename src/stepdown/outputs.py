"""What the outputs of a network mean, kind of task by kind of task. docs/bundle.md specifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.tasks import TaskKind

# From which probability on a label of a multi-label task applies where nobody chose it.
_USUAL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Calibration:
    """How outputs become probabilities and these become answers, and what that was fitted on; not for regression.

    Attributes:
        temperature: what outputs are divided by before softmax or sigmoid, above 0; 1 leaves them as they are.
        split: the split that it was fitted on; None where nothing was fitted.
        n: texts of that split.
        thresholds: multi-label only: from which probability on, 0 to 1, each label applies, in the order of the
            labels; None for 0.5 throughout.
    """

    temperature: float = 1.0
    split: str | None = None
    n: int | None = None
    thresholds: tuple[float, ...] | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether anything was fitted."""
        return self.split is not None

    def threshold_of_each(self, labels: int) -> tuple[float, ...]:
        """The thresholds of so many labels, those that nobody chose included."""
        return self.thresholds or (_USUAL_THRESHOLD,) * labels


UNCALIBRATED = Calibration()
"""Outputs as a network gives them."""


def probabilities(kind: TaskKind, outputs: np.ndarray, temperature: float) -> np.ndarray:
    """The probability of each label, computed in float64.

    Args:
        kind: single-label: softmax, so that rows sum to 1; multi-label: sigmoid, each label by itself.
        outputs: logits, shape [n, labels].
        temperature: what they are divided by before.

    Returns:
        float32, shape [n, labels].
    """
    scaled = outputs.astype(np.float64) / temperature
    if kind == "multi-label":
        found: np.ndarray = np.exp(-np.logaddexp(0, -scaled))  # no overflow, however large the logit
    else:
        weights = np.exp(scaled - scaled.max(1, keepdims=True))
        found = weights / weights.sum(1, keepdims=True)
    return found.astype(np.float32)


def applying(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Which labels of a multi-label task apply: those whose probability is at least their threshold.

    Both are compared as float32, as which probabilities are given out, so that whoever compares them again decides
    the same.

    Args:
        probabilities: float32, shape [n, labels].
        thresholds: one a label, from 0 to 1.

    Returns:
        bool, shape [n, labels].
    """
    found: np.ndarray = probabilities >= np.asarray(thresholds, np.float32)
    return found


def abstaining(probabilities: np.ndarray, below: float) -> np.ndarray:
    """Whose highest probability is too low for an answer, compared as float32 like thresholds.

    Args:
        probabilities: float32, shape [n, labels].
        below: the least that is answered, from 0 to 1.

    Returns:
        bool, shape [n].
    """
    found: np.ndarray = probabilities.max(1) < np.float32(below)
    return found


def values(outputs: np.ndarray) -> list[float]:
    """The numbers that a regression [n, 1] predicts, each written with no more digits than a float32 has."""
    return [float(str(value)) for value in outputs[:, 0]]
