"""How far a model's scores can be trusted, in sentences: calibration, and holding back doubtful answers."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown.evaluate import Answered
from stepdown.report.figures import clean, interval, percent
from stepdown.results import Cell

# Of more, the last say all there is.
_MOST_TOLD = 4


def trust(cell: Cell, kept_aside: str) -> tuple[str, ...]:
    """What there is to say of a model's scores; nothing for a regression, or a model whose scores nobody looked at.

    Args:
        cell: the model.
        kept_aside: what its report texts are called, with their number.
    """
    return tuple(_sentences(cell, kept_aside)) if cell.calibration else ()


def _sentences(cell: Cell, kept_aside: str) -> Iterator[str]:
    fitted, error = cell.calibration, cell.metrics.get("ece")
    assert fitted is not None
    if cell.calibration_note:
        yield f"Scores are not calibrated but as the network gives them. {clean(cell.calibration_note)}"
    else:
        on = f"{fitted.n or 0:,} selection texts"
        yield f"Scores are calibrated: temperature {fitted.temperature:.3g}, fitted on {on}."
    if error:
        before = None if cell.calibration_note else cell.metrics.get("ece_uncalibrated")
        than = f", {interval(before)} before calibration" if before else ""
        what = "any label applies" if fitted.thresholds else "such an answer is right"
        yield (
            f"Expected calibration error on {kept_aside}: {interval(error)}{than}. It is the mean distance between a "
            f"score and how often {what}."
        )
    told = [one for one in cell.abstaining if 0 < one.share.value < 1][-_MOST_TOLD:]
    yield from (_answered(one) for one in told)


def _answered(one: Answered) -> str:
    right = f", {interval(one.accuracy)} of these rightly" if one.accuracy else ""
    return f"With --abstain-below {one.below:g}, {percent(one.share.value)} of them are answered{right}."
