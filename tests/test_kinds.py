"""Sets of labels and numbers: metrics against definitions written out by hand, and what the ladder makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from scipy import stats

from stepdown import evaluate, losses, train
from stepdown.compare import Pair, compare
from stepdown.data.task import Task
from stepdown.evaluate import Said, multi_label, regression
from stepdown.objectives import Objective
from stepdown.outputs import Calibration
from stepdown.students import heads
from stepdown.students.compact import CompactNetwork, CompactShape
from stepdown.students.model import TextModel, logits
from stepdown.tokens.words import Words

SETS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], np.float32)
EMOTIONS = Task("multi-label", ("joy", "love", "anger"), SETS)


def numbers(n: int = 300, seed: int = 0) -> tuple[Task, np.ndarray]:
    """A task with n different numbers around 40, and their labels."""
    values = np.random.default_rng(seed).normal(40, 15, n).astype(np.float32)
    return Task("regression", ("score",), values[:, None]), np.arange(n)


def sets(n: int = 400, skill: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model of that skill, and the labels of `EMOTIONS` of the same n texts for every seed."""
    labels = np.random.default_rng(99).integers(0, len(SETS), n)
    said = np.random.default_rng(seed).normal(size=(n, 3)) + skill * (SETS[labels] - 0.5)
    return said.astype(np.float32), labels


def test_f1_counts_pairs_of_texts_and_labels() -> None:
    said = np.array([[2, 2, -2], [-2, 2, -2], [-2, -2, -2]], np.float32)
    found = evaluate.measure(EMOTIONS, Said(said), np.array([2, 1, 0]))
    # Right: joy and love of the first; wrong: love of the second; missed: joy of the second.
    assert found["micro_f1"].value == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 2 / 3) / 2)  # anger occurs nowhere
    assert found["accuracy"].value == pytest.approx(2 / 3)
    p = 1 / (1 + np.exp(-said.astype(np.float64)))
    truth = SETS[[2, 1, 0]]
    assert found["nll"].value == pytest.approx(-np.log(np.where(truth > 0, p, 1 - p)).sum(1).mean())


def test_divergence_and_agreement_are_zero_and_whole_with_oneself() -> None:
    said, labels = sets()
    own = Said(said, Calibration(thresholds=(0.4,) * 3))
    found = evaluate.measure(EMOTIONS, own, labels, own)
    assert found["kl"].value == 0
    assert found["agreement"].value == 1
    teacher = Said(sets(seed=1)[0], Calibration(thresholds=(0.6,) * 3))
    apart = evaluate.measure(EMOTIONS, own, labels, teacher)["kl"].value
    loss = losses.binary_kl(torch.from_numpy(said), torch.from_numpy(teacher.outputs)).mean()
    assert apart == pytest.approx(float(loss), rel=1e-4)


def test_a_label_applies_at_its_threshold_and_not_below() -> None:
    assert multi_label.applies(
        np.zeros((1, 2), np.float32), Calibration(thresholds=(0.5, 0.500001))
    ).tolist() == [[True, False]]


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
def test_values_by_text_have_the_metric_for_their_mean_and_its_spread(kind: str) -> None:
    if kind == "multi-label":
        task, (said, labels) = EMOTIONS, sets(2000, 1.0)
        own = Said(said)
    else:
        task, labels = numbers(2000)
        noise = np.random.default_rng(1).normal(0, 20, 2000)
        own = Said((task.answers + noise[:, None]).astype(np.float32))
    values = evaluate.by_text(task, own, labels)
    metric = evaluate.measure(task, own, labels)[evaluate.PRIMARY[task.kind]]
    assert values.mean() == pytest.approx(metric.value, abs=1e-9)
    # Half the bootstrap's interval is two standard errors.
    assert 1.96 * values.std() / np.sqrt(2000) == pytest.approx((metric.high - metric.low) / 2, rel=0.1)


def test_correlations_and_errors_are_those_of_their_definitions() -> None:
    task, labels = numbers()
    said = (task.answers[:, 0] ** 2 / 50).round().astype(np.float32)  # with ties
    found = evaluate.measure(task, Said(said[:, None]), labels)
    truth = task.answers[:, 0]
    assert found["pearson"].value == pytest.approx(stats.pearsonr(said, truth).statistic, abs=1e-6)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(said, truth).statistic, abs=1e-6)
    assert found["rmse"].value == pytest.approx(np.sqrt(((said - truth) ** 2).mean()), rel=1e-5)
    assert found["mae"].value == pytest.approx(np.abs(said - truth).mean(), rel=1e-5)


def test_a_constant_answer_has_no_correlation() -> None:
    task, labels = numbers()
    same = Said(np.full((300, 1), 40.0, np.float32))
    assert evaluate.measure(task, same, labels)["pearson"].value == 0
    assert (evaluate.by_text(task, same, labels) == 0).all()
    assert evaluate.chance_test(task, same, labels).near


def test_no_text_gives_no_metric_and_one_text_a_point() -> None:
    labels = numbers()[1]
    none = np.zeros((0, 3), np.float32)
    assert evaluate.measure(EMOTIONS, Said(none), labels[:0]) == {}
    assert regression.measure(none[:, 0], none[:, 0]) == {}
    one = evaluate.measure(EMOTIONS, Said(sets()[0][:1]), np.array([0]))["micro_f1"]
    assert (one.low, one.high) == (one.value, one.value)


