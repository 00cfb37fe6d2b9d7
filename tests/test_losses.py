import math
from typing import Literal

import pytest
import torch

from stepdown import losses


def test_a_perfect_student_scores_zero() -> None:
    said = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    for temperature in (0.5, 1.0, 4.0):
        assert losses.kl(said, said, temperature).abs().max() < 1e-6
    assert losses.mse(said, said).max() == 0
    # What softmax does not see costs nothing either.
    assert losses.mse(said + 7.0, said).max() < 1e-9


def test_kl_is_the_textbook_sum_times_the_square_of_the_temperature() -> None:
    student, teacher, t = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, -1.0]]), 2.0
    p = 1 / (1 + math.exp(-(3.0 - -1.0) / t))
    q = 1 / (1 + math.exp(-(1.0 - 0.0) / t))
    by_hand = t * t * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    assert losses.kl(student, teacher, t).item() == pytest.approx(by_hand, rel=1e-5)


def test_two_classes_have_one_margin_once_with_each_sign() -> None:
    assert losses.margins(torch.tensor([[1.0, 3.5]])).tolist() == [[-2.5, 2.5]]


def test_mse_is_the_squared_difference_of_clipped_margins() -> None:
    student, teacher = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 9.0]])
    assert losses.mse(student, teacher, clip=6.0).item() == pytest.approx((1.0 - 6.0) ** 2)


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_the_mean_of_the_losses_to_several_teachers_is_the_loss_to_their_mean(
    loss: Literal["kl", "mse"],
) -> None:
    torch.manual_seed(0)
    teachers = torch.randn(3, 5, 4)
    together = losses.mean_teacher(teachers, loss)

    def distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        return losses.kl(student, teacher) if loss == "kl" else losses.mse(student, teacher, clip=100.0)

    gaps = []
    for _ in range(4):
        student = torch.randn(5, 4)
        mean = torch.stack([distance(student, teacher) for teacher in teachers]).mean(0)
        gaps.append(mean - distance(student, together))
    for gap in gaps[1:]:
        assert torch.allclose(gap, gaps[0], atol=1e-5), "a constant, whoever the student is"
    assert (gaps[0] > 0).all()
    if loss == "kl":
        assert torch.allclose(together.softmax(-1), teachers.softmax(-1).mean(0), atol=1e-6)
    else:
        by_hand = torch.stack([losses.margins(teacher) for teacher in teachers]).mean(0)
        assert torch.allclose(losses.margins(together), by_hand, atol=1e-5)


def test_a_hint_that_is_met_costs_nothing() -> None:
    hint = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    assert losses.hint(hint, hint).tolist() == [0.0, 0.0]
    assert losses.hint(hint + torch.tensor([1.0, 2.0]), hint).tolist() == [2.5, 2.5]


def test_a_missing_label_contributes_nothing() -> None:
    said = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = losses.cross_entropy(said, torch.tensor([0, -1]))
    assert loss[1] == 0
    loss.sum().backward()
    assert said.grad is not None
    assert said.grad[1].abs().max() == 0
