"""Which of a teacher's outputs stands for which label of the data: by name, by the recipe's map, or by agreement."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from stepdown.errors import ModelError
from stepdown.outputs import probabilities

# What a label is called when nobody named it, by its number.
_UNNAMED = re.compile(r"label_(\d+)", re.IGNORECASE)
# Alignment by agreement must be clear: this much more of the rows than the best other order of the labels.
_CLEAR_LEAD = 0.05
# A label of which an output knows less than this share, from chance to certainty, is not the one that it stands for;
# so few texts of a label tell nothing of that.
_SOME_SKILL, _FEWEST = 0.1, 5
# Names are doubted where another order of the outputs agrees on this much more of the rows.
_DOUBT = 0.2
# Numbers that were learnt as 0 and 1 lie between these, nearly all of them.
_AROUND_0_AND_1, _NEARLY_ALL = (-0.5, 1.5), 0.98


def by_number(names: Sequence[str]) -> np.ndarray | None:
    """Labels that have no names of their own but numbers, `LABEL_0` …, in the order of these; None of others."""
    numbers = [_UNNAMED.fullmatch(name) for name in names]
    return None if None in numbers else np.argsort([int(one[1]) for one in numbers if one])


def align(
    names: Sequence[str],
    label_names: Sequence[str],
    label_map: Mapping[str, str] | None,
    said: np.ndarray,
    labels: np.ndarray,
    sets: np.ndarray | None = None,
) -> np.ndarray:
    """Which of the teacher's outputs stands for each of the data's labels.

    By the recipe's `label_map`; else by name, letter case aside; else, where the teacher's labels have no names of
    their own (`LABEL_0` …), by agreement on labelled rows, if one order of the labels is clearly the best.

    Args:
        names: the teacher's labels, in the order of its logits.
        label_names: the data's labels.
        label_map: teacher's label → data's label, or None.
        said: the teacher's logits of labelled texts, [n, len(names)]; there may be none.
        labels: int64 [n], classes; of sets of labels not looked at.
        sets: 1 for the labels that apply, [n, labels]; None where labels are exclusive.

    Returns:
        int64 [len(label_names)]: positions in the teacher's logits.

    Raises:
        ModelError: the labels cannot be matched.
    """
    theirs, ours = ", ".join(names[:8]), ", ".join(label_names[:8])
    if label_map is not None:
        return _by_map(names, label_names, label_map)
    if len(names) != len(label_names):
        raise ModelError(
            f"The teacher knows {len(names)} labels ({theirs}) and the data has {len(label_names)} ({ours}). "
            f"{_MORE if len(names) > len(label_names) else _FEWER}"
        )
    folded = {name.casefold(): index for index, name in enumerate(names)}
    if len(folded) == len(names) and all(name.casefold() in folded for name in label_names):
        return np.array([folded[name.casefold()] for name in label_names])
    table = _agreement(said, labels, sets)
    if by_number(names) is None:
        raise ModelError(
            f"The teacher's labels ({theirs}) are not the data's ({ours}). "
            "Say which stands for which with label_map under [teacher], teacher's label = data's label."
            f"{_proposal(names, label_names, table, labels, sets)}"
        )
    if not len(labels):
        raise ModelError(
            "The teacher's labels have no names of their own, and no text has a label that would tell their order. Say "
            "which stands for which with label_map under [teacher], teacher's label = data's label."
        )
    return _by_agreement(label_names, table, labels, sets)


_MORE = (
    "Say with label_map under [teacher] which of the teacher's labels stands for each of the data's; the others are "
    "then left aside."
)
_FEWER = (
    "It says nothing of some labels, so nothing could be learnt of them: take a teacher for these labels, or take the "
    "others out of the data."
)
_WHY_EACH = ": of a label without one nothing can be learnt"
_WHY_ONE = (
    ", since a label of the teacher is an output of its last layer, and several have no output together. Sum their "
    "probabilities in what `stepdown label` writes, and name that as the teacher: labels:…"
)


def _by_map(names: Sequence[str], label_names: Sequence[str], label_map: Mapping[str, str]) -> np.ndarray:
    position = {name: index for index, name in enumerate(names)}
    given = Counter(label_map.values())
    lists = {
        "names labels that the teacher lacks": [theirs for theirs in label_map if theirs not in position],
        "names labels that the data lacks": [ours for ours in given if ours not in label_names],
        "gives several of the teacher's labels to one of the data's": [
            ours for ours, count in given.items() if count > 1
        ],
        "leaves labels of the data without one": [ours for ours in label_names if ours not in given],
    }
    faults = [f"{what}: {', '.join(found)}" for what, found in lists.items() if found]
    if faults:
        several = any(count > 1 for count in given.values())
        raise ModelError(
            f"teacher.label_map {' and '.join(faults)}. Expected one of the teacher's labels ({', '.join(names)}) "
            f"for each of the data's ({', '.join(label_names)}){_WHY_ONE if several else _WHY_EACH}."
        )
    stands_for = {ours: position[theirs] for theirs, ours in label_map.items()}
    return np.array([stands_for[name] for name in label_names])


def _by_agreement(
    label_names: Sequence[str], table: np.ndarray, labels: np.ndarray, sets: np.ndarray | None
) -> np.ndarray:
    """The order of the outputs that agrees best with the labels, if it is clearly the best.

    Args:
        table: how much each output agrees with each label, [labels, outputs], in texts (`_agreement`).
        labels, sets: of these texts, as for `align`.

    Raises:
        ModelError: no order is, or a label has no output that goes with it.
    """
    texts = _most(labels, sets)
    order = linear_sum_assignment(-table)[1]
    best = table[np.arange(len(table)), order].sum()
    # The best order that differs somewhere: forbid each pair of the best order in turn.
    second = 0.0
    for label, output in enumerate(order):
        without = table.copy()
        without[label, output] = -texts
        rows, columns = linear_sum_assignment(-without)
        second = max(second, float(without[rows, columns].sum()))
    if best - second < _CLEAR_LEAD * texts:
        raise ModelError(
            f"The teacher's labels have no names of their own, and on {len(labels)} labelled texts no order of them "
            f"is clearly the data's ({', '.join(label_names[:8])}): the best agrees on {best / texts:.0%}, the "
            f"next on {max(second, 0) / texts:.0%}. Say which stands for which with label_map under [teacher]."
        )
    skilled = [_has_skill(table, at, output, labels, sets) for at, output in enumerate(order.tolist())]
    # Where it knows nothing at all, that is the thing to be told, and is told by who checks it.
    if any(skilled) and not all(skilled):
        raise ModelError(
            "The teacher's labels have no names of their own, and none of its outputs goes with the label "
            f"{label_names[skilled.index(False)]!r} on {len(labels)} labelled texts, once the others have theirs. Say "
            "which stands for which with label_map under [teacher], or take a teacher for these labels."
        )
    return np.asarray(order)


def _most(labels: np.ndarray, sets: np.ndarray | None) -> int:
    """What labels and outputs have in common at most, as `_agreement` counts it; at least 1."""
    return max(1, len(labels) if sets is None else int((sets.sum(0) * (1 - sets.mean(0))).sum()))


def _agreement(said: np.ndarray, labels: np.ndarray, sets: np.ndarray | None) -> np.ndarray:
    """How many texts each output and each label have in common, [labels, outputs].

    Of exclusive labels the texts of a label whose highest output it is; of sets the summed probability of the output
    over the texts of a label, less what chance gives, so that a frequent label does not draw every output.
    """
    if sets is None:
        table = np.zeros((said.shape[1], said.shape[1]))
        np.add.at(table, (labels, said.argmax(1)), 1)
        return table
    shares = probabilities("multi-label", said, 1.0).astype(np.float64)
    return np.asarray(sets.T @ (shares - shares.mean(0)))


def _has_skill(
    table: np.ndarray, label: int, output: int, labels: np.ndarray, sets: np.ndarray | None
) -> bool:
    """Whether an output goes with a label, or there are too few texts to tell; arguments as for `_by_agreement`."""
    known = labels == label if sets is None else sets[:, label] > 0
    texts, has = len(known), float(known.sum())
    if has < _FEWEST or texts - has < _FEWEST:
        return True
    found = float(table[label, output])
    if sets is not None:  # what chance gives is taken off already
        return found >= _SOME_SKILL * has * (1 - has / texts)
    by_chance = has * float(table[:, output].sum()) / texts
    return has > by_chance and found - by_chance >= _SOME_SKILL * (has - by_chance)


def _proposal(
    names: Sequence[str],
    label_names: Sequence[str],
    table: np.ndarray,
    labels: np.ndarray,
    sets: np.ndarray | None,
) -> str:
    """The map that labelled texts suggest, as a sentence to go on with; empty where they suggest none."""
    if not len(labels):
        return ""
    try:
        order = _by_agreement(label_names, table, labels, sets)
    except ModelError:
        return ""
    given = {names[output]: ours for output, ours in zip(order.tolist(), label_names, strict=True)}
    return f" By what it says of {len(labels)} labelled texts that is {_written_map(given)}."


def _written_map(label_map: Mapping[str, str]) -> str:
    """A map of labels as a recipe has it; of many labels the first."""
    pairs = [
        f"{json.dumps(own, ensure_ascii=False)} = {json.dumps(ours, ensure_ascii=False)}"
        for own, ours in label_map.items()
    ]
    return f"label_map = {{ {', '.join(pairs[:8])}{', …' if len(pairs) > 8 else ''} }}"


def doubt(
    sources: Sequence[str],
    label_names: Sequence[str],
    said: np.ndarray,
    labels: np.ndarray,
    sets: np.ndarray | None,
) -> str | None:
    """Why the outputs of a teacher may stand for others of the data's labels than they are taken for; None if not.

    Args:
        sources: what the teacher calls each output, in the order of the data's labels; empty for what it has none for.
        label_names: the data's labels, which they are taken for.
        said: logits of labelled texts in that order, [n, labels].
        labels: classes, int64 [n]; of sets not looked at.
        sets: 1 for the labels that apply, [n, labels]; None where labels are exclusive.
    """
    table, texts = _agreement(said, labels, sets), _most(labels, sets)
    order = linear_sum_assignment(-table)[1]
    as_taken, best = float(np.trace(table)), float(table[np.arange(len(table)), order].sum())
    if not len(labels) or best - as_taken < _DOUBT * texts:
        return None
    # Of one output for two classes the other place has no name.
    pairs = ((sources[at], ours) for at, ours in zip(order.tolist(), label_names, strict=True))
    better = _written_map({own: ours for own, ours in pairs if own})
    return (
        "The teacher's labels stand for others than they are taken for: as it is, they agree with the data's on "
        f"{max(as_taken, 0) / texts:.0%} of {len(labels)} labelled texts, and in another order on {best / texts:.0%}. "
        f"If that is the right one, say {better} under [teacher]; if not, check the labels of the data."
    )


def class_of_one(
    name: str,
    label_names: Sequence[str],
    label_map: Mapping[str, str] | None,
    said: np.ndarray,
    labels: np.ndarray,
) -> int:
    """Which of two labels a teacher's one output is the log-odds of.

    The one that `label_map` says; else the one that it is called as, letter case aside; else the one that it agrees
    with better on labelled texts; where they do not tell, the second.

    Args:
        name: of the output.
        said: what it says of labelled texts, [n, 1]; there may be none.
        labels: of these, 0 or 1, [n].

    Raises:
        ModelError: the map does not fit, or the output is no log-odds.
    """
    _require_log_odds(said, labels)
    if label_map is not None:
        if set(label_map) != {name} or not set(label_map.values()) <= set(label_names):
            raise ModelError(
                f"The teacher has one output, {name}, and the recipe says {_written_map(label_map)}. "
                f"Expected {name} = the label that a high number speaks for, of {' and '.join(label_names)}."
            )
        return list(label_names).index(label_map[name])
    called = [at for at, ours in enumerate(label_names) if ours.casefold() == name.casefold()]
    if called:
        return called[0]
    right = float(((said[:, 0] > 0) == (labels == 1)).mean()) if len(labels) else 1.0
    return 0 if 1 - right > right + _CLEAR_LEAD else 1


def _require_log_odds(said: np.ndarray, labels: np.ndarray) -> None:
    """Refuse one output that learnt two classes as the numbers 0 and 1: it parts them at a half, log-odds at 0.

    Args:
        said: [n, 1], of labelled texts; there may be none.
        labels: 0 or 1, [n].

    Raises:
        ModelError: it is such a number.
    """
    if not len(labels):
        return
    numbers, (low, high) = said[:, 0], _AROUND_0_AND_1
    # Either class may be the one that a high number speaks for.
    at_zero, at_half = (
        max(right, 1 - right)
        for right in (float(((numbers > least) == (labels == 1)).mean()) for least in (0.0, 0.5))
    )
    around = float(((numbers > low) & (numbers < high)).mean())
    if around >= _NEARLY_ALL and at_half - at_zero >= _CLEAR_LEAD:
        raise ModelError(
            f"The teacher's one output, from {numbers.min():.2f} to {numbers.max():.2f} on {len(labels)} labelled "
            f"texts, parts the two labels at 0.5 ({at_half:.0%} right) and not at 0 ({at_zero:.0%}): it predicts them "
            "as the numbers 0 and 1, and log-odds were expected. Take a classifier, or write its numbers and what they "
            "lack to 1 into two columns of the data, and name these as the teacher: labels:…"
        )
