"""The last linear layer of a network, and the unit of what it says.

A model that predicts a number says it in the data's own unit. It is trained on standardised numbers all the same, so
that learning rates mean what they mean for other tasks: `standardise` before, `restore` after. A fresh head says
standardised numbers by its nature, and is brought into the unit when it is made (`begin`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stepdown.data.task import Task
from stepdown.errors import ModelError
from stepdown.students.model import TextModel
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Unit:
    """Of numbers: `centre` and `scale` in the data's own unit become 0 and 1.

    Attributes:
        centre: mean of the numbers that it was told by.
        scale: their standard deviation, above 0.
    """

    centre: float
    scale: float

    @classmethod
    def of(cls, numbers: np.ndarray) -> Unit:
        """The unit of some numbers, of any shape."""
        return cls(float(numbers.mean(dtype=np.float64)), float(numbers.std(dtype=np.float64)) or 1.0)

    def standard(self, values: Tensor) -> Tensor:
        """Values in the data's unit as standardised ones."""
        return (values - self.centre) / self.scale


def unit_of(task: Task, labels: np.ndarray) -> Unit | None:
    """The unit of the numbers that a train split has for labels, int64 [n] (−1 for none); None for other tasks."""
    if task.kind != "regression":
        return None
    return Unit.of(task.truth(labels[labels >= 0]))


def linear_head(model: TextModel) -> nn.Linear:
    """The layer that makes a model's outputs.

    Raises:
        ModelError: it is no linear layer.
    """
    linear = [module for module in model.network.modules() if isinstance(module, nn.Linear)]
    if not linear or linear[-1].out_features != len(model.label_names):
        raise ModelError(
            f"The head of {model.description} is not a linear layer, so its outputs cannot be put into another order "
            "or unit. Take another model."
        )
    return linear[-1]


def begins(kind: TaskKind) -> bool:
    """Whether a fresh head for this kind of task begins at an average; one that names one label of several does not."""
    return kind != "single-label"


def begin(model: TextModel, answers: np.ndarray) -> None:
    """Let a fresh head say of every text what is so on average, before it has learnt anything; in place.

    Numbers come into the data's unit. Of several labels each begins at its share: else the first hundreds of updates
    are spent on saying that all rare labels are rare (Lin et al. 2017, "Focal Loss for Dense Object Detection",
    section 3.3, who let rare classes begin at a prior).

    Args:
        model: with a fresh head.
        answers: right ones, or what a teacher holds for right, [n, outputs]; of labels 0 to 1.
    """
    if model.task == "regression":
        restore(model, Unit.of(answers))
    else:
        # Half a text more on either side: no label is out of the question.
        share = (answers.sum(0, dtype=np.float64) + 0.5) / (len(answers) + 1)
        _map(linear_head(model), 1.0, torch.from_numpy(np.log(share / (1 - share))))


def standardise(model: TextModel, unit: Unit) -> None:
    """Let a model that says numbers in the data's unit say standardised ones; in place."""
    _map(linear_head(model), 1 / unit.scale, -unit.centre / unit.scale)


def restore(model: TextModel, unit: Unit) -> None:
    """The reverse of `standardise`; in place."""
    _map(linear_head(model), unit.scale, unit.centre)


def _map(head: nn.Linear, scale: float, shift: float | Tensor) -> None:
    """Make outputs y into scale · y + shift."""
    with torch.no_grad():
        head.weight.mul_(scale)
        if head.bias is None:
            head.bias = nn.Parameter(torch.zeros(head.out_features, device=head.weight.device))
        head.bias.mul_(scale).add_(torch.as_tensor(shift).to(head.bias))
