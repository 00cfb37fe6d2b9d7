"""Metrics of a classifier's logits, each with a 95% interval and the number of texts behind it.

Arrays in, numbers out: logits are float32 [n, classes], labels int64 [n] with values in 0 … classes − 1.
Nothing here knows how a model computed its logits.

Which interval: shares of texts (accuracy, agreement) get Wilson's; everything else a percentile bootstrap
over texts, corrected for bias, with a fixed seed, so the same arrays always give the same interval. All of
them speak of other texts of the same kind, for this one trained model; `stepdown.compare` adds what differs
from seed to seed.

Left out on purpose: metrics of multi-label and regression tasks, which this version does not train.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from stepdown.errors import CheckError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIMARY = "accuracy"
"""The metric that chooses between single-label classifiers."""

LEVEL = 0.95
"""Level of every interval in stepdown."""

ECE_BINS = 15
"""Equal-mass bins of the calibration error."""

RESAMPLES = 2000
"""Bootstrap resamples (fewer above 20,000 texts, where 500 do)."""

MIN_KAPPA = 0.1
_DOUBTFUL = 0.25
"""A teacher whose chance-corrected accuracy is below this is near chance even where it is significant."""


@dataclass(frozen=True)
class Metric:
    """A number for people, the ends of its 95% interval, and the number of texts (or timings) behind it."""

    value: float
    low: float
    high: float
    n: int


def measure(
    logits: NDArray[np.float32], labels: Ints, teacher_logits: NDArray[np.float32] | None = None
) -> dict[str, Metric]:
    """All metrics of one model on one split.

    - `accuracy`: share of texts whose highest logit is the label's. The primary metric.
    - `macro_f1`: mean F1 over the classes that occur among labels or predictions.
    - `mcc`: Matthews correlation for any number of classes (Gorodkin 2004); 0 where it is 0/0.
    - `nll`: mean negative log-likelihood of the label, in nats.
    - `ece`: expected calibration error of the top probability over 15 bins of equal mass (Nixon et al. 2019):
      the mean distance between confidence and accuracy. Small samples bias it upwards; its interval allows
      for that.
    - `agreement`, `kl` (with teacher logits): share of texts with the teacher's prediction; mean divergence
      of the model from the teacher, Σ p_teacher (log p_teacher − log p_model), in nats, at temperature 1.

    Args:
        logits: shape [n, classes], at least two classes; finite.
        labels: shape [n], each in 0 … classes − 1. Classes without a single label are fine.
        teacher_logits: the teacher's on the same texts, same shape and order of classes, or None.

    Returns:
        Name → metric; empty for n = 0, because a number about no text is no number. With n = 1 the bootstrap
        has nothing to resample and its interval is the value itself.

    Raises:
        ValueError: shapes that do not fit together, or a label that is no class.
        CheckError: logits that are not finite.
    """
    scores = _checked(logits, labels, "model")
    n, _ = scores.shape
    if n == 0:
        return {}
    log_p = special.log_softmax(scores, axis=1)
    predicted = np.argmax(scores, axis=1)
    right = predicted == labels
    per_text = {"nll": -log_p[np.arange(n), labels]}
    metrics = {"accuracy": proportion(int(right.sum()), n), **_confusion_metrics(labels, predicted)}
    if teacher_logits is not None:
        if teacher_logits.shape != logits.shape:
            raise ValueError(f"teacher logits {teacher_logits.shape} beside logits {logits.shape}")
        taught = _checked(teacher_logits, labels, "teacher")
        log_t = special.log_softmax(taught, axis=1)
        # Rounding can leave −1e−17 where the two agree; a divergence has no sign.
        per_text["kl"] = np.maximum((np.exp(log_t) * (log_t - log_p)).sum(axis=1), 0.0)
        metrics["agreement"] = proportion(int((predicted == np.argmax(taught, axis=1)).sum()), n)
    return {**metrics, **_text_metrics(per_text, np.exp(log_p.max(axis=1)), right)}


def correct(logits: NDArray[np.float32], labels: Ints) -> NDArray[np.bool_]:
    """Whether the highest logit is the label's, shape [n]: what `stepdown.compare` compares."""
    return np.asarray(np.argmax(_checked(logits, labels, "model"), axis=1) == labels)


def proportion(successes: int, n: int) -> Metric:
    """A share of n ≥ 1 texts with Wilson's (1927) score interval, sound near 0 and 1 and for small n."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no share")
    low, high = wilson(successes / n, n, float(stats.norm.ppf((1 + LEVEL) / 2)))
    return Metric(successes / n, low, high, n)


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Both p with |share − p| = quantile · √(p(1 − p)/n); an effective number of texts need not be whole."""
    shrink = quantile**2 / n
    middle = (share + shrink / 2) / (1 + shrink)
    half = quantile * np.sqrt(share * (1 - share) / n + shrink / (4 * n)) / (1 + shrink)
    # The ends are exact at 0 and 1; rounding must not leave them a hair inside.
    low = 0.0 if share == 0 else max(0.0, float(middle - half))
    high = 1.0 if share == 1 else min(1.0, float(middle + half))
    return low, high


