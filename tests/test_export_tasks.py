"""Bundles of models that say several labels, or a number, of single texts and of pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from stepdown import export, tasks
from stepdown.errors import BundleError, CheckError
from stepdown.export import CheckTexts, Description, Form, proof
from stepdown.export.loss import Loss, loss
from stepdown.runtime import Bundle, Calibration, Classifier, bundle
from stepdown.runtime.inputs import as_given
from stepdown.students import huggingface
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.model import TextModel, logits
from stepdown.tasks import TaskKind
from stepdown.tokens import Words
from tests.conftest import corpus, make_teacher

VOCABULARY = tuple(f"w{index}" for index in range(400))
TEXTS = [" ".join(f"w{(i * 7 + j * 3) % 400}" for j in range(1 + i % 30)) for i in range(2500)]
PAIRS = [tasks.joined(first, second) for first, second in zip(TEXTS, reversed(TEXTS), strict=True)]
LABELS = ("praise", "blame", "question", "thanks")
# What a hundredth of the data's unit is: a model says years, or millionths.
UNITS = {"plain": (1.0, 0.0), "years": (10.0, 1990.0), "tiny": (1e-6, 0.0)}


def student(task: TaskKind, unit: str = "plain") -> TextModel:
    """A compact student with random weights; a number is brought to a unit as training does, in the last layer."""
    names = ("stars",) if task == "regression" else LABELS
    torch.manual_seed(0)
    shape = shape_for(20_000, len(VOCABULARY), len(names))
    network = CompactNetwork(shape).eval()
    words = Words(VOCABULARY[: shape.vocabulary - 2])
    model = TextModel(network, words, names, 64, "compact", shape.describe(), task=task)
    if task == "regression":
        scale, middle = UNITS[unit]
        said = logits(model, model.encode(TEXTS))
        with torch.no_grad():
            network.output.weight *= scale / said.std()
            network.output.bias.copy_(
                (network.output.bias - float(said.mean())) * scale / said.std() + middle
            )
    return model


def checks(texts: list[str], **more: Any) -> CheckTexts:
    """Texts of which nothing is known."""
    return CheckTexts(texts, np.full(len(texts), -1), **more)


def described(thresholds: tuple[float, ...] | None = None) -> Description:
    calibration = Calibration(split="selection", n=50, thresholds=thresholds) if thresholds else Calibration()
    return Description(lambda size, cost: f"# {size:,} bytes; {cost}\n", (), calibration)


def answered(model: TextModel, texts: list[str]) -> np.ndarray:
    """What the torch model says of strings."""
    return logits(model, model.encode(texts))


# --- as the trained model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_pair", [False, True])
def test_a_multi_label_bundle_says_what_torch_says(is_pair: bool, tmp_path: Path) -> None:
    model, texts = student("multi-label"), (PAIRS if is_pair else TEXTS)[:300]
    said = answered(model, texts)
    probabilities = 1 / (1 + np.exp(-said.astype(np.float64)))
    thresholds = tuple(float(share) for share in np.quantile(probabilities, 0.6, axis=0))
    export.export(model, tmp_path / "b", checks(texts, is_pair=is_pair), described(thresholds))
    packed = Classifier.load(tmp_path / "b")
    assert (packed.task, packed.is_pair, packed.label_names) == ("multi-label", is_pair, LABELS)
    assert packed.thresholds == thresholds
    assert (packed.about.calibration.split, packed.about.calibration.n) == ("selection", 50)
    given = as_given(texts, is_pair=is_pair)
    np.testing.assert_allclose(packed.predict_proba(given), probabilities, atol=1e-5)
    clear = (np.abs(probabilities - thresholds) > 1e-5).all(1)
    assert clear.sum() > 280
    expected = [{LABELS[i] for i in np.flatnonzero(row >= thresholds)} for row in probabilities[clear]]
    names = [set(one) for one, sure in zip(packed.predict(given), clear, strict=True) if sure]  # type: ignore[arg-type]
    assert names == expected
    assert len({len(one) for one in names}) > 2, "sets of several sizes"


@pytest.mark.parametrize("is_pair", [False, True])
@pytest.mark.parametrize("unit", UNITS)
def test_a_regression_bundle_says_what_torch_says(unit: str, is_pair: bool, tmp_path: Path) -> None:
    model, texts = student("regression", unit), (PAIRS if is_pair else TEXTS)[:300]
    export.export(model, tmp_path / "b", checks(texts, is_pair=is_pair), described())
    packed = Classifier.load(tmp_path / "b")
    assert (packed.task, packed.is_pair, packed.label_names) == ("regression", is_pair, ("stars",))
    said = answered(model, texts)[:, 0]
    found = packed.predict(as_given(texts, is_pair=is_pair))
    scale, middle = UNITS[unit]
    np.testing.assert_allclose(found, said, rtol=0, atol=1e-4 * scale)
    assert np.std(said) > scale / 2
    assert abs(np.mean(said) - middle) < 2 * scale


@pytest.mark.slow
def test_a_transformer_that_says_a_number_is_packed(tmp_path: Path) -> None:
    texts = corpus(40)[0]
    model = replace(
        huggingface.load(make_teacher(tmp_path / "bert"), ("stars",), max_length=32).model, task="regression"
    )
    export.export(model, tmp_path / "b", checks(texts), described())
    np.testing.assert_allclose(
        Classifier.load(tmp_path / "b").predict(texts), answered(model, texts)[:, 0], atol=1e-4
    )


def test_odd_pairs_are_compared_as_well() -> None:
    odd = [tasks.parts(text) for text in proof.odd_texts(True)]
    assert {("", ""), ("!!!", ""), ("", "电影很好看"), ("🙂", "👩🏽‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️ 🫠")} <= set(odd)
    assert all(len(pair) == 2 for pair in odd)
    assert not any(tasks.SEPARATOR in text for pair in odd for text in pair)


def test_a_bundle_that_is_wrong_on_odd_texts_alone_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what stands for unknown words differs, and no real text has any."""
    model, other = student("multi-label"), student("multi-label")
    with torch.no_grad():
        other.network.get_parameter("tables.0")[other.tokenizer.unknown_id] += 1  # type: ignore[attr-defined]
    real = [text for text in TEXTS if 1 not in model.encode([text]).ids][:50]
    assert len(real) == 50
    right = export.graphs.write
    monkeypatch.setattr(export.graphs, "write", lambda _, path: right(other, path))
    with pytest.raises(CheckError, match="does not say what the trained model says: on "):
        export.export(model, tmp_path / "b", checks(real), described())
    assert not (tmp_path / "b").exists()


