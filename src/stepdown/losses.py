"""Losses: pure functions of two outputs, one value per example.

The training loop averages them; the evaluator uses the same functions as measures of how far a student is from its
teacher. A student that says exactly what its teacher says scores 0 in `kl` and `mse`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor


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


def mean_teacher(teachers: Tensor, loss: Literal["kl", "mse"]) -> Tensor:
    """Several teachers as one: a student's loss to it is its mean loss to each of them, up to a constant.

    Hinton, Vinyals and Dean (2015), section 3, distil an ensemble by the mean of its members' probabilities. That is
    what the mean of `kl` (at T = 1) leads to; the mean of `mse` (without clipping) leads to the mean of the margins.

    Args:
        teachers: logits, shape [teachers, n, classes].

    Returns:
        Logits, shape [n, classes]: logarithms of the mean probabilities, or means of the centred logits.
    """
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
