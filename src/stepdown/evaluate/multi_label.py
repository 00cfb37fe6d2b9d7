"""Metrics of texts to which any number of labels applies, each judged by itself.

Logits are float32 [n, labels], one sigmoid each; truth is float32 [n, labels], 1 for the labels that apply.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stepdown.evaluate.intervals import (
    ECE_BINS,
    Floats,
    Metric,
    bootstrapped,
    calibration_error,
    proportion,
    require_finite,
    resamples,
    weights,
)
from stepdown.outputs import UNCALIBRATED, Calibration, applying, probabilities


def applies(logits: NDArray[np.float32], calibration: Calibration) -> NDArray[np.bool_]:
    """Which labels apply, bool [n, labels], as a bundle of that calibration has it."""
    shares = probabilities("multi-label", logits, calibration.temperature)
    return applying(shares, calibration.threshold_of_each(logits.shape[1]))


def measure(
    logits: NDArray[np.float32],
    truth: NDArray[np.float32],
    calibration: Calibration = UNCALIBRATED,
    teacher_logits: NDArray[np.float32] | None = None,
    teacher_calibration: Calibration = UNCALIBRATED,
) -> dict[str, Metric]:
    """All metrics of one model on one split.

    - `micro_f1`: F1 over all pairs of a text and a label. The primary metric.
    - `macro_f1`: mean F1 over the labels that occur in the truth or the predictions.
    - `accuracy`: share of texts whose whole set of labels is right.
    - `nll`: mean over texts of the negative log-likelihood of the set, labels taken as independent, in nats.
    - `ece`: expected calibration error of the probability that a label applies, over 15 bins of equal mass of all
      pairs of a text and a label, most of which are far from applying; else as for single labels.
    - `nll_uncalibrated`, `ece_uncalibrated` (where a calibration was fitted): the same at temperature 1.
    - `agreement`, `kl` (with teacher logits): share of texts with the teacher's set of labels; mean over texts of the
      summed divergence of each label's probability from the teacher's, in nats, at temperature 1.

    Returns:
        Name → metric; empty for n = 0.

    Raises:
        ValueError: shapes that do not fit together.
        CheckError: logits that are not finite.
    """
    if logits.shape != truth.shape or logits.ndim != 2:
        raise ValueError(f"logits and truth [n, labels] expected, not {logits.shape} and {truth.shape}")
    scores, n = require_finite(logits, "model"), len(truth)
    if n == 0:
        return {}
    given, asked = applies(logits, calibration), truth > 0
    told = scores / calibration.temperature
    terms, metrics = {"nll": _surprise(told, asked)}, {"ece": _calibration_error(told, asked)}
    if calibration.is_fitted:
        terms["nll_uncalibrated"] = _surprise(scores, asked)
        metrics["ece_uncalibrated"] = _calibration_error(scores, asked)
    metrics["accuracy"] = proportion(int((given == asked).all(axis=1).sum()), n)
    if teacher_logits is not None:
        taught = require_finite(teacher_logits, "teacher")
        terms["kl"] = _divergence(taught, scores)
        agreed = (given == applies(teacher_logits, teacher_calibration)).all(axis=1)
        metrics["agreement"] = proportion(int(agreed.sum()), n)
    return {**_f1(given, asked), **metrics, **_means(terms, n)}


def f1_by_text(
    logits: NDArray[np.float32], truth: NDArray[np.float32], calibration: Calibration = UNCALIBRATED
) -> Floats:
    """Micro F1 as a mean over texts, shape [n]: what each text adds to it, so that models can be compared in pairs.

    Micro F1 is a ratio of sums, F = Σ a / Σ b with a = 2 · hits of a text and b = labels given + labels asked. Its
    linearisation (Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", section 6.3: the influence
    function of a ratio) gives each text F + (a − F b) / mean b, whose mean is F and whose spread is F's standard
    error times √n.
    """
    given, asked = applies(logits, calibration), truth > 0
    a, b = 2.0 * (given & asked).sum(axis=1), (given.sum(axis=1) + asked.sum(axis=1)).astype(np.float64)
    if not b.any():
        return np.ones(len(b))
    f1 = a.sum() / b.sum()
    return np.asarray(f1 + (a - f1 * b) / b.mean())


def _f1(given: NDArray[np.bool_], asked: NDArray[np.bool_]) -> dict[str, Metric]:
    n, labels = asked.shape
    counts = np.hstack([given & asked, given, asked]).astype(np.float64)

    def both(sums: Floats) -> tuple[Floats, Floats]:
        hits, said, true = sums[:, :labels], sums[:, labels : 2 * labels], sums[:, 2 * labels :]
        total = said.sum(axis=1) + true.sum(axis=1)
        # No label given and none asked: nothing is wrong.
        micro = np.where(total > 0, 2 * hits.sum(axis=1) / np.maximum(total, 1), 1.0)
        met = said + true > 0
        each = 2 * hits / np.where(met, said + true, 1.0)
        macro = np.where(met.any(axis=1), each.sum(axis=1) / np.maximum(met.sum(axis=1), 1), 1.0)
        return micro, macro

    micro, macro = (values[0] for values in both(counts.sum(axis=0, keepdims=True)))
    drawn = [both(block @ counts) for block in weights(n)]
    return {
        "micro_f1": bootstrapped(float(micro), np.concatenate([one for one, _ in drawn]), n),
        "macro_f1": bootstrapped(float(macro), np.concatenate([one for _, one in drawn]), n),
    }


def _means(terms: dict[str, Floats], n: int) -> dict[str, Metric]:
    stacked = np.stack(list(terms.values()), axis=1)
    drawn = np.concatenate([block @ stacked / n for block in weights(n)])
    values = stacked.mean(axis=0)
    return {name: bootstrapped(float(values[i]), drawn[:, i], n) for i, name in enumerate(terms)}


def _surprise(scores: Floats, asked: NDArray[np.bool_]) -> Floats:
    """Negative log-likelihood of each text's set, in nats, [n]."""
    return np.asarray(-special.log_expit(np.where(asked, scores, -scores)).sum(axis=1))


