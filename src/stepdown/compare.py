"""Paired comparison of two ways to train, and the words it may claim.

The data are matrices of what each text adds to the primary metric (`evaluate.by_text`), shape [seeds, n]: row s is the
model of seed s on the n texts of the report split. For accuracy that is whether the text was classified correctly, for
other metrics the metric's linearisation. Two arms share seeds and texts, so all that is used is d = b − a, for accuracy
in {−1, 0, 1}. Seeds and texts are crossed random effects (Baayen, Davidson and Bates 2008): with

    d[s, i] = μ + seed_s + text_i + residual_si

μ is the difference on other texts of this kind between models of other seeds, and that is what a verdict
speaks of. Mean squares of the two-way table without repetition give the variance of the mean of d (Searle,
Casella and McCulloch 1992):

    var = (MS_seed + MS_text − MS_residual) / (S n)

Four steps that the textbook leaves open were chosen by simulation (binary outcomes, 3 seeds, 872 texts; a
part of it is in `tests/test_compare.py`):

1. Two degrees of freedom say next to nothing of how far seeds spread, and all arms of a run share their
   seeds. So MS_seed of a pair of arms is at least 2 MS_arm:seed, the interaction of the two-way analysis of
   all A arms' means, with (A − 1)(S − 1) degrees; a pair that spreads more than the others keeps its own.
   With each pair on its own, 6 comparisons of 4 equal arms gave some false verdict in 3 to 15% of runs, the
   more the seeds spread; so, in 2 to 4%, and half the difference can be shown.
2. No component is negative: MS_seed and MS_text count at least as much as MS_residual. Seeds can add to what
   the texts leave open, never take from it.
3. Degrees of freedom are Satterthwaite's (1946), at the median-unbiased estimate of MS_seed: times its
   degrees, over the median of χ² on them. On two degrees it is below its mean 63% of the time, and plugged in
   as it is, it overstates the degrees just when it understates the variance. Where MS_seed does not exceed
   MS_residual the seeds add nothing and the n − 1 degrees of the texts remain.
4. One more answer in which the two differ is added, 1/(S n)², as Agresti and Min (2005) add half a text to
   each cell, and the variance is at least that of one differing text, 1/n²: two identical rows on 872 texts
   do not prove a difference of exactly 0.

With 4 arms, intervals then cover the truth 95.5 to 97% of the time whether seeds spread by 0 or 4 points of
accuracy; with 2 arms, 93 to 97%. Where the seeds of one arm spread four times as far as the others', its own
intervals fall to 91% and runs with a false verdict rise to 6%.

Fewer than 3 seeds never carry a claim about arms: the interval is then from the texts alone, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stepdown.evaluate import LEVEL, Floats, Metric, MetricName, lowest, proportion, wilson

Verdict = Literal["better", "worse", "no difference shown"]
Kind = Literal["arm", "rung", "model"]
Basis = Literal["seeds and texts", "texts only"]
Values = NDArray[np.bool_] | Floats

FEW_DEGREES = 10
"""With fewer degrees of freedom than this it is the number of seeds that limits what can be shown."""

MIN_SEEDS = 3
"""Fewer seeds than this never show a difference between arms."""


@dataclass(frozen=True)
class Pair:
    """Two things to compare on the same texts.

    Attributes:
        kind: `arm` and `rung` are about ways to train and need seeds; `model` is about these two trained
            models and no others, so texts are the only chance in it and one row each will do.
        a, b: their names, as printed; the difference is b − a.
        values_a, values_b: shape [seeds, n], bool or float, rows in the same order of seeds. One row beside several
            stands for a model that all seeds share (the teacher): what is found is conditional on it.
    """

    kind: Kind
    a: str
    b: str
    values_a: Values
    values_b: Values


@dataclass(frozen=True)
class Comparison:
    """What a paired comparison found.

    Attributes:
        kind, a, b: as in `Pair`.
        metric: what is compared; the mean of the matrices.
        difference: b − a.
        low, high: its 95% interval, not widened for the number of comparisons.
        p: two-sided, of no difference, on its own.
        n: number of texts.
        seeds: number of seeds.
        resolution: the smallest |difference| that, with the spread found here and all else equal, would have had a
            verdict: t at the level at which Holm's procedure would test this comparison, times the standard error.
            None where no difference could have been shown (too few seeds or texts).
        verdict: of b: `better`, `worse` or `no difference shown`.
        p_adjusted: Holm's (1979), over the comparisons printed together; None where nothing was tested.
        family: how many comparisons shared the 5% of false verdicts; 0 where nothing was tested.
        basis: what the interval allows for.
        df: degrees of freedom of its t; n − 1 where seeds add nothing, near seeds − 1 where they are all that matters.
    """

    kind: Kind
    a: str
    b: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    n: int
    seeds: int
    resolution: float | None
    verdict: Verdict
    p_adjusted: float | None
    family: int
    basis: Basis
    df: float


@dataclass(frozen=True)
class _Spread:
    """How far seeds spread: MS_seed of a difference, and its degrees of freedom."""

    square: float
    df: int


@dataclass(frozen=True)
class _Mean:
    """Mean of a matrix over crossed seeds and texts, its squared standard error and degrees of freedom."""

    value: float
    variance: float
    df: float
    basis: Basis


def compare(pairs: Sequence[Pair], metric: MetricName = "accuracy") -> list[Comparison]:
    """Compares each pair; together they are the family over which Holm (1979) keeps false verdicts below 5%.

    Pass everything that one report prints in one call: pairs of arms also learn from each other how far seeds
    spread. Pairs that cannot carry a claim are left out of the family.

    Raises:
        ValueError: matrices that do not fit together or have no text, or one name for two arms.
    """
    shared = _shared_spread(pairs)
    found = [_difference(pair, shared if pair.kind == "arm" else None) for pair in pairs]
    tested = [i for i, pair in enumerate(pairs) if _can_claim(pair)]
    p_values = np.array([_p_value(mean) for mean in found])
    adjusted = dict(zip(tested, holm(p_values[tested]), strict=True))
    levels = dict(zip(tested, holm_levels(p_values[tested]), strict=True))
    comparisons = []
    widest = 1 - lowest(metric)
    for i, (pair, mean) in enumerate(zip(pairs, found, strict=True)):
        half = _half_width(mean, 1 - LEVEL)
        p_adjusted = adjusted.get(i)
        shown = p_adjusted is not None and p_adjusted <= 1 - LEVEL
        comparisons.append(
            Comparison(
                kind=pair.kind,
                a=pair.a,
                b=pair.b,
                metric=metric,
                difference=mean.value,
                low=max(mean.value - half, -widest),
                high=min(mean.value + half, widest),
                p=float(p_values[i]),
                n=pair.values_a.shape[1],
                seeds=_seeds(pair),
                resolution=_resolution(mean, levels.get(i), widest),
                verdict="no difference shown" if not shown else "better" if mean.value > 0 else "worse",
                p_adjusted=None if p_adjusted is None else float(p_adjusted),
                family=len(tested) if i in levels else 0,
                basis=mean.basis,
                df=mean.df,
            )
        )
    return comparisons


def mean_interval(values: Floats, metric: MetricName) -> Metric:
    """The mean of a metric's matrix over seeds, for models of other seeds on other texts: Student's interval.

    Variance and degrees of freedom are those of this module's docstring. Fewer than 3 seeds: texts only.

    Args:
        values: what each text adds to the metric, shape [seeds, n], n ≥ 1.
        metric: which it is.
    """
    mean = _crossed(values)
    half = _half_width(mean, 1 - LEVEL)
    n = values.shape[1]
    if not np.isfinite(half):  # a single text tells nothing of others
        half = 0.0
    return Metric(mean.value, max(mean.value - half, lowest(metric)), min(mean.value + half, 1.0), n)


def share_interval(correct: NDArray[np.bool_]) -> Metric:
    """The mean of a correctness (or agreement) matrix over seeds, for models of other seeds on other texts.

    Wilson's interval at the effective number of texts p(1 − p)/var, with Student's quantile (as survey
    statistics does for clustered samples: Korn and Graubard 1998; Dean and Pagano 2015), var and its degrees
    of freedom as in this module's docstring. One seed gives plain Wilson. Fewer than 3 seeds: texts only.

    Args:
        correct: bool, shape [seeds, n], n ≥ 1.
    """
    seeds, n = correct.shape
    share = float(correct.mean()) if correct.size else 0.0
    if seeds == 1 or n == 1 or share in (0.0, 1.0):
        # No spread to estimate: as if all seeds were one.
        shared = proportion(round(share * n), n)
        return Metric(share, min(shared.low, share), max(shared.high, share), n)
    mean = _crossed(correct.astype(np.float64))
    # Seeds that were independent at every text would count S n texts; no spread makes them more.
    effective = min(share * (1 - share) / mean.variance, seeds * n) if mean.variance > 0 else float(n)
    low, high = wilson(share, effective, float(stats.t.ppf((1 + LEVEL) / 2, mean.df)))
    return Metric(share, low, high, n)


def holm(p_values: Floats) -> Floats:
    """Holm's (1979) adjusted p-values: the k-th smallest of m times m − k + 1, non-decreasing, at most 1.

    Rejecting all that are at most α keeps the chance of any false rejection below α, whatever depends on
    what.
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * (m - np.arange(m))) if m else p_values
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def holm_levels(p_values: Floats, alpha: float = 1 - LEVEL) -> Floats:
    """For each p-value, the largest that Holm's procedure would have rejected in its place.

    If the others alone, tested as though this one were 1, have r rejections, that is α/(m − r).
    """
    m = len(p_values)
    levels = np.empty(m)
    for i in range(m):
        others = np.where(np.arange(m) == i, 1.0, p_values)
        levels[i] = alpha / (m - int((holm(others)[np.arange(m) != i] <= alpha).sum()))
    return levels


