"""Has a model's probabilities say how often it is right: a temperature, and thresholds for sets of labels.

Both are fitted to what the model says of the selection split, where everything is chosen, and change neither the model
nor what it teaches. The temperature of distillation is another thing.

Left out: a temperature for each label, and fits with more parameters (Platt's intercept, isotonic regression). A
selection split has some hundred texts, and the format of bundles one temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from stepdown.data.task import Task
from stepdown.evaluate.intervals import Floats, Ints, require_finite
from stepdown.outputs import UNCALIBRATED, Calibration, probabilities

# Temperatures that a bundle may have.
_COLDEST, _HOTTEST = 1e-3, 1e3
# Mistakes tell how sure a model may be. With fewer of them the fit is worse on average than none at all; with so many
# it pays from 20 texts on (LOG.md).
_FEWEST_WRONG = 5
# Thresholds that are tried: enough that the best between two of them is not worth more.
_TRIED = np.arange(1, 100) / 100
# A label of fewer texts has the threshold of all; one of so many as `_HALF_WAY` goes half of the way to its own.
_FEWEST_TEXTS = 20
_HALF_WAY = 50
# Rounds of choosing the labels' thresholds in turn; two or three change all that will change.
_ROUNDS = 5


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Attributes:
        calibration: of the model.
        reason: why its temperature is left at 1, as a sentence; None where it was fitted.
    """

    calibration: Calibration
    reason: str | None = None


def calibrate(task: Task, outputs: NDArray[np.float32], labels: Ints) -> Fit:
    """Fit what turns a model's outputs into probabilities, and these into sets of labels.

    The temperature has the least negative log-likelihood of the labels (Guo et al. 2017, "On Calibration of Modern
    Neural Networks", section 4.2): of each text's label, or of whether each label applies. It leaves the order of
    probabilities as it is, and so the answer with one label. It stays 1 where the texts do not tell it.

    Thresholds are chosen after it, for micro F1. Of calibrated probabilities the best threshold is the same for all
    labels (Lipton, Elkan, Naryanaswamy 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure": micro F1
    is the F1 of all pairs of a text and a label), so each label begins with the best common one. A label of 20 texts
    or more then goes part of the way to the one that serves micro F1 best, k / (k + 50) of it with k texts, since
    thresholds of rare labels overfit (Yang 2001, "A Study on Thresholding Strategies for Text Categorization",
    section 4): no gain where probabilities are calibrated, up to 11 points with class weights (LOG.md).

    Args:
        task: what is asked.
        outputs: of the n texts of the selection split, float32 [n, outputs].
        labels: of the same, int64 [n], all of them known.

    Returns:
        Nothing but `UNCALIBRATED` for a regression, which has no probabilities, and for no text.

    Raises:
        CheckError: outputs that are not finite.
    """
    if task.kind == "regression" or not len(labels):
        return Fit(UNCALIBRATED)
    logits = require_finite(outputs, "model")
    fitted = Calibration(split="selection", n=len(labels))
    if task.kind == "single-label":
        temperature, reason = _temperature_of_labels(task, logits, labels)
        return Fit(UNCALIBRATED, reason) if reason else Fit(replace(fitted, temperature=temperature))
    truth = task.truth(labels) > 0
    temperature, reason = _temperature_of_sets(logits, truth)
    said = probabilities("multi-label", outputs, temperature)
    return Fit(replace(fitted, temperature=temperature, thresholds=_thresholds(said, truth)), reason)


def without_labels(task: Task, outputs: NDArray[np.float32], sets: NDArray[np.bool_] | None) -> Fit:
    """What can be fitted where nobody knows the labels of the selection texts.

    No temperature, as nobody knows how often the model is right; for sets of labels thresholds, by the teacher's sets.

    Args:
        task: what is asked.
        outputs: of the n texts of the selection split, float32 [n, outputs].
        sets: which labels the teacher gives them, [n, labels]; None where nothing is known of that.
    """
    if task.kind == "regression":
        return Fit(UNCALIBRATED)
    reason = "No selection text has a label."
    if task.kind == "single-label" or sets is None or not len(sets):
        return Fit(UNCALIBRATED, reason)
    said = probabilities("multi-label", outputs, 1.0)
    return Fit(Calibration(split="selection", n=len(sets), thresholds=_thresholds(said, sets)), reason)


