"""What is minimised while a model is trained: the losses of `losses`, chosen and weighed for a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stepdown import losses
from stepdown.students.heads import Unit
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Objective:
    """What is minimised: `soft_weight` times the soft loss plus `hard_weight` times the loss to the labels.

    The loss to the labels is cross-entropy; of labels that are judged each by itself, summed binary cross-entropy; of
    numbers, squared error, as then the soft loss is.

    Attributes:
        loss: the soft loss: `kl` at `temperature`, or `mse` of margins clipped to ±`clip`.
        class_weights: weights of the hard loss by class, or of labels where they apply; None for equal ones.
        hint_weight: of the squared error between a teacher's hints (`students.hints`) and what a linear head, which is
            dropped afterwards, makes of the features below the network's `output`; 0 for none.
        hint_size: components of a hint.
        teacher_weights: share of each teacher in the soft loss, summing to 1; None for equal shares.
        task: what the outputs are.
        answers: float32 [answers, outputs], which labels are an index into; None where labels are classes.
        unit: of numbers. The network says them in the data's own unit before and after; while it is trained it says
            standardised ones, and they are compared so.
    """

    soft_weight: float
    hard_weight: float
    loss: Literal["kl", "mse"] = "kl"
    temperature: float = 1.0
    clip: float = 6.0
    class_weights: tuple[float, ...] | None = None
    teacher_weights: tuple[float, ...] | None = None
    hint_weight: float = 0.0
    hint_size: int = 0
    task: TaskKind = "single-label"
    answers: np.ndarray | None = None
    unit: Unit | None = None


def loss(
    said: Tensor, labels: np.ndarray, targets: np.ndarray, objective: Objective, weights: Tensor | None
) -> Tensor:
    """What an objective makes of some texts' outputs; several teachers count by their weighted mean.

    Args:
        said: float32 [batch, outputs].
        labels: int64 [batch], −1 where there is none.
        targets: float32 [teachers, batch, outputs].
        objective: what is minimised.
        weights: its class weights, on the device of `said`.

    Returns:
        Shape [batch].
    """
    found = said.new_zeros(len(labels))
    if objective.hard_weight:
        found = found + objective.hard_weight * _hard(said, labels, objective, weights)
    if objective.soft_weight:
        count = len(targets)
        shares = objective.teacher_weights or (1 / count,) * count
        for share, one in zip(shares, targets, strict=True):
            teacher = torch.from_numpy(one).to(said.device)
            found = found + objective.soft_weight * share * _soft(said, teacher, objective)
    return found


def hint_loss(guess: Tensor, hints: np.ndarray, objective: Objective) -> Tensor:
    """What missing its hint costs each text, shape [batch], for guesses and hints [batch, components]."""
    wanted = torch.from_numpy(hints).to(guess.device).float()
    return objective.hint_weight * losses.hint(guess.float(), wanted)


def _hard(said: Tensor, labels: np.ndarray, objective: Objective, weights: Tensor | None) -> Tensor:
    """Distance to the labels, shape [batch]."""
    if objective.task == "single-label":
        return losses.cross_entropy(said, torch.from_numpy(labels).to(said.device), weights)
    assert objective.answers is not None, "labels are an index into answers, which are not there"
    known = torch.from_numpy(objective.answers[np.maximum(labels, 0)]).to(said.device)
    right = known.masked_fill(torch.from_numpy(labels < 0).to(said.device)[:, None], torch.nan)
    if objective.task == "multi-label":
        return losses.binary_cross_entropy(said, right, weights)
    return losses.squared_error(said, objective.unit.standard(right) if objective.unit else right)


def _soft(said: Tensor, teacher: Tensor, objective: Objective) -> Tensor:
    """Distance to what a teacher says, shape [batch]."""
    if objective.task == "regression":
        return losses.squared_error(said, objective.unit.standard(teacher) if objective.unit else teacher)
    by_itself = objective.task == "multi-label"
    if objective.loss == "kl":
        return (losses.binary_kl if by_itself else losses.kl)(said, teacher, objective.temperature)
    return (losses.logit_mse if by_itself else losses.mse)(said, teacher, objective.clip)
