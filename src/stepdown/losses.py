"""Losses: pure functions of two outputs, one value per example.

The training loop averages them; the evaluator uses the same functions as measures of how far a student is from its
teacher. A student that says exactly what its teacher says scores 0 in `kl`, and in `mse` where no
margin is clipped.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from stepdown.tasks import TaskKind


def kl(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence from the student's to the teacher's softened distribution, times T².

    Hinton, Vinyals and Dean (2015), section 2: gradients of the softened loss shrink as 1/T², so the loss is
    multiplied by T², here and nowhere else.

    Args:
        student, teacher: logits, shape [batch, classes].
        temperature: T > 0; logits are divided by it.

    Returns:
        Shape [batch], in nats, at least 0.
    """
    log_p = F.log_softmax(teacher / temperature, dim=-1)
    log_q = F.log_softmax(student / temperature, dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1) * temperature**2


def margins(logits: Tensor) -> Tensor:
    """Each class's logit minus the mean logit of the other classes, shape [batch, classes].

    This is the centred logit times C/(C−1). With two classes it is the logit margin, once with each sign.
    """
    classes = logits.shape[-1]
    return (logits - logits.mean(-1, keepdim=True)) * (classes / (classes - 1))


def mse(student: Tensor, teacher: Tensor, clip: float = 6.0) -> Tensor:
    """Mean squared error between margins, the teacher's clipped to ±`clip`.

    Ba and Caruana (2014), section 2.3, regress on logits; margins take out the one number per text that the softmax
    does not see. Clipping keeps texts of which the teacher is certain from owning the loss.

    Returns:
        Shape [batch].
    """
    return (margins(student) - margins(teacher).clamp(-clip, clip)).square().mean(-1)


def mean_teacher(teachers: Tensor, loss: Literal["kl", "mse"], task: TaskKind = "single-label") -> Tensor:
    """Several teachers as one: a student's loss to it is its mean loss to each of them, up to a constant.

    Hinton, Vinyals and Dean (2015), section 3, distil an ensemble by the mean of its members' probabilities. That is
    what the mean of `kl` (at T = 1) leads to; the mean of `mse` (without clipping) leads to the mean of the margins.

    Args:
        teachers: logits, shape [teachers, n, classes], or numbers, [teachers, n, 1].
        loss: the student's.
        task: for labels that are judged each by itself, the mean probability of each; of numbers, the mean.

    Returns:
        Logits, shape [n, classes]: logarithms of the mean probabilities, or means of the centred logits; or numbers.
    """
    if task == "regression" or (task == "multi-label" and loss == "mse"):
        return teachers.mean(0)
    if task == "multi-label":
        yes, no = F.logsigmoid(teachers).logsumexp(0), F.logsigmoid(-teachers).logsumexp(0)
        return yes - no
    if loss == "kl":
        return F.log_softmax(teachers, dim=-1).logsumexp(0) - math.log(len(teachers))
    return (teachers - teachers.mean(-1, keepdim=True)).mean(0)


def hint(guess: Tensor, hint: Tensor) -> Tensor:
    """Mean squared error between a student's guess and the teacher's hint, both of shape [batch, components].

    Romero et al. (2015), "FitNets", equation 3, with the mean over components in the place of half the sum.

    Returns:
        Shape [batch].
    """
    return (guess - hint).square().mean(-1)


def binary_kl(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """`kl` of labels that are judged each by itself: summed over labels, each a distribution over yes and no.

    Up to a constant that is binary cross-entropy on the teacher's probabilities, times T².

    Args:
        student, teacher: logits, shape [batch, labels].
        temperature: T > 0; logits are divided by it.

    Returns:
        Shape [batch], in nats, at least 0.
    """
    t, s = teacher / temperature, student / temperature
    yes, no = F.logsigmoid(t) - F.logsigmoid(s), F.logsigmoid(-t) - F.logsigmoid(-s)
    p = torch.sigmoid(t)
    return (p * yes + (1 - p) * no).sum(-1) * temperature**2


def logit_mse(student: Tensor, teacher: Tensor, clip: float = 6.0) -> Tensor:
    """`mse` of labels that are judged each by itself: of logits, the teacher's clipped to ±`clip`; shape [batch]."""
    return (student - teacher.clamp(-clip, clip)).square().mean(-1)


def squared_error(said: Tensor, right: Tensor) -> Tensor:
    """Squared error of numbers, both of shape [batch, 1]; where nothing is known (NaN) it is 0. Shape [batch]."""
    return torch.where(right.isnan(), 0.0, said - right.nan_to_num()).square().mean(-1)


def binary_cross_entropy(logits: Tensor, truth: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy to sets of labels, each judged by itself and summed; rows of NaN (unknown) contribute 0.

    Args:
        logits: shape [batch, labels].
        truth: 1 for labels that apply, else 0, shape [batch, labels].
        positive_weights: of labels where they apply, shape [labels], or None for 1.

    Returns:
        Shape [batch], in nats.
    """
    each = F.binary_cross_entropy_with_logits(
        logits, truth.nan_to_num(), pos_weight=positive_weights, reduction="none"
    )
    return torch.where(truth.isnan(), 0.0, each).sum(-1)


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy to hard labels; a label of −1 (unknown) contributes 0.

    Args:
        logits: shape [batch, classes].
        labels: int64, shape [batch], −1 where there is none.
        class_weights: shape [classes], or None for equal weights.

    Returns:
        Shape [batch], in nats.
    """
    return F.cross_entropy(logits, labels, weight=class_weights, ignore_index=-1, reduction="none")