def sentence(comparison: Comparison) -> str:
    """A verdict in plain words, in points of a hundredth.

    For example: "chain against one-hop: +0.4 points (−0.6 to +1.4), no difference shown; this run could have
    shown 1.2 points or more".
    """
    c = comparison
    places = _places(c)
    found = f"{_points(c.difference, places)} points ({_points(c.low, places)} to {_points(c.high, places)})"
    said = f"{c.b} against {c.a}: {found}, {c.verdict}"
    if c.verdict != "no difference shown":
        return said
    if c.n < 2:
        return f"{said}: a single text cannot carry a claim"
    if c.resolution is None and c.family:
        return f"{said}: {c.n} texts are too few to show any"
    if c.resolution is None:
        seeds = "1 seed" if c.seeds == 1 else f"{c.seeds} seeds"
        return f"{said}: {seeds} cannot carry a claim (it takes {MIN_SEEDS}); the interval is from the texts alone"
    if c.low > 0 or c.high < 0:
        said += f" once allowance is made for {c.family} comparisons"
    # Rounded up: a difference of what is printed must be enough.
    could = np.ceil(c.resolution * 100 * 10**places - 1e-9) / 10**places
    limit = f"with only {c.seeds} seeds " if c.df < FEW_DEGREES <= c.n else ""
    return f"{said}; {limit}this run could have shown {could:.{places}f} points or more"


