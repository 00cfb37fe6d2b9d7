"""Temperatures and thresholds: against what they must be, where they cannot be told, and what they change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from stepdown import evaluate
from stepdown.data.task import Task
from stepdown.errors import CheckError
from stepdown.evaluate import Answered, Said, answered, calibrate
from stepdown.outputs import UNCALIBRATED, Calibration, abstaining, probabilities

CLASSES = Task.of_classes(("a", "b", "c", "d"))
SETS = np.array([[bool(index & bit) for bit in (1, 2, 4)] for index in range(8)], np.float32)
TOPICS = Task("multi-label", ("x", "y", "z"), SETS)


def single(n: int, temperature: float, seed: int = 0, spread: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right at that temperature, and labels drawn by them."""
    draw = np.random.default_rng(seed)
    true = draw.normal(0, spread, (n, 4))
    labels = (true + draw.gumbel(size=true.shape)).argmax(1)
    return (temperature * true).astype(np.float32), labels


def several(
    n: int, temperature: float, seed: int = 0, shift: tuple[float, ...] = (0, 0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """The same for sets; what the model says of each label is `shift` too high."""
    draw = np.random.default_rng(seed)
    true = draw.normal(-1, 2, (n, 3))
    truth = draw.random((n, 3)) < special.expit(true)
    return (temperature * true + shift).astype(np.float32), truth @ np.array([1, 2, 4])


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 3.0, 200.0])
def test_the_temperature_is_found_that_made_the_logits(temperature: float) -> None:
    for task, (logits, labels) in (
        (CLASSES, single(5000, temperature)),
        (TOPICS, several(5000, temperature)),
    ):
        found = calibrate(task, logits, labels)
        assert found.reason is None
        assert found.calibration.temperature == pytest.approx(temperature, rel=0.06)
        assert (found.calibration.split, found.calibration.n) == ("selection", 5000)


def test_no_other_temperature_has_a_greater_likelihood() -> None:
    logits, labels = single(300, 2.0)

    def nll(temperature: float) -> float:
        return float(
            -special.log_softmax(logits.astype(float) / temperature, 1)[np.arange(300), labels].mean()
        )

    found = calibrate(CLASSES, logits, labels).calibration.temperature
    best = optimize.minimize_scalar(nll, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-8}).x
    assert found == pytest.approx(best, rel=1e-4)
    topics, sets = several(300, 2.0)
    truth = SETS[sets]

    def nll_of_sets(temperature: float) -> float:
        scaled = topics.astype(float) / temperature
        return float(-special.log_expit(np.where(truth > 0, scaled, -scaled)).mean())

    found = calibrate(TOPICS, topics, sets).calibration.temperature
    best = optimize.minimize_scalar(
        nll_of_sets, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-8}
    ).x
    assert found == pytest.approx(best, rel=1e-4)


def right(labels: np.ndarray, sure: float = 2.0) -> np.ndarray:
    """Logits of a model that makes no mistake."""
    return np.asarray(sure * np.eye(4, dtype=np.float32)[labels])


LABELS = np.arange(40) % 4
FOUR_WRONG = np.r_[LABELS[:36], (LABELS[36:] + 1) % 4]


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        (
            right(LABELS),
            LABELS,
            "It is wrong on none of 40 selection texts, and it takes 5 to tell how sure it may be.",
        ),
        (
            right(FOUR_WRONG),
            LABELS,
            "It is wrong on 4 of 40 selection texts, and it takes 5 to tell how sure it may be.",
        ),
        (right(LABELS), np.full(40, 2), "All 40 selection texts have the label c."),
        (right((LABELS + 1) % 4), LABELS, "its scores go with the labels no more than chance"),
        (np.zeros((40, 4), np.float32), LABELS, "its scores go with the labels no more than chance"),
        (single(40, 1e-6)[0], single(40, 1e-6)[1], "No temperature down to 0.001 suits"),
        (right(LABELS[:1]), LABELS[:1], "All 1 selection texts have the label a."),
    ],
)
def test_where_the_texts_do_not_tell_the_temperature_stays_one(
    logits: np.ndarray, labels: np.ndarray, reason: str
) -> None:
    found = calibrate(CLASSES, logits, labels)
    assert found.calibration == UNCALIBRATED
    assert found.reason is not None
    assert reason in found.reason


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        (8 * SETS - 4, np.arange(8), "It is wrong on none of all labels of 8 selection texts"),
        (8 * SETS - 4, np.zeros(8, int), "No label applies to any of 8 selection texts."),
        (8 * SETS - 4, np.full(8, 7), "All labels apply to all of 8 selection texts."),
        (4 - 8 * SETS, np.arange(8), "no more than chance"),
    ],
)
def test_sets_have_thresholds_even_where_the_temperature_stays_one(
    logits: np.ndarray, labels: np.ndarray, reason: str
) -> None:
    found = calibrate(TOPICS, logits.astype(np.float32), labels)
    assert found.reason is not None
    assert reason in found.reason
    assert found.calibration.temperature == 1
    assert found.calibration.split == "selection"
    assert len(found.calibration.thresholds or ()) == 3


