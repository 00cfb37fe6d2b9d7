"""What the outputs of a network mean, kind of task by kind of task. docs/bundle.md specifies it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.tasks import TaskKind


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


def values(outputs: np.ndarray) -> list[float]:
    """The numbers that a regression [n, 1] predicts, each written with no more digits than a float32 has."""
    return [float(str(value)) for value in outputs[:, 0]]