def test_answers_that_go_by_what_is_read_beside_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To every logit the network adds a hundredth for each text of the batch; the trained model is taken to say so."""
    model = student("multi-label")
    export.export(model, tmp_path / "b", checks(TEXTS[:50]), described())
    held = bundle.read(tmp_path / "b")
    made = onnx.load_from_string(held.files["model.onnx"])
    made.graph.node[-1].output[0] = "said"
    made.graph.node.append(helper.make_node("Shape", ["lengths"], ["texts"]))
    made.graph.node.append(helper.make_node("Cast", ["texts"], ["texts_number"], to=onnx.TensorProto.FLOAT))
    made.graph.node.append(helper.make_node("Mul", ["texts_number", "little"], ["more"]))
    made.graph.node.append(helper.make_node("Add", ["said", "more"], ["logits"]))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0.01], np.float32), "little"))
    files = {**held.files, "model.onnx": made.SerializeToString()}
    packed = Classifier(Bundle(held.about, files))
    with pytest.raises(CheckError, match="does not say what the trained model says"):
        proof.compare(model, packed, TEXTS[:50])
    texts = [*proof.odd_texts(False), *TEXTS[:50]]
    monkeypatch.setattr(proof, "logits", lambda *_: packed.logits(texts))
    with pytest.raises(
        CheckError, match=r"says of a text alone and among others not the same: on \d+ of 42 texts"
    ):
        proof.compare(model, packed, TEXTS[:50])


@pytest.mark.parametrize("unit", UNITS)
def test_a_bundle_that_says_another_number_is_not_written(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is written from a model that is off by a hundredth of the values' spread."""
    model, other = student("regression", unit), student("regression", unit)
    with torch.no_grad():
        other.network.output.bias += UNITS[unit][0] / 100  # type: ignore[operator, union-attr]
    right = export.graphs.write
    monkeypatch.setattr(export.graphs, "write", lambda _, path: right(other, path))
    with pytest.raises(CheckError, match=r"on 272 of 272 texts a value is off by more than"):
        export.export(model, tmp_path / "b", checks(TEXTS[:250]), described())
    assert not (tmp_path / "b").exists()


def test_a_bundle_that_says_another_probability_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = student("multi-label"), student("multi-label")
    with torch.no_grad():
        other.network.output.bias[2] += 0.1  # type: ignore[index, union-attr]
    right = export.graphs.write
    monkeypatch.setattr(export.graphs, "write", lambda _, path: right(other, path))
    with pytest.raises(CheckError, match=r"a probability is off by more than 0\.001, by 0\.02"):
        export.export(model, tmp_path / "b", checks(TEXTS[:50]), described())


def test_thresholds_that_do_not_fit_the_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="4 numbers from 0 to 1"):
        export.export(student("multi-label"), tmp_path / "b", checks(TEXTS[:5]), described((0.5,)))


# --- int8 -----------------------------------------------------------------------------------------------------------


