"""The teacher: taken as it is when it knows the task, fine-tuned when it has no head, refused when it knows nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from stepdown import evaluate, train
from stepdown.data.dataset import Split
from stepdown.data.task import Task
from stepdown.errors import ModelError
from stepdown.objectives import Objective
from stepdown.students.heads import linear_head, unit_of
from stepdown.students.model import TextModel, logits
from stepdown.students.transformer import HuggingFaceNetwork
from stepdown.tasks import TaskKind

# Squared error of a regression teacher's numbers over that of a line through them, from which on they are in another
# unit and not merely wrong.
_OTHER_UNIT = 2.0
# Through two texts there is always a line, and near a few.
_FEWEST_TEXTS = 10


def require_kind(model: TextModel, task: Task) -> None:
    """Refuse a fine-tuned teacher whose answers are of another kind than the data's labels.

    One output beside two classes is taken for log-odds (`for_two_classes`), unless it is said to be a number.

    Raises:
        ModelError: it is for another kind of task.
    """
    outputs = len(model.label_names)
    one_for_two = outputs == 1 and len(task.label_names) == 2 and task.kind == "single-label"
    fits = {
        "single-label": model.task == "single-label" and (outputs > 1 or one_for_two),
        "multi-label": model.task == "multi-label" or (model.task == "single-label" and outputs > 1),
        "regression": outputs == 1 and model.task != "multi-label",
    }[task.kind]
    if not fits:
        mine, asked = _does(model.task, outputs), _does(task.kind, len(task.label_names))
        raise ModelError(
            f"The teacher is for {mine}, and the data is for {asked}. Take a teacher for the "
            "data's task, or a model without a head, which is then fine-tuned."
        )


def _does(kind: TaskKind, outputs: int) -> str:
    if kind == "regression" or outputs == 1:
        return "predicting a number"
    return "one of several labels a text" if kind == "single-label" else "any number of labels a text"


def reorder(model: TextModel, order: np.ndarray, label_names: Sequence[str]) -> TextModel:
    """The same classifier with its outputs in the order of the data's labels.

    A linear head is reordered in its weights, so that what is saved is an ordinary model.

    Raises:
        ModelError: the head is not linear and cannot be put into another order.
    """
    if order.tolist() == list(range(len(model.label_names))):
        return replace(model, label_names=tuple(label_names))
    rows = torch.eye(len(model.label_names))[order.tolist()]
    return _mapped(model, rows, torch.zeros(len(order)), label_names)


def for_two_classes(model: TextModel, label_names: Sequence[str], which: int = 1) -> TextModel:
    """A classifier with one output, the log-odds of one of two labels, as one with an output for each.

    Such heads are trained with binary cross-entropy; softmax over (0, z) is the sigmoid of z.

    Args:
        which: of the labels the output speaks for.
    """
    return _mapped(model, torch.eye(2)[:, [which]], torch.zeros(2), label_names)


def line_to_unit(said: np.ndarray, truth: np.ndarray) -> tuple[float, float] | None:
    """Slope and intercept that bring a teacher's numbers into the data's unit; None where they are in it.

    Similarity may be told from 0 to 1 or from 0 to 5. They are in another unit where a straight line through what it
    says of labelled texts, ten or more, leaves far less error than its numbers as they are.

    Args:
        said: its numbers for labelled texts, [n].
        truth: the right ones, [n].
    """
    if len(said) < _FEWEST_TEXTS or said.std() == 0:
        return None
    slope, intercept = np.polyfit(said.astype(np.float64), truth.astype(np.float64), 1)
    as_it_is = float(np.square(said - truth).mean())
    fitted = float(np.square(slope * said + intercept - truth).mean())
    return None if slope <= 0 or as_it_is <= _OTHER_UNIT * fitted else (float(slope), float(intercept))


def told_line(line: tuple[float, float], where: str) -> str:
    """What `line_to_unit` found on some texts, in a plain line."""
    slope, intercept = line
    return (
        "the teacher's numbers are in another unit than the data's, and are taken as "
        f"{slope:.3g} · number {'+' if intercept >= 0 else '−'} {abs(intercept):.3g}, fitted on {where}"
    )


def in_unit_of(
    model: TextModel, said: np.ndarray, truth: np.ndarray, name: str, where: str = "selection texts"
) -> tuple[TextModel, str | None]:
    """A regression model whose numbers are in the data's unit, and a note where they were in another.

    The line to that unit (`line_to_unit`) becomes part of its head.

    Args:
        model: regression, one output.
        said: its numbers for labelled texts, [n].
        truth: the right ones, [n].
        name: of the number that is predicted.
        where: which texts they are, for people.
    """
    line = line_to_unit(said, truth)
    if line is None:
        return replace(model, label_names=(name,)), None
    slope, intercept = line
    mapped = _mapped(model, torch.tensor([[slope]]), torch.tensor([intercept]), (name,))
    return mapped, told_line(line, where)


def _mapped(
    model: TextModel, rows: torch.Tensor, shift: torch.Tensor, label_names: Sequence[str]
) -> TextModel:
    """A copy whose outputs are `rows` times its outputs plus `shift`, worked into its linear head."""
    assert isinstance(model.network, HuggingFaceNetwork)
    copied = replace(model, network=copy.deepcopy(model.network))
    assert isinstance(copied.network, HuggingFaceNetwork)
    classifier, head = copied.network.classifier, linear_head(copied)
    rows, shift = rows.to(head.weight), shift.to(head.weight)
    with torch.no_grad():
        bias = rows.new_zeros(head.out_features) if head.bias is None else head.bias
        head.bias = nn.Parameter(rows @ bias + shift)
        head.weight = nn.Parameter(rows @ head.weight)
    head.out_features = len(rows)
    classifier.config.num_labels = len(rows)
    if hasattr(classifier, "num_labels"):
        classifier.num_labels = len(rows)
    return replace(copied, label_names=tuple(label_names))


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning came to: the epoch kept, and the primary metric on selection texts of each epoch."""

    epoch: int
    merits: tuple[float, ...]


def fine_tune(
    model: TextModel,
    train_split: Split,
    selection: Split,
    task: Task,
    schedule: train.Schedule,
    *,
    accelerator: Accelerator,
    precision: torch.dtype,
    on_event: Callable[[train.Event], None],
) -> FineTuned:
    """Fine-tune a model on the labels in place; it keeps the weights of the epoch that selection prefers.

    Args:
        train_split: what it learns from.
        selection: chooses the epoch by the primary metric (the first of equals).
        task: of both.
        on_event: called with each event of the training.
    """
    tokens, labels = model.encode(train_split.texts), train_split.labels
    examples = train.Examples.labelled(tokens, labels, len(model.label_names))
    held_out = model.encode(selection.texts)
    merits: list[float] = []
    best: dict[str, torch.Tensor] = {}
    objective = Objective(
        soft_weight=0.0, hard_weight=1.0, task=task.kind, answers=task.answers, unit=unit_of(task, labels)
    )
    for event in train.fit(
        model, examples, objective, schedule, accelerator=accelerator, precision=precision
    ):
        on_event(event)
        if isinstance(event, train.Epoch):
            said = logits(model, held_out, precision=precision)
            own = evaluate.suited(task, said, selection.labels)
            merits.append(float(evaluate.by_text(task, own, selection.labels).mean()))
            if merits[-1] > max(merits[:-1], default=-np.inf):
                best = {name: value.detach().clone() for name, value in model.network.state_dict().items()}
    model.network.load_state_dict(best)
    return FineTuned(int(np.argmax(merits)) + 1, tuple(merits))