def _points(difference: float, places: int) -> str:
    """A signed difference in points, with a true minus; a rounded zero has no sign."""
    text = f"{difference * 100:+.{places}f}".replace("-", "−")
    return text[1:] if float(text[1:]) == 0 else text


def _places(c: Comparison) -> int:
    """One decimal of a point, two where the interval is narrower than a point."""
    return 1 if c.high - c.low >= 0.01 else 2


def _seeds(pair: Pair) -> int:
    return max(len(pair.values_a), len(pair.values_b))


def _can_claim(pair: Pair) -> bool:
    return pair.values_a.shape[1] > 1 and (pair.kind == "model" or _seeds(pair) >= MIN_SEEDS)


def _shared_spread(pairs: Sequence[Pair]) -> _Spread | None:
    """2 MS_arm:seed over all arms; None with fewer than three, where a pair's own mean square says it all."""
    arms: dict[str, Values] = {}
    for pair in pairs:
        if pair.kind == "arm":
            for name, correct in ((pair.a, pair.values_a), (pair.b, pair.values_b)):
                if not np.array_equal(arms.setdefault(name, correct), correct):
                    raise ValueError(f"the arm {name} stands for two different matrices")
    if len(arms) < 3 or len({correct.shape for correct in arms.values()}) > 1:
        return None
    means = np.stack([correct.mean(axis=1) for correct in arms.values()])
    rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    df = (means.shape[0] - 1) * (means.shape[1] - 1)
    n = next(iter(arms.values())).shape[1]
    return _Spread(2 * n * float(np.vdot(rest, rest)) / df, df) if df else None