def test_a_regression_and_no_text_have_none() -> None:
    number = Task("regression", ("stars",), np.array([[1.0], [2.0]], np.float32))
    assert calibrate(number, np.ones((2, 1), np.float32), np.array([0, 1])) == evaluate.Fit(UNCALIBRATED)
    assert calibrate(CLASSES, np.zeros((0, 4), np.float32), np.zeros(0, int)) == evaluate.Fit(UNCALIBRATED)


@pytest.mark.parametrize("task", [CLASSES, TOPICS])
def test_what_is_not_finite_is_an_error_as_in_measuring(task: Task) -> None:
    with pytest.raises(CheckError, match="not finite for 1 of 3"):
        calibrate(task, np.array([[1, 2, np.nan], [1, 2, 3], [1, 2, 3]], np.float32), np.array([0, 1, 2]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(-30, 30))
def test_whatever_is_said_the_fit_is_within_bounds_and_leaves_every_answer(
    seed: int, n: int, scale: float
) -> None:
    draw = np.random.default_rng(seed)
    logits = (draw.standard_t(2, (n, 4)) * 10.0**scale).clip(-3e38, 3e38).astype(np.float32)
    labels = draw.integers(0, 4, n)
    found = calibrate(CLASSES, logits, labels).calibration
    assert 1e-3 <= found.temperature <= 1e3
    said = logits.astype(np.float64) / found.temperature
    np.testing.assert_array_equal(said.argmax(1), logits.argmax(1))
    # Probabilities may round to the same float32; the answer's is then still among the highest.
    shares = probabilities("single-label", logits, found.temperature)
    np.testing.assert_array_equal(shares[np.arange(n), logits.argmax(1)], shares.max(1))
    topics = calibrate(TOPICS, logits[:, :3], draw.integers(0, 8, n)).calibration
    assert 1e-3 <= topics.temperature <= 1e3
    assert all(0.01 <= threshold <= 0.99 for threshold in topics.thresholds or ())


def test_calibration_lowers_the_error_on_other_texts_and_both_are_told() -> None:
    fitted = calibrate(CLASSES, *single(1000, 2.5)).calibration
    logits, labels = single(4000, 2.5, seed=1)
    found = evaluate.measure(CLASSES, Said(logits, fitted), labels)
    before = evaluate.measure(CLASSES, Said(logits), labels)
    assert found["ece"].value < 0.25 * found["ece_uncalibrated"].value
    assert found["nll"].value < found["nll_uncalibrated"].value
    for name in ("ece", "nll"):
        assert found[f"{name}_uncalibrated"] == before[name]
        assert f"{name}_uncalibrated" not in before
    for name in ("accuracy", "macro_f1", "mcc"):
        assert found[name] == before[name]
    # What is packed says the same.
    shares = probabilities("single-label", logits, fitted.temperature).astype(np.float64)
    assert found["nll"].value == pytest.approx(-np.log(shares[np.arange(4000), labels]).mean(), rel=1e-5)


def test_distance_from_a_teacher_does_not_depend_on_calibration() -> None:
    logits, labels = single(200, 2.0)
    teacher = Said(single(200, 3.0, seed=2)[0], Calibration(3.0, "selection", 9))
    plain = evaluate.measure(CLASSES, Said(logits), labels, Said(teacher.outputs))
    found = evaluate.measure(CLASSES, Said(logits, Calibration(2.0, "selection", 9)), labels, teacher)
    assert found["kl"].value == pytest.approx(plain["kl"].value)
    assert found["agreement"] == plain["agreement"]


def test_the_error_of_sets_is_the_mean_gap_of_fifteen_equal_bins_of_all_pairs() -> None:
    logits, labels = several(100, 1.7)
    shares, truth = special.expit(logits.astype(np.float64)).ravel(), SETS[labels].ravel()
    order = np.argsort(shares, kind="stable")
    gaps = [abs(shares[rows].sum() - truth[rows].sum()) for rows in np.split(order, 15)]
    found = evaluate.measure(TOPICS, Said(logits), labels)["ece"]
    assert found.value == pytest.approx(sum(gaps) / 300)
    assert found.low <= found.value <= found.high
    assert found.n == 100


def test_the_interval_of_the_error_of_sets_reaches_zero_for_calibrated_models_alone() -> None:
    reached = {}
    for temperature in (1.0, 2.5):
        found = [
            evaluate.measure(TOPICS, Said(logits), labels)["ece"]
            for logits, labels in (several(200, temperature, seed) for seed in range(12))
        ]
        reached[temperature] = np.mean([metric.low == 0 for metric in found])
    assert reached[1.0] >= 0.8
    assert reached[2.5] == 0


def f1(logits: np.ndarray, labels: np.ndarray, calibration: Calibration) -> float:
    return float(evaluate.by_text(TOPICS, Said(logits, calibration), labels).mean())


def common(temperature: float, threshold: float) -> Calibration:
    return Calibration(temperature, thresholds=(threshold,) * 3)


def test_labels_of_few_texts_have_the_one_threshold_that_is_best_for_micro_f1() -> None:
    logits, labels = several(35, 2.0)
    assert SETS[labels].sum(0).max() < 20
    found = calibrate(TOPICS, logits, labels).calibration
    assert found.thresholds is not None
    (threshold,) = set(found.thresholds)
    every = {
        tried: f1(logits, labels, common(found.temperature, tried))
        for tried in (np.arange(1, 100) / 100).tolist()
    }
    assert every[threshold] == max(every.values())
    best = [tried for tried, value in every.items() if value == max(every.values())]
    assert abs(threshold - 0.5) == min(abs(tried - 0.5) for tried in best)


def test_a_label_that_is_said_too_loudly_gets_a_threshold_of_its_own() -> None:
    logits, labels = several(3000, 1.0, shift=(3.0, 0, 0))
    found = calibrate(TOPICS, logits, labels).calibration
    assert found.thresholds is not None
    loud, *others = found.thresholds
    assert loud > 0.2 + max(others)
    told, asked = several(3000, 1.0, seed=5, shift=(3.0, 0, 0))
    best = max(f1(told, asked, common(found.temperature, tried)) for tried in np.arange(1, 100) / 100)
    assert f1(told, asked, found) > best + 0.02


def test_own_thresholds_cost_next_to_nothing_where_one_would_do() -> None:
    lost = []
    for seed in range(12):
        logits, labels = several(150, 1.0, seed)
        found = calibrate(TOPICS, logits, labels).calibration
        told, asked = several(4000, 1.0, 100 + seed)
        ideal = max(f1(told, asked, common(1.0, tried)) for tried in np.arange(5, 95, 3) / 100)
        lost.append(ideal - f1(told, asked, found))
    assert np.mean(lost) < 0.01


def test_thresholds_of_very_many_labels_take_no_time() -> None:
    """A minute and gigabytes, if every threshold were tried on every pair of a text and a label."""
    draw = np.random.default_rng(0)
    answers = (draw.random((2000, 1000)) < 0.02).astype(np.float32)
    task = Task("multi-label", tuple(map(str, range(1000))), answers)
    logits = (4 * answers - 4 + draw.normal(0, 1, answers.shape)).astype(np.float32)
    found = calibrate(task, logits, np.arange(2000)).calibration
    assert len(found.thresholds or ()) == 1000


def test_what_is_answered_above_a_probability_and_how_well() -> None:
    logits = np.log(np.array([[0.5, 0.5], [0.7, 0.3], [0.2, 0.8], [0.05, 0.95]], np.float32))
    found = answered(logits, np.array([0, 1, 1, 1]), UNCALIBRATED, (0.5, 0.75, 0.99))
    assert [one.below for one in found] == [0.5, 0.75, 0.99]
    assert [one.share.value for one in found] == [1, 0.5, 0]
    assert found[0].accuracy == evaluate.proportion(3, 4)
    assert found[1].accuracy == evaluate.proportion(2, 2)
    assert found[2] == Answered(0.99, evaluate.proportion(0, 4), None)
    hot = answered(logits, np.array([0, 1, 1, 1]), Calibration(100.0), (0.75,))
    assert hot[0].share.value == 0


def test_a_probability_that_is_just_reached_is_answered() -> None:
    said = np.array([[0.9, 0.1], [np.nextafter(np.float32(0.9), np.float32(0)), 0.1]], np.float32)
    assert abstaining(said, 0.9).tolist() == [False, True]
    assert abstaining(said, 0.0).tolist() == [False, False]
    assert abstaining(said, 1.0).tolist() == [True, True]