def median(values: Floats) -> Metric:
    """The median of repeated timings, with the interval between two order statistics.

    Distribution-free: the number of values below the true median is binomial(n, ½) (Conover 1999, section
    3.2). With fewer than 6 values no pair of order statistics reaches 95% and the interval is the whole
    range.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if n == 0:
        raise ValueError("the median of no value")
    below = max(int(stats.binom.ppf((1 - LEVEL) / 2, n, 0.5)), 1)
    return Metric(float(np.median(ordered)), float(ordered[below - 1]), float(ordered[n - below]), n)


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
    """

    accuracy: float
    majority: float
    kappa: float
    p: float
    n: int

    @property
    def near(self) -> bool:
        """True if the model is above chance by next to nothing, or may well not be above it at all.

        A few texts prove little: half of the random dealings do as well as a model of which nothing is known, so up
        to p = 0.25 the benefit of the doubt goes to the model. `unsure` tells of it.
        """
        return self.kappa < MIN_KAPPA or self.p > _DOUBTFUL

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
    scores = _checked(logits, labels, "model")
    n, classes = scores.shape
    predicted = np.argmax(scores, axis=1)
    hits = int((predicted == labels).sum())
    a = np.bincount(labels, minlength=classes).astype(np.float64)
    b = np.bincount(predicted, minlength=classes).astype(np.float64)
    expected = (a * b).sum() / max(n, 1)
    cross = (a * b).sum() ** 2 - ((a * b) ** 2).sum()
    variance = ((a * b * (n - a) * (n - b)).sum() + cross) / (n**2 * (n - 1)) if n > 1 else 0.0
    # One class said or asked throughout: every dealing is the same, and nothing can be told.
    p = float(stats.norm.sf((hits - expected - 0.5) / np.sqrt(variance))) if variance > 0 else 1.0
    kappa = (hits - expected) / (n - expected) if n > expected else 0.0
    return ChanceTest(hits / max(n, 1), chance(labels), float(kappa), p, n)


def _checked(logits: NDArray[np.float32], labels: Ints, whose: str) -> Floats:
    """The logits in float64, once they fit the labels and are finite."""
    if logits.ndim != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits [n, classes ≥ 2] and labels [n] expected, not {logits.shape} and {labels.shape}"
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < logits.shape[1]):
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {logits.shape[1]} classes")
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise CheckError(
            f"The {whose} answered with numbers that are not finite for {bad} of {len(labels)} texts, so it "
            "cannot be measured. Training may have diverged: try a lower learning rate."
        )
    return logits.astype(np.float64)


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
    drawn = rng.multinomial(n, counts / n, size=RESAMPLES)
    # Row 0 is the sample itself.
    counted = np.vstack([counts, drawn]).astype(np.float64)
    asked, answered, hit = counted @ true, counted @ said, counted @ (true * said)
    met = asked + answered > 0
    f1 = (2 * hit / np.where(met, asked + answered, 1.0)).sum(axis=1) / met.sum(axis=1)
    covariance = hit.sum(axis=1) * n - (asked * answered).sum(axis=1)
    spread = (n**2 - (asked**2).sum(axis=1)) * (n**2 - (answered**2).sum(axis=1))
    mcc = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
    return {"macro_f1": _bootstrapped(f1[0], f1[1:], n), "mcc": _bootstrapped(mcc[0], mcc[1:], n)}


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
    for index in _ordered_resamples(n):
        for name, values in ordered.items():
            draws[name].append(values[index].mean(axis=1))
        draws["ece"].append(ece((sure - hit)[index]))
        draws["calibrated"].append(ece(sure - (rng.random(index.shape) < sure)))
    drawn = {name: np.concatenate(parts) for name, parts in draws.items()}
    means = {name: _bootstrapped(float(values.mean()), drawn[name], n) for name, values in ordered.items()}
    return {
        **means,
        "ece": _ece_metric(float(ece((sure - hit)[None])[0]), drawn["ece"], drawn["calibrated"], n),
    }


def _ece_metric(value: float, draws: Floats, calibrated: Floats, n: int) -> Metric:
    """ECE with the reverse percentile interval [2v − q₉₇.₅, 2v − q₂.₅], which takes out its upward bias.

    Where a perfectly calibrated model with the same confidences would show as much (consistency resampling,
    Bröcker and Smith 2007), the interval reaches 0.
    """
    low, high = 2 * value - np.quantile(draws, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    if value <= np.quantile(calibrated, LEVEL):
        low = 0.0
    return Metric(value, min(max(float(low), 0.0), value), max(float(high), value), n)


def _ordered_resamples(n: int) -> Iterator[NDArray[np.intp]]:
    """Bootstrap resamples of 0 … n − 1, each in rising order, as blocks of bounded size, shape [some, n].

    The order statistics of n uniform numbers are the running sums of n + 1 exponential ones, scaled to end at
    1 (Devroye 1986, section V.3), which spares sorting.
    """
    rng = np.random.default_rng(0)
    left = int(np.clip(40_000_000 // n, 500, RESAMPLES))
    while left:
        rows = min(left, max(2_000_000 // n, 1))
        sums = np.cumsum(rng.standard_exponential((rows, n + 1)), axis=1)
        yield np.minimum((sums[:, :-1] * (n / sums[:, -1:])).astype(np.intp), n - 1)
        left -= rows


def _bootstrapped(value: float, draws: Floats, n: int) -> Metric:
    """The bias-corrected percentile interval (Efron 1987, with acceleration 0) around a value.

    A resample of texts misses more classes than the sample does, so its macro F1 is lower: on 872 texts of 77
    classes the plain percentiles cover the truth 75% of the time, these 93%. The correction shifts the
    percentiles by twice z0 = Φ⁻¹(share of draws below the value); the value itself is always inside.
    """
    below = (np.sum(draws < value) + np.sum(draws == value) / 2) / len(draws)
    z0 = stats.norm.ppf(np.clip(below, 1 / (len(draws) + 1), len(draws) / (len(draws) + 1)))
    ends = stats.norm.cdf(2 * z0 + stats.norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    low, high = np.quantile(draws, ends)
    return Metric(float(value), min(float(low), float(value)), max(float(high), float(value)), n)
