"""The teacher: taken as it is when it knows the task, fine-tuned when it has no head, refused when it knows nothing."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from scipy.optimize import linear_sum_assignment
from torch import nn

from stepdown import train
from stepdown.errors import ModelError
from stepdown.students.huggingface import HuggingFaceNetwork
from stepdown.students.model import TextModel, logits

# What a head is called when nobody named its labels.
_UNNAMED = re.compile(r"label_\d+", re.IGNORECASE)
# Alignment by agreement must be clear: this much more of the rows than the best other order of the labels.
_CLEAR_LEAD = 0.05


def align(
    names: Sequence[str],
    label_names: Sequence[str],
    label_map: Mapping[str, str] | None,
    said: np.ndarray,
    labels: np.ndarray,
) -> np.ndarray:
    """Which of the teacher's outputs stands for each of the data's labels.

    By the recipe's `label_map`; else by name, letter case aside; else, where the teacher's labels have no names of
    their own (`LABEL_0` …), by agreement on labelled rows, if one order of the labels is clearly the best.

    Args:
        names: the teacher's labels, in the order of its logits.
        label_names: the data's labels.
        label_map: teacher's label → data's label, or None.
        said: the teacher's logits of labelled texts, [n, len(names)].
        labels: int64 [n].

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
            "Say which stands for which with label_map under [teacher], teacher's label = data's label, "
            "or take a teacher for these labels."
        )
    folded = {name.casefold(): index for index, name in enumerate(names)}
    if len(folded) == len(names) and all(name.casefold() in folded for name in label_names):
        return np.array([folded[name.casefold()] for name in label_names])
    if not all(_UNNAMED.fullmatch(name) for name in names):
        raise ModelError(
            f"The teacher's labels ({theirs}) are not the data's ({ours}). "
            "Say which stands for which with label_map under [teacher], teacher's label = data's label."
        )
    return _by_agreement(label_names, said, labels)


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
        raise ModelError(
            f"teacher.label_map {' and '.join(faults)}. Expected one of the teacher's labels ({', '.join(names)}) "
            f"for each of the data's ({', '.join(label_names)})."
        )
    stands_for = {ours: position[theirs] for theirs, ours in label_map.items()}
    return np.array([stands_for[name] for name in label_names])


def _by_agreement(label_names: Sequence[str], said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = len(label_names)
    table = np.zeros((classes, classes))
    np.add.at(table, (labels, said.argmax(1)), 1)
    order = linear_sum_assignment(-table)[1]
    best = table[np.arange(classes), order].sum()
    # The best order that differs somewhere: forbid each pair of the best order in turn.
    second = 0.0
    for label, output in enumerate(order):
        without = table.copy()
        without[label, output] = -len(labels)
        rows, columns = linear_sum_assignment(-without)
        second = max(second, float(without[rows, columns].sum()))
    if best - second < _CLEAR_LEAD * len(labels):
        raise ModelError(
            f"The teacher's labels have no names of their own, and on {len(labels)} labelled texts no order of them "
            f"is clearly the data's ({', '.join(label_names[:8])}): the best agrees on {best / len(labels):.0%}, the "
            f"next on {max(second, 0) / len(labels):.0%}. Say which stands for which with label_map under [teacher]."
        )
    return np.asarray(order)


def reorder(model: TextModel, order: np.ndarray, label_names: Sequence[str]) -> TextModel:
    """The same classifier with its outputs in the order of the data's labels.

    A linear head is reordered in its weights, so that what is saved is an ordinary model.

    Raises:
        ModelError: the head is not linear and cannot be put into another order.
    """
    if order.tolist() == list(range(len(model.label_names))):
        return replace(model, label_names=tuple(label_names))
    assert isinstance(model.network, HuggingFaceNetwork)
    classifier = copy.deepcopy(model.network.classifier)
    head = _head(classifier, len(model.label_names))
    with torch.no_grad():
        head.weight = nn.Parameter(head.weight[order.tolist()].clone())
        if head.bias is not None:
            head.bias = nn.Parameter(head.bias[order.tolist()].clone())
    head.out_features = len(order)
    classifier.config.num_labels = len(order)
    if hasattr(classifier, "num_labels"):
        classifier.num_labels = len(order)
    return replace(model, network=HuggingFaceNetwork(classifier), label_names=tuple(label_names))


def _head(classifier: Any, outputs: int) -> nn.Linear:
    linear = [m for m in classifier.modules() if isinstance(m, nn.Linear)]
    if not linear or linear[-1].out_features != outputs:
        raise ModelError(
            "The teacher's labels are in another order than the data's, and its head is not a linear one"
        )
    return linear[-1]


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning came to: the epoch kept, and the selection accuracy of each epoch."""

    epoch: int
    accuracies: tuple[float, ...]


def fine_tune(
    model: TextModel,
    texts: Sequence[str],
    labels: np.ndarray,
    selection: tuple[Sequence[str], np.ndarray],
    schedule: train.Schedule,
    *,
    accelerator: Accelerator,
    precision: torch.dtype,
    on_event: Callable[[train.Event], None],
) -> FineTuned:
    """Fine-tune a classifier on hard labels in place; it keeps the weights of the epoch that selection prefers.

    Args:
        texts, labels: the train split; labels int64 [n].
        selection: texts and labels that choose the epoch (the first of equals).
        on_event: called with each event of the training.
    """
    tokens = model.encode(texts)
    examples = train.Examples(tokens, labels, np.zeros((0, len(texts), len(model.label_names)), np.float32))
    held_out, gold = model.encode(selection[0]), selection[1]
    accuracies: list[float] = []
    best: dict[str, torch.Tensor] = {}
    objective = train.Objective(soft_weight=0.0, hard_weight=1.0)
    for event in train.fit(
        model, examples, objective, schedule, accelerator=accelerator, precision=precision
    ):
        on_event(event)
        if isinstance(event, train.Epoch):
            said = logits(model, held_out, precision=precision)
            accuracies.append(float((said.argmax(1) == gold).mean()))
            if accuracies[-1] > max(accuracies[:-1], default=-1.0):
                best = {name: value.detach().clone() for name, value in model.network.state_dict().items()}
    model.network.load_state_dict(best)
    return FineTuned(int(np.argmax(accuracies)) + 1, tuple(accuracies))