@pytest.mark.parametrize("skill", [0.0, 2.0])
def test_a_teacher_of_sets_is_near_chance_if_it_guesses(skill: float) -> None:
    said, labels = sets(skill=skill)
    own = evaluate.suited(EMOTIONS, said, labels)
    assert evaluate.chance_test(EMOTIONS, own, labels).near == (skill == 0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_teacher_of_numbers_is_near_chance_if_it_says_the_opposite(sign: int) -> None:
    task, labels = numbers()
    assert evaluate.chance_test(task, Said(sign * task.answers), labels).near == (sign < 0)


def test_f1_is_compared_in_pairs() -> None:
    rows: dict[str, list[np.ndarray]] = {"weak": [], "strong": []}
    for seed in range(3):
        for name, skill in (("weak", 0.5), ("strong", 2.0)):
            said, labels = sets(600, skill, seed)
            rows[name].append(evaluate.by_text(EMOTIONS, Said(said), labels))
    pair = Pair("arm", "weak", "strong", np.stack(rows["weak"]), np.stack(rows["strong"]))
    (found,) = compare([pair], "micro_f1")
    assert (found.verdict, found.metric) == ("better", "micro_f1")
    assert found.low < found.difference < found.high


def test_losses_of_sets_are_zero_where_nothing_is_known() -> None:
    said = torch.tensor([[1.0, -1.0], [0.5, 0.5]], requires_grad=True)
    truth = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan]])
    found = losses.binary_cross_entropy(said, truth)
    assert found.tolist() == pytest.approx([2 * np.log1p(np.exp(-1)), 0.0])
    found.sum().backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
    assert said.grad is not None
    assert said.grad[1].tolist() == [0, 0]
    assert losses.squared_error(said[:, :1], truth[:, :1]).tolist() == [0, 0]
    weighted = losses.binary_cross_entropy(said[:1], truth[:1], torch.tensor([3.0, 3.0]))
    assert weighted.tolist() == pytest.approx([4 * np.log1p(np.exp(-1))])


def test_the_mean_of_teachers_of_sets_is_their_mean_probability() -> None:
    said = torch.randn(3, 5, 2)
    mean = losses.mean_teacher(said, "kl", "multi-label").sigmoid()
    assert torch.allclose(mean, said.sigmoid().mean(0), atol=1e-6)
    assert torch.equal(losses.mean_teacher(said, "mse", "regression"), said.mean(0))


def student(outputs: int, task: str) -> tuple[TextModel, list[str]]:
    """A tiny student of words w0 … w29, and 400 texts."""
    words = Words([f"w{i}" for i in range(30)])
    shape = CompactShape(((words.vocab_size, 8),), 8, 8, outputs)
    torch.manual_seed(0)
    names = tuple(f"label{i}" for i in range(outputs))
    model = TextModel(CompactNetwork(shape), words, names, 32, "compact", "tiny", task=task)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    return model, [" ".join(f"w{i}" for i in rng.integers(0, 30, 6)) for _ in range(400)]


def learn(model: TextModel, texts: list[str], labels: np.ndarray, objective: Objective) -> np.ndarray:
    """What a student says of the texts that it has learnt."""
    examples = train.Examples(
        model.encode(texts), labels, np.zeros((0, len(texts), len(model.label_names)), np.float32)
    )
    schedule = train.Schedule(30, 32, 1e-2, ema=0.99)
    for _ in train.fit(model, examples, objective, schedule, accelerator=Accelerator(cpu=True)):
        pass
    return logits(model, model.encode(texts))


def test_a_student_learns_sets_of_labels() -> None:
    model, texts = student(3, "multi-label")
    has = np.array([[f"w{i}" in text.split() for i in range(3)] for text in texts], np.float32)
    answers, labels = np.unique(has, axis=0, return_inverse=True)
    task = Task("multi-label", model.label_names, answers.astype(np.float32))
    said = learn(model, texts, labels, Objective(0, 1, task=task.kind, answers=task.answers))
    assert evaluate.measure(task, Said(said), labels)["micro_f1"].value > 0.95


def test_a_student_learns_numbers_in_any_unit() -> None:
    model, texts = student(1, "regression")
    truth = np.array([sum(word in ("w0", "w1", "w2") for word in text.split()) for text in texts])
    values, labels = np.unique(truth * 5000.0 + 1e5, return_inverse=True)
    task = Task("regression", model.label_names, values.astype(np.float32)[:, None])
    unit = heads.unit_of(task, labels)
    heads.begin(model, task.truth(labels))
    objective = Objective(0, 1, task=task.kind, answers=task.answers, unit=unit)
    said = learn(model, texts, labels, objective)[:, 0]
    assert abs(said.mean() - (truth * 5000 + 1e5).mean()) < 500
    assert np.corrcoef(said, truth)[0, 1] > 0.95


def test_several_labels_begin_at_their_shares() -> None:
    model, texts = student(3, "multi-label")
    before = logits(model, model.encode(texts))
    answers = np.zeros((8, 3), np.float32)
    answers[:2, 0], answers[:, 1] = 1, 1
    heads.begin(model, answers)
    share = np.array([2.5, 8.5, 0.5]) / 9  # half a text more on either side
    assert np.allclose(logits(model, model.encode(texts)) - before, np.log(share / (1 - share)), atol=1e-4)


def test_a_unit_is_put_on_and_taken_off_without_a_trace() -> None:
    model, texts = student(1, "regression")
    before = logits(model, model.encode(texts))
    unit = heads.Unit(40.0, 15.0)
    heads.standardise(model, unit)
    assert np.allclose(logits(model, model.encode(texts)), (before - 40) / 15, atol=1e-5)
    heads.restore(model, unit)
    assert np.allclose(logits(model, model.encode(texts)), before, atol=1e-4)