def test_int8_of_a_regression_keeps_its_numbers(tmp_path: Path) -> None:
    model = student("regression", "years")
    truth = answered(model, TEXTS) + np.random.default_rng(0).normal(0, 5, (len(TEXTS), 1)).astype(np.float32)
    known = CheckTexts(TEXTS, np.arange(len(TEXTS)), truth.astype(np.float32))
    cost = export.export(model, tmp_path / "b", known, described(), Form(weights="int8", accept_loss=True))
    assert cost is not None
    assert (cost.task, cost.texts, cost.labelled) == ("regression", 2500, 2500)
    whole = answered(model, TEXTS)[:, 0]
    small = np.array(Classifier.load(tmp_path / "b").predict(TEXTS))
    moved = np.abs(small - whole)
    assert 0 < moved.max() < whole.std() / 2
    assert cost.flips == (moved > 0.05 * whole.std()).sum()
    assert cost.before == pytest.approx(np.corrcoef(whole, truth[:, 0])[0, 1], abs=1e-6)
    assert cost.after == pytest.approx(np.corrcoef(small, truth[:, 0])[0, 1], abs=1e-6)
    assert (
        f"Pearson's correlation on 2,500 labelled ones is {cost.after:.4f}, {cost.before:.4f} before"
        in str(cost)
    )
    assert "off by more than 5% of the values' standard deviation" in Classifier.load(tmp_path / "b").card


def test_int8_of_several_labels_counts_the_sets_that_change(tmp_path: Path) -> None:
    model = student("multi-label")
    probabilities = 1 / (1 + np.exp(-answered(model, TEXTS).astype(np.float64)))
    # In the middle of the texts, where rounding decides many.
    thresholds = tuple(float(share) for share in np.quantile(probabilities, 0.5, axis=0))
    sets = (probabilities >= np.array(thresholds)).astype(np.float32)
    answers, labels = np.unique(sets, axis=0, return_inverse=True)
    known = CheckTexts(TEXTS, labels.reshape(-1), answers)
    with pytest.raises(CheckError, match=r"\d+ of 2,500 texts get other labels .* 0\.3 points of micro F1"):
        export.export(model, tmp_path / "b", known, described(thresholds), Form(weights="int8"))
    assert not (tmp_path / "b").exists()
    taken = Form(weights="int8", accept_loss=True)
    cost = export.export(model, tmp_path / "b", known, described(thresholds), taken)
    assert cost is not None
    small = Classifier.load(tmp_path / "b")
    assert (small.about.weights.type, small.thresholds) == ("int8", thresholds)
    said = small.decisions(small.logits(TEXTS))
    assert abs(cost.flips - int((said != sets).any(1).sum())) <= 2, "but for rounding at the border"
    assert 12 < cost.flips < 500
    assert cost.before == pytest.approx(1.0, abs=1e-3)
    assert cost.after == pytest.approx(2 * (said * sets).sum() / (said.sum() + sets.sum()), abs=1e-3)


# --- what is lost ---------------------------------------------------------------------------------------------------


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)[:, None]


def test_a_value_has_changed_where_it_moves_by_more_than_a_twentieth_of_the_spread() -> None:
    before = np.random.default_rng(0).normal(100, 10, (1000, 1)).astype(np.float32)
    step = float(before.std()) / 20
    after = before.copy()
    after[:3] += 1.01 * step
    after[3:7] -= 0.99 * step
    unknown = np.full((1000, 1), np.nan, np.float32)
    found = loss("regression", before, after, unknown)
    assert (found.texts, found.flips, found.labelled, found.before, found.after) == (1000, 3, 0, None, None)
    assert found.acceptable
    assert not loss("regression", before, before + 2 * step, unknown).acceptable
    assert loss("regression", before * 1e6, after * 1e6, unknown).flips == 3, "whatever the unit"


def test_no_texts_and_equal_values_are_no_loss() -> None:
    nothing = np.zeros((0, 1), np.float32)
    assert loss("regression", nothing, nothing, nothing) == Loss(0, 0, 0, None, None, "regression")
    same = values(1, 1, 1)
    found = loss("regression", same, same, values(1, 2, 3))
    assert (found.flips, found.labelled, found.before) == (0, 3, None), "no correlation with what never moves"
    empty = np.zeros((3, 2), np.float32)
    assert loss("multi-label", empty, empty, empty).before == 1.0


def test_the_metrics_are_those_of_the_kind() -> None:
    truth = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [np.nan] * 3], np.float32)
    before = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]], np.float32)
    after = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0]], np.float32)
    found = loss("multi-label", before, after, truth)
    assert (found.texts, found.flips, found.labelled) == (4, 3, 3)
    assert (found.before, found.after) == pytest.approx((6 / 7, 4 / 7))
    assert "3 of 4 texts get other labels (75.00%); micro F1 on 3 labelled ones is 57.14%, 85.71%" in str(
        found
    )
    one = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    found = loss("single-label", one, one[[0, 1, 0, 2]], one)
    assert (found.flips, found.before, found.after) == (2, 1.0, 0.5)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("single-label", "0.3 points of accuracy be lost"),
        ("multi-label", "0.3 points of micro F1 be lost"),
        ("regression", "0.003 of Pearson's correlation be lost"),
    ],
)
def test_the_metric_bounds_what_is_acceptable(task: TaskKind, says: str) -> None:
    assert Loss(5000, 25, 2000, 0.9, 0.897, task).acceptable
    assert not Loss(5000, 26, 2000, 0.9, 0.9, task).acceptable
    lossy = Loss(5000, 0, 2000, 0.9, 0.8969, task)
    assert not lossy.acceptable
    assert says in lossy.bound
    assert Loss(5000, 0, 1999, 0.9, 0.8, task).acceptable, "too few to tell"