def _difference(pair: Pair, shared: _Spread | None) -> _Mean:
    a, b = pair.values_a, pair.values_b
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(a.size, b.size) == 0:
        raise ValueError(
            f"{pair.a} {a.shape} and {pair.b} {b.shape} are not [seeds, n] on the same n ≥ 1 texts"
        )
    if len(a) != len(b) and min(len(a), len(b)) > 1:
        raise ValueError(f"{pair.a} has {len(a)} seeds and {pair.b} has {len(b)}: pairs need the same seeds")
    d = b.astype(np.float64) - a.astype(np.float64)
    seeds, n = d.shape
    mean = _crossed(d, shared, texts_only=pair.kind == "model")
    return replace(mean, variance=max(mean.variance + 1 / (seeds * n) ** 2, 1 / n**2))


def _crossed(x: Floats, shared: _Spread | None = None, texts_only: bool = False) -> _Mean:
    """Mean of x [seeds, n] with the variance and degrees of freedom of this module's docstring.

    With n = 1 nothing is known of texts and the degrees of freedom are 0.
    """
    seeds, n = x.shape
    value = float(x.mean())
    if n == 1:
        return _Mean(value, 0.0, 0.0, "texts only")
    by_text = x.mean(axis=0) - value
    ms_text = seeds * float(by_text @ by_text) / (n - 1)
    if seeds < MIN_SEEDS or texts_only:
        return _Mean(value, ms_text / (seeds * n), n - 1, "texts only")
    by_seed = x.mean(axis=1) - value
    own = _Spread(n * float(by_seed @ by_seed) / (seeds - 1), seeds - 1)
    spread = own if shared is None else _Spread(max(own.square, shared.square), shared.df)
    residual = x - value - by_text - by_seed[:, None]
    residual_df = (seeds - 1) * (n - 1)
    ms_residual = float(np.vdot(residual, residual)) / residual_df
    ms_text = max(ms_text, ms_residual)
    variance = (ms_text + max(spread.square - ms_residual, 0.0)) / (seeds * n)
    if spread.square <= ms_residual:
        return _Mean(value, variance, n - 1, "seeds and texts")
    likely = spread.square * spread.df / float(stats.chi2.median(spread.df))
    squares = likely**2 / spread.df + ms_text**2 / (n - 1) + ms_residual**2 / residual_df
    return _Mean(value, variance, (ms_text + likely - ms_residual) ** 2 / squares, "seeds and texts")


def _half_width(mean: _Mean, level: float) -> float:
    """t at a two-sided level times the standard error; no bound where there are no degrees of freedom."""
    return float(stats.t.isf(level / 2, mean.df) * np.sqrt(mean.variance)) if mean.df else np.inf


def _resolution(mean: _Mean, level: float | None, widest: float) -> float | None:
    """Half the width at the test's level; None where nothing was tested or not even the widest would be enough."""
    half = _half_width(mean, level) if level else np.inf
    return half if half <= widest else None


def _p_value(mean: _Mean) -> float:
    return float(2 * stats.t.sf(abs(mean.value) / np.sqrt(mean.variance), mean.df)) if mean.df else 1.0
