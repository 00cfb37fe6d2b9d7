"""What a teacher's scores mean: whose they are, and whether they are probabilities or logits.

Students learn from logits. Of probabilities these are their logarithms, of labels that are judged each by itself their
log-odds; both are bounded, since a written probability of 0 or 1 was rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data.table import listing
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.recipe import Scores
from stepdown.tasks import TaskKind

Floats = NDArray[np.float64]

# Probabilities nearer to 0 or 1 than this count as this: what a float32 can tell from 1.
_LEAST = 1e-7
# Rounding of the sums of many probabilities, and what is more than that.
_ROUNDING, _OFF = 1e-6, 0.01
# So many rows must sum to 1, about, for scores to be those of labels that exclude each other.
_MOST_SUM = 0.9


@dataclass(frozen=True)
class ScoreForm:
    """How scores become outputs in the order of the labels.

    Attributes:
        kind: of the task.
        form: what the scores are; None for numbers to be predicted, which are taken as they are.
        order: int64 [outputs], which score is whose; of a single score for two labels the one of which it is.
        single: whether there is one score for two labels.
    """

    kind: TaskKind
    form: Scores | None
    order: NDArray[np.int64]
    single: bool = False

    def outputs(self, scores: Floats, place: str) -> NDArray[np.float32]:
        """Logits, or numbers, of n texts: float32 [n, outputs]; NaN where there are no scores.

        Args:
            scores: [n, width]; rows of NaN where there are none.
            place: as messages begin.

        Raises:
            DataError: probabilities are asked for, and a score is none.
        """
        if self.form == "probabilities":
            _check_probabilities(scores, place)
            scores = np.clip(scores, 0.0, 1.0)
        if self.single:
            margin = _log_odds(scores[:, 0]) if self.form == "probabilities" else scores[:, 0]
            found = np.zeros((len(scores), 2))
            found[:, self.order[0]] = margin
            found[np.isnan(margin)] = np.nan
            return found.astype(np.float32)
        ordered = scores[:, self.order]
        if self.form == "probabilities":
            ordered = _log_odds(ordered) if self.kind == "multi-label" else _logarithms(ordered)
        return ordered.astype(np.float32)


def understood(
    scores: Floats, names: Sequence[str] | None, task: Task, form: Scores | None, place: str
) -> tuple[ScoreForm, list[str]]:
    """What some scores mean, and what of it a user should know.

    Args:
        scores: of many texts, [n, width], or as many as there are; rows of NaN where there are none.
        names: what the scores are called, or None.
        task: whose outputs they are.
        form: as the user says it; None to tell it by the values.
        place: what holds them, as messages begin.

    Raises:
        DataError: they are not as many as the labels, are called otherwise, or mean neither.
    """
    known = scores[~np.isnan(scores).any(axis=1)]
    if not known.size:
        raise DataError(f"{place}: no text has scores of the teacher. Expected them in most rows.")
    if task.kind == "regression":
        if form is not None:
            raise DataError(
                f"{place}: scores = {form!r} is for labels; numbers are taken as they are. Leave it out."
            )
        if scores.shape[1] != 1:
            raise DataError(
                f"{place}: there are {scores.shape[1]} scores for a text, but one number is predicted. "
                "Expected one column."
            )
        return ScoreForm(task.kind, None, np.zeros(1, np.int64)), []
    order, single, how = _matched(scores.shape[1], names, task, place)
    found, told = (form, "as was said") if form else _told_form(known, place)
    notes = [f"{place}: the scores are {found} ({told}), {how}."]
    if found == "probabilities" and task.kind == "single-label" and not single:
        notes += _sums(known, place)
    return ScoreForm(task.kind, found, order, single), notes


def task_of(
    scores: Floats,
    names: Sequence[str] | None,
    *,
    label_names: Sequence[str] | None,
    kind: TaskKind | None,
    is_pair: bool,
    place: str,
) -> Task:
    """The task of a teacher of which nothing but scores is known, where no text has a label.

    Args:
        scores: as for `understood`.
        names: what the scores are called, or None.
        label_names: as the user says them; None for what the scores are called.
        kind: as the user says it; None where the values tell.
        is_pair: texts are pairs.
        place: what holds the scores, as messages begin.

    Raises:
        DataError: the kind of task, or the names of its labels, cannot be told.
    """
    width = scores.shape[1]
    if kind is None:
        kind = _kind(scores, label_names, place)
    if kind == "regression":
        return Task.without_answers(kind, (names or ("value",))[:1], is_pair=is_pair)
    found = label_names or (names if width > 1 else None)
    if found is None:
        raise DataError(
            f"{place}: no text has a label, and the scores have no names, so nobody says what the labels are called. "
            "Name them with label_names, in the order of the scores."
        )
    return Task.without_answers(kind, tuple(found), is_pair=is_pair)


def _kind(scores: Floats, label_names: Sequence[str] | None, place: str) -> TaskKind:
    known = scores[~np.isnan(scores).any(axis=1)]
    if label_names is not None and len(label_names) == 2 and scores.shape[1] == 1:
        return "single-label"
    between = bool(((known >= -_ROUNDING) & (known <= 1 + _ROUNDING)).all())
    if scores.shape[1] > 1 and between and (np.abs(known.sum(axis=1) - 1) <= _OFF).mean() >= _MOST_SUM:
        return "single-label"
    raise DataError(
        f"{place}: no text has a label, and the scores do not tell what they are of: expected probabilities that sum "
        'to 1, or task = "single-label", "multi-label" or "regression" under [data].'
    )


def _matched(
    width: int, names: Sequence[str] | None, task: Task, place: str
) -> tuple[NDArray[np.int64], bool, str]:
    """Which score is whose; whether there is one for two labels; and how it was told."""
    labels = task.label_names
    if width == 1 and len(labels) == 2 and task.kind == "single-label":
        called = {_folded(label): at for at, label in enumerate(labels)}
        at = called.get(_folded(names[0]), 1) if names else 1
        return np.array([at]), True, f"of {labels[at]!r} against {labels[1 - at]!r}"
    if width != len(labels):
        raise DataError(
            f"{place}: there are {width} scores for a text, and {len(labels)} labels ({listing(labels, 8)}). Expected "
            "a score for each label, in their order or called as they are."
        )
    by_name = _by_name(names, labels) if names else None
    if by_name is not None:
        return by_name, False, "matched with the labels by name"
    if names and {_folded(name) for name in names} & {_folded(label) for label in labels}:
        raise DataError(
            f"{place}: the scores are called {listing(names, 8)}, and the labels {listing(labels, 8)}: some of them "
            "alike, others not. Expected a score for each label, called as it is."
        )
    pairs = [
        f"{name!r} is {label!r}" for name, label in zip(names or range(1, width + 1), labels, strict=True)
    ]
    more = f" and {len(pairs) - 8} more" if len(pairs) > 8 else ""
    return np.arange(width), False, f"in the order of the labels: {', '.join(pairs[:8])}{more}"


def _by_name(names: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64] | None:
    """The place of each label among names, letter case and a beginning that all share aside; None if some lack."""
    first, last = min(names), max(names)  # what these two share at their beginning, all between them do
    shared = next((at for at, one in enumerate(first) if one != last[at : at + 1]), len(first))
    for start in dict.fromkeys((0, shared)):
        place = {_folded(name[start:]): at for at, name in enumerate(names)}
        if len(place) == len(names) and all(_folded(label) in place for label in labels):
            return np.array([place[_folded(label)] for label in labels])
    return None


def _folded(name: str) -> str:
    return name.strip().casefold()


def _told_form(known: Floats, place: str) -> tuple[Scores, str]:
    least, most = float(known.min()), float(known.max())
    span = f"they run from {least:.4g} to {most:.4g}"
    if least >= -_ROUNDING and most <= 1 + _ROUNDING:
        return "probabilities", span
    if least >= 0:
        raise DataError(
            f"{place}: the scores are no probabilities, as {span}, and hardly logits, as none is below 0. Divide "
            'percentages by 100; if they are logits all the same, say scores = "logits" beside the teacher.'
        )
    return "logits", span


def _check_probabilities(scores: Floats, place: str) -> None:
    outside = (scores < -_ROUNDING) | (scores > 1 + _ROUNDING)  # NaN is neither
    if outside.any():
        raise DataError(
            f"{place}: {scores[outside][0]:.6g} is no probability, which the scores are taken for: expected numbers "
            'from 0 to 1. If they are logits, say scores = "logits" beside the teacher.'
        )


def _sums(known: Floats, place: str) -> list[str]:
    sums = known.sum(axis=1)
    off = np.abs(sums - 1) > _OFF
    if not off.any():
        return []
    said = (
        f"{place}: the probabilities of {int(off.sum()):,} of {len(known):,} texts do not sum to 1 (but to "
        f"{sums.min():.3g} to {sums.max():.3g}): each is divided by its sum."
    )
    empty = int((sums <= 0).sum())
    return [said + (f" {empty:,} of them are 0 throughout and count as none." if empty else "")]


def _logarithms(probabilities: Floats) -> Floats:
    """Logarithms of probabilities of exclusive labels, [n, labels], each row divided by its sum; NaN if that is 0."""
    sums = probabilities.sum(axis=1, keepdims=True)
    shares = np.divide(probabilities, sums, out=np.full_like(probabilities, np.nan), where=sums > 0)
    found: Floats = np.log(np.maximum(shares, _LEAST))
    return found


def _log_odds(probabilities: Floats) -> Floats:
    bounded = np.clip(probabilities, _LEAST, 1 - _LEAST)
    found: Floats = np.log(bounded) - np.log1p(-bounded)
    return found
