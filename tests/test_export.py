"""Weights of a byte or less: what is stored, what it costs, and that it is refused when it costs too much."""

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
from onnx import TensorProto, helper, numpy_helper

from stepdown import export
from stepdown.errors import CheckError
from stepdown.export import CheckTexts, Description, Form, graphs, integers
from stepdown.export.loss import loss
from stepdown.runtime import Classifier, bundle
from stepdown.students import bag, building, huggingface
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


def bag_student() -> TextModel:
    shape = bag.shape_for(20_000, len(VOCABULARY), 40, 10_000)
    model = building.untaught(
        Words(VOCABULARY[: shape.vocabulary - 2]), shape, [f"l{i}" for i in range(40)], 64
    )
    torch.nn.init.normal_(model.network.pairs)  # type: ignore[arg-type]
    return model


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
    stored = integers.store(values, "int8")
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
        stored = integers.store(values, "int8")
        assert stored is not None
        assert stored[1].shape == shape
    narrow = integers.store(np.ones((500, 3), np.float32), "int8")
    assert narrow is not None
    assert narrow[1].shape == (1, 3), "a scale for each short row would weigh more than the row"
    assert integers.store(np.ones((15, 15), np.float32), "int8") is None


def test_few_steps_are_spent_where_most_numbers_are() -> None:
    values = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    stored = integers.store(values, "int4")
    assert stored is not None
    assert np.abs(stored.whole).max() == 7
    plain = np.abs(values).max(1, keepdims=True) / 7
    lost = [
        np.square(n - values).sum() for n in (stored.whole * stored.scale, np.round(values / plain) * plain)
    ]
    assert lost[0] < 0.9 * lost[1]


# --- a whole network ------------------------------------------------------------------------------------------------


def bert(tmp_path: Path) -> TextModel:
    return huggingface.load(make_teacher(tmp_path / "bert"), ("no", "yes"), max_length=32).model


@pytest.mark.parametrize("kind", ["compact", "transformer"])
def test_int8_is_smaller_says_the_same_and_is_computed_once(kind: str, tmp_path: Path) -> None:
    model = student() if kind == "compact" else bert(tmp_path)
    graphs.write(model, tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in content, "no trace of where it was made"
    small = integers.quantised(content, "int8")
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


@pytest.mark.parametrize("rows", [400, 401])
def test_two_numbers_in_a_byte_come_back_as_they_were(rows: int, tmp_path: Path) -> None:
    table = np.random.default_rng(rows).normal(size=(rows, 32)).astype(np.float32)
    node = helper.make_node("Gather", ["table", "ids"], ["logits"])
    takes = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    gives = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 32])
    graph = helper.make_graph([node], "rows", [takes], [gives], [numpy_helper.from_array(table, "table")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", graphs.OPSET)])
    made.ir_version = 8
    small = integers.quantised(made.SerializeToString(), "int4")
    assert len(small) < 0.2 * table.nbytes
    session = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    stored = integers.store(table, "int4")
    assert stored is not None
    found = session.run(None, {"ids": np.arange(rows)})[0]
    assert np.array_equal(found, stored.whole * stored.scale)


@pytest.mark.parametrize("kind", ["compact", "transformer", "bag"])
def test_int4_stores_tables_in_half_a_byte_and_the_rest_in_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = {"compact": student, "bag": bag_student, "transformer": lambda: bert(tmp_path)}
    model = makers[kind]()
    graphs.write(model, tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    if kind == "transformer":  # small enough for a test
        monkeypatch.setattr(integers, "_SMALLEST_TABLE", 256)
    small = integers.quantised(content, "int4")
    held = onnx.load_from_string(small).graph.initializer
    halves = {one.name: 2 * int(np.prod(one.dims)) for one in held if one.data_type == TensorProto.UINT8}
    if kind != "transformer":
        assert len(small) < len(integers.quantised(content, "int8")) - 0.35 * sum(halves.values())
    tables = {
        "compact": "table0_int4",
        "bag": "pair_table_int4",
        "transformer": "classifier.bert.embeddings.word_embeddings.weight_int4",
    }
    assert tables[kind] in halves
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(small, options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(tmp_path / "loaded.onnx").graph
    assert not any(one.data_type in (TensorProto.UINT8, TensorProto.INT8) for one in loaded.initializer)
    assert "Floor" not in {node.op_type for node in loaded.node}, "computed once"
    reference = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    texts = corpus(50)[0] if kind == "transformer" else TEXTS[:50]
    ids, lengths = model.encode(texts).pad(np.arange(50), model.tokenizer.pad_id)
    said, expected = (one.run(None, {"ids": ids, "lengths": lengths})[0] for one in (session, reference))
    assert 0 < np.abs(said - expected).max() < 0.2


def test_a_bundle_of_int8_says_what_it_is_and_answers(tmp_path: Path) -> None:
    model = student()
    for weights in ("float32", "int8", "int4"):
        form = Form(weights=weights, accept_loss=True)  # type: ignore[arg-type]
        export.export(model, tmp_path / weights, unlabelled(TEXTS[:200]), DESCRIPTION, form)
    whole, small, least = (Classifier.load(tmp_path / weights) for weights in ("float32", "int8", "int4"))
    assert [one.about.weights.type for one in (whole, small, least)] == ["float32", "int8", "int4"]
    assert np.abs(whole.predict_proba(TEXTS) - least.predict_proba(TEXTS)).max() < 0.2
    assert np.abs(whole.predict_proba(TEXTS) - small.predict_proba(TEXTS)).max() < 0.02
    files = bundle.read(tmp_path / "int8").files
    assert small.card.startswith(f"# {len(files['model.onnx']) + len(files['words.json']):,} bytes")
    assert "of 200 texts get another label" in small.card
    assert whole.card.endswith("bytes; None\n")


def test_what_changes_too_many_labels_is_refused_with_the_numbers(tmp_path: Path) -> None:
    model = undecided()
    for weights, instead in (("int8", "float32"), ("int4", "int8")):
        form = Form(weights=weights)  # type: ignore[arg-type]
        says = r"\d+ of 2,500 texts get another label \(\d+\.\d\d%\)\. At most 0\.5%.* --weights " + instead
        with pytest.raises(CheckError, match=says.replace(" --weights", r".*\(--weights")):
            export.export(model, tmp_path / "b", unlabelled(TEXTS), DESCRIPTION, form)
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
