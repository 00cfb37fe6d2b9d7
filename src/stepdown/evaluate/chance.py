"""Whether a model knows anything of a task at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stepdown.evaluate.intervals import LEVEL, Floats, Ints
from stepdown.evaluate.single_label import checked

MIN_KAPPA = 0.1
"""A teacher whose chance-corrected accuracy is below this is near chance even where it is significant."""
_DOUBTFUL = 0.25
# Texts of one label that a model mostly gives show no more than that; of fewer not even that.
_ENOUGH = 10
_DEALINGS = 200  # random ones, whose mean and spread are all that is asked of them


@dataclass(frozen=True)
class ChanceTest:
    """Whether a classifier knows anything of the labels at all.

    Attributes:
        accuracy: share of correct texts.
        majority: share of the most frequent label, the accuracy of always saying it.
        kappa: Cohen's (1960) chance-corrected accuracy, 0 for a model that ignores the text, 1 for a perfect
        one.
        p: one-sided, of a kappa this large if predictions were dealt to texts at random.
        n: number of texts.
        tells: False where nothing can be told: all texts have one label, or number, and the model may know others.
    """

    accuracy: float
    majority: float
    kappa: float
    p: float
    n: int
    tells: bool = True

    @property
    def near(self) -> bool:
        """True if the model is above chance by next to nothing, or may well not be above it at all.

        A few texts prove little: half of the random dealings do as well as a model of which nothing is known, so up
        to p = 0.25 the benefit of the doubt goes to the model. `unsure` tells of it.
        """
        return self.tells and (self.kappa < MIN_KAPPA or self.p > _DOUBTFUL)

    @property
    def unsure(self) -> bool:
        """True if the texts are too few to show at 5% that the model is above chance."""
        return self.p > 1 - LEVEL


def chance(labels: Ints) -> float:
    """Share of the most frequent label: the accuracy that needs no model. 0 for no labels."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0


def chance_test(logits: NDArray[np.float32], labels: Ints) -> ChanceTest:
    """A one-sided test of a classifier against guessing.

    Guessing means: the model's own predictions, dealt to the texts at random. That is the majority share for
    a model that always says the same, and ½ for a fair coin on two balanced classes. Comparing with the
    majority share alone would reject a good model wherever one class has 95% of the texts.

    With a_c labels and b_c predictions of class c, the number of correct texts under random dealing has mean
    Σ a_c b_c / n and variance [Σ a_c b_c (n − a_c)(n − b_c) + Σ_{c≠d} a_c b_c a_d b_d] / (n²(n − 1)), from
    the multivariate hypergeometric distribution; p is the normal tail with continuity correction.

    A large sample makes any trace of knowledge significant (an untrained head may well reach 53%), so `near`
    also asks for a kappa of at least 0.1: 55% on two balanced classes.

    Raises:
        ValueError, CheckError: as `measure`.
    """
    scores = checked(logits, labels, "model")
    n, classes = scores.shape
    predicted = np.argmax(scores, axis=1)
    hits = int((predicted == labels).sum())
    a = np.bincount(labels, minlength=classes).astype(np.float64)
    b = np.bincount(predicted, minlength=classes).astype(np.float64)
    expected = (a * b).sum() / max(n, 1)
    cross = (a * b).sum() ** 2 - ((a * b) ** 2).sum()
    variance = ((a * b * (n - a) * (n - b)).sum() + cross) / (n**2 * (n - 1)) if n > 1 else 0.0
    # One class said or asked throughout: every dealing is the same.
    p = float(stats.norm.sf((hits - expected - 0.5) / np.sqrt(variance))) if variance > 0 else 1.0
    kappa = (hits - expected) / (n - expected) if n > expected else 0.0
    tells = n < _ENOUGH or len(np.unique(labels)) > 1 or 2 * hits <= n
    return ChanceTest(hits / max(n, 1), chance(labels), float(kappa), p, n, tells)


def chance_test_of_sets(applies: NDArray[np.bool_], truth: NDArray[np.float32]) -> ChanceTest:
    """The same for sets of labels, with micro F1 in the place of accuracy.

    `accuracy` is micro F1, `majority` its mean where the model's sets are dealt to the texts at random, and kappa is
    how far it is above that, of what was to be had: (F1 − F1 at random) / (1 − F1 at random).

    Args:
        applies: which labels the model gives, [n, labels].
        truth: 1 for those that apply, [n, labels].
    """
    n = len(truth)
    given, asked = applies.astype(np.float64), truth.astype(np.float64)
    both = max(float(given.sum() + asked.sum()), 1.0)
    found = 2 * float((given * asked).sum()) / both
    rng = np.random.default_rng(0)
    dealt: Floats = np.array(
        [2 * float((given[rng.permutation(n)] * asked).sum()) / both for _ in range(_DEALINGS)]
    )
    by_chance, spread = float(dealt.mean()), float(dealt.std())
    p = float(stats.norm.sf((found - by_chance) / spread)) if spread > 0 else 1.0
    kappa = (found - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
    return ChanceTest(found, by_chance, kappa, p, n)


def chance_test_of_numbers(values: Floats, truth: Floats) -> ChanceTest:
    """The same for numbers, with Pearson's correlation in the place of accuracy and of kappa; chance is 0.

    Args:
        values: what the model says, [n].
        truth: what is right, [n].
    """
    n = len(truth)
    if n < 3 or values.std() == 0 or truth.std() == 0:
        return ChanceTest(0.0, 0.0, 0.0, 1.0, n, tells=n < _ENOUGH or truth.std() > 0)
    found = stats.pearsonr(values, truth, alternative="greater")
    return ChanceTest(float(found.statistic), 0.0, float(found.statistic), float(found.pvalue), n)
