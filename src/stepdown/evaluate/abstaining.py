"""What holding back answers of low probability costs and gains, for whoever chooses from which probability to answer.

How many are answered and how many of those are right are the two sides of selective classification (El-Yaniv and
Wiener 2010, "On the Foundations of Noise-free Selective Classification": coverage and risk).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.evaluate.intervals import Ints, Metric, proportion
from stepdown.outputs import Calibration, abstaining, probabilities

TRIED = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities below which no answer is given, as they are told."""


@dataclass(frozen=True)
class Answered:
    """What is answered where answers below a probability are held back.

    Attributes:
        below: that probability, as `stepdown predict --abstain-below` takes it.
        share: of texts that are answered.
        accuracy: share of right answers among them; None where none is given.
    """

    below: float
    share: Metric
    accuracy: Metric | None


def answered(
    logits: NDArray[np.float32], labels: Ints, calibration: Calibration, tried: tuple[float, ...] = TRIED
) -> tuple[Answered, ...]:
    """For each of some probabilities: how many of n ≥ 1 texts with one label are answered, and how many rightly.

    Args:
        logits: finite, [n, classes].
        labels: [n], each in 0 … classes − 1.
        calibration: of the model.
        tried: the probabilities.
    """
    n, right = len(labels), logits.argmax(1) == labels
    said = probabilities("single-label", logits, calibration.temperature)
    found = []
    for below in tried:
        kept = ~abstaining(said, below)
        some = int(kept.sum())
        accuracy = proportion(int(np.sum(right & kept)), some) if some else None
        found.append(Answered(below, proportion(some, n), accuracy))
    return tuple(found)
