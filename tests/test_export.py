"""Weights of one byte: what is stored, what it costs, and that it is refused when it costs too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto

from stepdown import export
from stepdown.errors import CheckError
from stepdown.export import CheckTexts, Description, Form, graphs, int8
from stepdown.export.loss import loss
from stepdown.runtime import Classifier, bundle
from stepdown.students import huggingface
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.model import TextModel, logits
from stepdown.tokens import Words
from tests.conftest import corpus, make_teacher

VOCABULARY = tuple(f"w{index}" for index in range(400))
TEXTS = [" ".join(f"w{(i * 7 + j * 3) % 400}" for j in range(1 + i % 30)) for i in range(2500)]


def student() -> TextModel:
    torch.manual_seed(0)
    shape = shape_for(20_000, len(VOCABULARY), 2)
    network = CompactNetwork(shape)
    words = Words(VOCABULARY[: shape.vocabulary - 2])
    return TextModel(network.eval(), words, ("no", "yes"), 64, "compact", shape.describe())


def undecided() -> TextModel:
    """A student whose answers are close to a draw, so that rounding decides many of them."""
    model = student()
    said = logits(model, model.encode(TEXTS))
    middle = float(np.median(said[:, 1] - said[:, 0]))
    with torch.no_grad():
        model.network.output.bias[0] += middle  # type: ignore[union-attr, index]
    return model


def unlabelled(texts: list[str]) -> CheckTexts:
    return CheckTexts(texts, np.full(len(texts), -1))


DESCRIPTION = Description(lambda size, cost: f"# {size:,} bytes; {cost}\n")


# --- one matrix -----------------------------------------------------------------------------------------------------


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(16, 20), st.integers(1, 20)),
        elements=st.floats(-100, 100, width=32),
    )
)
def test_a_matrix_is_stored_to_half_a_step(values: np.ndarray) -> None:
    stored = int8.store(values)
    assert stored is not None
    whole, scale = stored
    assert whole.dtype == np.int8
    assert scale.dtype == np.float32
    assert whole.shape == values.shape
    assert np.all(np.abs(whole * scale - values) <= scale * 0.501)
    assert np.all(whole[values == 0] == 0)


def test_numbers_that_share_a_scale_are_chosen_by_what_is_lost() -> None:
    sizes = np.logspace(0, 3, 20, dtype=np.float32)
    random = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
    for values, shape in ((random * sizes[:, None], (20, 1)), (random * sizes, (1, 20))):
        stored = int8.store(values)
        assert stored is not None
        assert stored[1].shape == shape
    narrow = int8.store(np.ones((500, 3), np.float32))
    assert narrow is not None
    assert narrow[1].shape == (1, 3), "a scale for each short row would weigh more than the row"
    assert int8.store(np.ones((15, 15), np.float32)) is None


# --- a whole network ------------------------------------------------------------------------------------------------


def bert(tmp_path: Path) -> TextModel:
    return huggingface.load(make_teacher(tmp_path / "bert"), ("no", "yes"), max_length=32).model


@pytest.mark.parametrize("kind", ["compact", "transformer"])
def test_int8_is_smaller_says_the_same_and_is_computed_once(kind: str, tmp_path: Path) -> None:
    model = student() if kind == "compact" else bert(tmp_path)
    graphs.write(model, tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in content, "no trace of where it was made"
    small = int8.quantised(content)
    held = onnx.load_from_string(small).graph.initializer
    of_bytes = sum(int(np.prod(one.dims)) for one in held if one.data_type == TensorProto.INT8)
    assert of_bytes > 0.9 * model.parameters
    assert len(content) - len(small) > 2.5 * of_bytes

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(small, options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(tmp_path / "loaded.onnx").graph
    assert not any(one.data_type == TensorProto.INT8 for one in loaded.initializer)
    reference = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    texts = TEXTS[:50] if kind == "compact" else corpus(50)[0]
    ids, lengths = model.encode(texts).pad(np.arange(50), model.tokenizer.pad_id)
    said, expected = (one.run(None, {"ids": ids, "lengths": lengths})[0] for one in (session, reference))
    assert 0 < np.abs(said - expected).max() < 0.02


def test_a_bundle_of_int8_says_what_it_is_and_answers(tmp_path: Path) -> None:
    model = student()
    for weights in ("float32", "int8"):
        form = Form(weights=weights, accept_loss=True)  # type: ignore[arg-type]
        export.export(model, tmp_path / weights, unlabelled(TEXTS[:200]), DESCRIPTION, form)
    whole, small = (Classifier.load(tmp_path / weights) for weights in ("float32", "int8"))
    assert (whole.about.weights.type, small.about.weights.type) == ("float32", "int8")
    assert np.abs(whole.predict_proba(TEXTS) - small.predict_proba(TEXTS)).max() < 0.02
    files = bundle.read(tmp_path / "int8").files
    assert small.card.startswith(f"# {len(files['model.onnx']) + len(files['words.json']):,} bytes")
    assert "of 200 texts get another label" in small.card
    assert whole.card.endswith("bytes; None\n")


def test_int8_that_changes_too_many_labels_is_refused_with_the_numbers(tmp_path: Path) -> None:
    model = undecided()
    with pytest.raises(
        CheckError, match=r"\d+ of 2,500 texts get another label \(\d+\.\d\d%\)\. At most 0\.5%"
    ):
        export.export(model, tmp_path / "b", unlabelled(TEXTS), DESCRIPTION, Form(weights="int8"))
    assert not (tmp_path / "b").exists()
    taken = Form(weights="int8", accept_loss=True)
    cost = export.export(model, tmp_path / "b", unlabelled(TEXTS), DESCRIPTION, taken)
    assert cost is not None
    assert cost.flips > 12
    assert not cost.acceptable
    assert Classifier.load(tmp_path / "b").about.weights.type == "int8"


# --- what is lost ---------------------------------------------------------------------------------------------------


def answers(right: int, n: int) -> np.ndarray:
    """Answers of two labels: label 1 for the first `right` texts, else label 0."""
    return np.eye(2, dtype=np.float32)[(np.arange(n) < right).astype(int)]


@pytest.mark.parametrize(
    ("n", "labelled", "before", "after", "acceptable"),
    [
        (1000, 0, 1000, 995, True),
        (1000, 0, 1000, 994, False),
        (5000, 2000, 1900, 1894, True),  # 0.3 points
        (5000, 2000, 1900, 1893, False),
        (5000, 1999, 1900, 1893, True),  # too few to tell
        (5000, 2000, 1893, 1900, True),
        (0, 0, 0, 0, True),
    ],
)
def test_what_is_acceptable(n: int, labelled: int, before: int, after: int, acceptable: bool) -> None:
    labels = np.where(np.arange(n) < labelled, 1, -1)
    truth = CheckTexts([""] * n, labels).truth(2)
    found = loss("single-label", answers(before, n), answers(after, n), truth)
    assert (found.texts, found.flips, found.labelled) == (n, abs(before - after), labelled)
    assert found.acceptable is acceptable
    assert ("accuracy on" in str(found)) is (labelled > 0)
