"""Metrics of texts with one label of several.

Arrays in, numbers out: logits are float32 [n, classes], labels int64 [n] with values in 0 … classes − 1.
Nothing here knows how a model computed its logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stepdown.evaluate import intervals
from stepdown.evaluate.intervals import (
    ECE_BINS,
    Floats,
    Ints,
    Metric,
    bootstrapped,
    calibration_error,
    ordered_resamples,
    proportion,
    require_finite,
)
from stepdown.outputs import UNCALIBRATED, Calibration


def measure(
    logits: NDArray[np.float32],
    labels: Ints,
    teacher_logits: NDArray[np.float32] | None = None,
    calibration: Calibration = UNCALIBRATED,
) -> dict[str, Metric]:
    """All metrics of one model on one split.

    - `accuracy`: share of texts whose highest logit is the label's. The primary metric.
    - `macro_f1`: mean F1 over the classes that occur among labels or predictions.
    - `mcc`: Matthews correlation for any number of classes (Gorodkin 2004); 0 where it is 0/0.
    - `nll`: mean negative log-likelihood of the label, in nats.
    - `ece`: expected calibration error of the top probability over 15 bins of equal mass (Nixon et al. 2019):
      the mean distance between confidence and accuracy. Small samples bias it upwards; its interval allows
      for that.
    - `nll_uncalibrated`, `ece_uncalibrated` (where a calibration was fitted): the same at temperature 1; `nll` and
      `ece` are of the probabilities that a bundle gives.
    - `agreement`, `kl` (with teacher logits): share of texts with the teacher's prediction; mean divergence
      of the model from the teacher, Σ p_teacher (log p_teacher − log p_model), in nats, at temperature 1.

    Args:
        logits: shape [n, classes], at least two classes; finite.
        labels: shape [n], each in 0 … classes − 1. Classes without a single label are fine.
        teacher_logits: the teacher's on the same texts, same shape and order of classes, or None.
        calibration: of the model.

    Returns:
        Name → metric; empty for n = 0, because a number about no text is no number. With n = 1 the bootstrap
        has nothing to resample and its interval is the value itself.

    Raises:
        ValueError: shapes that do not fit together, or a label that is no class.
        CheckError: logits that are not finite.
    """
    scores = checked(logits, labels, "model")
    n, _ = scores.shape
    if n == 0:
        return {}
    log_p = special.log_softmax(scores, axis=1)
    told = special.log_softmax(scores / calibration.temperature, axis=1)
    predicted = np.argmax(scores, axis=1)
    right = predicted == labels
    per_text = {"nll": -told[np.arange(n), labels]}
    metrics = {"accuracy": proportion(int(right.sum()), n), **_confusion_metrics(labels, predicted)}
    if teacher_logits is not None:
        if teacher_logits.shape != logits.shape:
            raise ValueError(f"teacher logits {teacher_logits.shape} beside logits {logits.shape}")
        taught = checked(teacher_logits, labels, "teacher")
        log_t = special.log_softmax(taught, axis=1)
        # Rounding can leave −1e−17 where the two agree; a divergence has no sign.
        per_text["kl"] = np.maximum((np.exp(log_t) * (log_t - log_p)).sum(axis=1), 0.0)
        metrics["agreement"] = proportion(int((predicted == np.argmax(taught, axis=1)).sum()), n)
    metrics |= _text_metrics(per_text, np.exp(told.max(axis=1)), right)
    if calibration.is_fitted:
        before = _text_metrics({"nll": -log_p[np.arange(n), labels]}, np.exp(log_p.max(axis=1)), right)
        metrics |= {f"{name}_uncalibrated": metric for name, metric in before.items()}
    return metrics


def correct(logits: NDArray[np.float32], labels: Ints) -> NDArray[np.bool_]:
    """Whether the highest logit is the label's, shape [n]: what `stepdown.compare` compares."""
    return np.asarray(np.argmax(checked(logits, labels, "model"), axis=1) == labels)


def _confusion_metrics(labels: Ints, predicted: Ints) -> dict[str, Metric]:
    """Macro F1 and MCC, which depend on the confusion matrix alone.

    Resampling n texts is drawing the occupied cells of that matrix from a multinomial: the same distribution,
    at a cost that does not grow with n.
    """
    n = len(labels)
    classes = int(max(labels.max(), predicted.max())) + 1
    cells, counts = np.unique(labels * classes + predicted, return_counts=True)
    true, said = (np.eye(classes)[index] for index in np.divmod(cells, classes))
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n, counts / n, size=intervals.RESAMPLES)
    # Row 0 is the sample itself.
    counted = np.vstack([counts, drawn]).astype(np.float64)
    asked, answered, hit = counted @ true, counted @ said, counted @ (true * said)
    met = asked + answered > 0
    f1 = (2 * hit / np.where(met, asked + answered, 1.0)).sum(axis=1) / met.sum(axis=1)
    covariance = hit.sum(axis=1) * n - (asked * answered).sum(axis=1)
    spread = (n**2 - (asked**2).sum(axis=1)) * (n**2 - (answered**2).sum(axis=1))
    mcc = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
    return {"macro_f1": bootstrapped(f1[0], f1[1:], n), "mcc": bootstrapped(mcc[0], mcc[1:], n)}


def _text_metrics(
    per_text: dict[str, Floats], confidence: Floats, right: NDArray[np.bool_]
) -> dict[str, Metric]:
    """Means of per-text values, and ECE, from the same resamples.

    Texts are put in order of confidence once; resamples come in that order, so that the bins of each are
    slices.
    """
    n = len(confidence)
    order = np.argsort(confidence, kind="stable")
    ordered = {name: values[order] for name, values in per_text.items()}
    sure, hit = confidence[order], right[order]
    edges = np.arange(min(ECE_BINS, n)) * n // min(ECE_BINS, n)

    def ece(gaps: Floats) -> Floats:
        return np.asarray(np.abs(np.add.reduceat(gaps, edges, axis=1)).sum(axis=1) / n)

    rng = np.random.default_rng(1)
    draws: dict[str, list[Floats]] = {name: [] for name in ["ece", "calibrated", *ordered]}
    for index in ordered_resamples(n):
        for name, values in ordered.items():
            draws[name].append(values[index].mean(axis=1))
        draws["ece"].append(ece((sure - hit)[index]))
        draws["calibrated"].append(ece(sure - (rng.random(index.shape) < sure)))
    drawn = {name: np.concatenate(parts) for name, parts in draws.items()}
    means = {name: bootstrapped(float(values.mean()), drawn[name], n) for name, values in ordered.items()}
    value = float(ece((sure - hit)[None])[0])
    return {**means, "ece": calibration_error(value, drawn["ece"], drawn["calibrated"], n)}


def checked(logits: NDArray[np.float32], labels: Ints, whose: str) -> Floats:
    """The logits in float64, once they fit the labels and are finite."""
    if logits.ndim != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits [n, classes ≥ 2] and labels [n] expected, not {logits.shape} and {labels.shape}"
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < logits.shape[1]):
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {logits.shape[1]} classes")
    return require_finite(logits, whose)