def _temperature_of_labels(task: Task, logits: Floats, labels: Ints) -> tuple[float, str | None]:
    n, met = len(labels), np.unique(labels)
    if len(met) == 1:
        return 1.0, f"All {n:,} selection texts have the label {task.label_names[met[0]]}."
    wrong = int((logits.argmax(1) != labels).sum())
    if wrong < _FEWEST_WRONG:
        return 1.0, _too_few(wrong, f"{n:,} selection texts")
    # Only differences of logits count; from the highest, no exponential overflows.
    apart = logits - logits.max(1, keepdims=True)
    own = apart[np.arange(n), labels]

    def slope(sharpness: float) -> float:
        weights = np.exp(sharpness * apart)
        return float(((weights * apart).sum(1) / weights.sum(1) - own).mean())

    return _likeliest(slope)


def _temperature_of_sets(logits: Floats, truth: NDArray[np.bool_]) -> tuple[float, str | None]:
    texts = f"{len(truth):,} selection texts"
    if not truth.any():
        return 1.0, f"No label applies to any of {texts}."
    if truth.all():
        return 1.0, f"All labels apply to all of {texts}."
    wrong = int(((logits > 0) != truth).sum())
    if wrong < _FEWEST_WRONG:
        return 1.0, _too_few(wrong, f"all labels of {texts}")

    def slope(sharpness: float) -> float:
        return float((logits * (special.expit(sharpness * logits) - truth)).mean())

    return _likeliest(slope)


def _too_few(wrong: int, told: str) -> str:
    return f"It is wrong on {wrong or 'none'} of {told}, and it takes {_FEWEST_WRONG} to tell how sure it may be."


def _likeliest(slope: Callable[[float], float]) -> tuple[float, str | None]:
    """The temperature with the least negative log-likelihood, or 1 and why there is none.

    That is a convex function of the sharpness 1/T, so its slope there rises, through 0 at the least.

    Args:
        slope: derivative by the sharpness.
    """
    ends = np.log([1 / _HOTTEST, 1 / _COLDEST])
    if slope(float(np.exp(ends[0]))) >= 0:
        return 1.0, "On selection texts its scores go with the labels no more than chance."
    if slope(float(np.exp(ends[1]))) <= 0:
        return 1.0, f"No temperature down to {_COLDEST} suits the selection texts best."
    found = optimize.brentq(lambda log: slope(float(np.exp(log))), *ends, xtol=1e-9)
    # As many digits as anyone can mean; the same number wherever it is told.
    return float(f"{np.exp(-found):.6g}"), None


def _thresholds(said: NDArray[np.float32], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """The probability from which on each label applies.

    Args:
        said: probabilities, [n, labels].
        truth: which labels apply, [n, labels].
    """
    hits, given = _counts(said, truth)
    texts = truth.sum(0)
    common = _best(hits.sum(0), given.sum(0), texts.sum(), 0.5)
    own = np.full(truth.shape[1], common)
    hit, told = int(hits[:, common].sum()), int(given[:, common].sum())
    for _ in range(_ROUNDS):
        before = own.copy()
        for label in np.flatnonzero(texts >= _FEWEST_TEXTS):
            hit -= hits[label, own[label]]
            told -= given[label, own[label]]
            own[label] = _best(hit + hits[label], told + given[label], texts.sum(), _TRIED[common])
            hit += hits[label, own[label]]
            told += given[label, own[label]]
        if (own == before).all():
            break
    share = np.where(texts >= _FEWEST_TEXTS, texts / (texts + _HALF_WAY), 0.0)
    chosen = _TRIED[common] + share * (_TRIED[own] - _TRIED[common])
    return tuple(chosen.round(4).tolist())


def _counts(said: NDArray[np.float32], truth: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """How many texts get a label at each tried threshold, rightly and in all: [labels, tried] each."""
    labels, tried = truth.shape[1], len(_TRIED)
    reached = np.searchsorted(_TRIED.astype(np.float32), said, side="right")  # so many of them
    place = (reached + np.arange(labels) * (tried + 1)).ravel()

    def counted(which: NDArray[np.bool_]) -> Ints:
        found = np.bincount(place[which.ravel()], minlength=labels * (tried + 1)).reshape(labels, tried + 1)
        return found[:, ::-1].cumsum(1)[:, ::-1][:, 1:]

    return counted(truth), counted(np.ones_like(truth))


def _best(hits: Ints, given: Ints, asked: int, near: float) -> int:
    """Index of the threshold with the best F1; of equals, the one that is nearest to another one."""
    f1 = 2 * hits / np.maximum(given + asked, 1)
    best = np.flatnonzero(f1 == f1.max())
    return int(best[np.abs(_TRIED[best] - near).argmin()])
