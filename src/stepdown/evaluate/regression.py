"""Metrics of predicted numbers. Values and truth are float [n], in the data's own unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stepdown.evaluate.intervals import Floats, Metric, bootstrapped, require_finite, weights


def measure(values: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, Metric]:
    """All metrics of one model on one split.

    - `pearson`: correlation; 0 where either side is constant. The primary metric.
    - `spearman`: correlation of ranks, ties sharing their mean rank.
    - `rmse`, `mae`: root mean squared and mean absolute error, in the data's unit.

    Returns:
        Name → metric; empty for n = 0.

    Raises:
        ValueError: shapes that do not fit together.
        CheckError: values that are not finite.
    """
    if values.shape != truth.shape or values.ndim != 1:
        raise ValueError(f"values and truth [n] expected, not {values.shape} and {truth.shape}")
    said, n = require_finite(values[:, None], "model")[:, 0], len(truth)
    if n == 0:
        return {}
    right = truth.astype(np.float64)
    error = said - right
    terms = [_moments(said, right), _moments(stats.rankdata(said), stats.rankdata(right))]
    errors = np.stack([error**2, np.abs(error)], axis=1)
    stacked = np.hstack([*terms, errors])
    sums = np.vstack([stacked.mean(axis=0), *(block @ stacked / n for block in weights(n))])
    found = {
        "pearson": _correlation(sums[:, :5]),
        "spearman": _correlation(sums[:, 5:10]),
        "rmse": np.sqrt(sums[:, 10]),
        "mae": sums[:, 11],
    }
    # Row 0 is the sample itself.
    return {name: bootstrapped(float(one[0]), one[1:], n) for name, one in found.items()}


def pearson_by_text(values: NDArray[np.float32], truth: NDArray[np.float32]) -> Floats:
    """Pearson's correlation as a mean over texts, shape [n]: what each text adds to it.

    r plus its influence function, z_x z_y − r (z_x² + z_y²) / 2 (Devlin, Gnanadesikan and Kettenring 1975, section 2),
    with the mean r and a spread that is r's standard error times √n. 0 where either side is constant.

    Raises:
        CheckError: values that are not finite.
    """
    x, y = require_finite(values[:, None], "model")[:, 0], truth.astype(np.float64)
    if x.std() == 0 or y.std() == 0:
        return np.zeros(len(x))
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float((x * y).mean())
    return np.asarray(r + x * y - r * (x**2 + y**2) / 2)


def _moments(x: Floats, y: Floats) -> Floats:
    """Terms whose means give a correlation, [n, 5]; centred and scaled first, for the sake of rounding."""
    x, y = ((one - one.mean()) / (one.std() or 1.0) for one in (x, y))
    return np.stack([x, y, x * x, y * y, x * y], axis=1)


def _correlation(means: Floats) -> Floats:
    x, y, xx, yy, xy = means.T
    spread = (xx - x * x) * (yy - y * y)
    constant = spread <= 1e-18
    return np.where(constant, 0.0, (xy - x * y) / np.sqrt(np.where(constant, 1.0, spread)))