def _calibration_error(scores: Floats, asked: NDArray[np.bool_]) -> Metric:
    """ECE of all pairs; resamples of texts keep the bins of the sample, so that each is a sum over texts."""
    shares = special.expit(scores)
    n, pairs = len(scores), scores.size
    count = min(ECE_BINS, pairs)
    bins = np.empty(pairs, np.int64)
    bins[np.argsort(shares.ravel(), kind="stable")] = np.arange(pairs) * count // pairs

    def summed(values: Floats, groups: NDArray[np.int64], size: int) -> Floats:
        return np.bincount(groups, weights=values.ravel(), minlength=size).astype(np.float64)

    of_text = bins + np.repeat(np.arange(n), scores.shape[1]) * count
    gaps = summed(shares - asked, of_text, n * count).reshape(n, count)
    drawn = np.concatenate([np.abs(block @ gaps).sum(axis=1) / pairs for block in weights(n)])
    # Were the probabilities right, the sum of the gaps of a bin would be about normal, with this spread.
    spread = np.sqrt(summed(shares * (1 - shares), bins, count))
    normal = np.random.default_rng(1).normal(size=(resamples(n), count))
    return calibration_error(
        float(np.abs(gaps.sum(axis=0)).sum() / pairs), drawn, np.abs(normal * spread).sum(axis=1) / pairs, n
    )


def _divergence(teacher: Floats, model: Floats) -> Floats:
    """Summed over labels: the divergence of the model's probability of each from the teacher's, in nats, [n]."""
    p = special.expit(teacher)
    apart = p * (special.log_expit(teacher) - special.log_expit(model))
    apart += (1 - p) * (special.log_expit(-teacher) - special.log_expit(-model))
    return np.asarray(np.maximum(apart.sum(axis=1), 0.0))
