"""A small bundle for tests: a mean of embeddings and one matrix, as an ONNX graph of the format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stepdown.runtime import About, Bundle, Calibration, LongTexts, Source
from stepdown.tasks import TaskKind
from stepdown.tokens import Tokenizer, Words

WORDS = Words(("good", "bad", "movie", "the", "a", "not", "!", ".", "g", "o", "b", "d", "n't", "do"))
LABELS = ("negative", "neutral", "positive")
WIDTH = 4


def weights(words: Tokenizer = WORDS, labels: int = len(LABELS)) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings [vocabulary, WIDTH] and output matrix [WIDTH, labels], the same each time."""
    random = np.random.default_rng(0)
    table = random.normal(size=(words.vocab_size, WIDTH)).astype(np.float32)
    return table, random.normal(size=(WIDTH, labels)).astype(np.float32)


def model(table: np.ndarray, matrix: np.ndarray) -> onnx.ModelProto:
    """The graph: mean of the embeddings of the first `lengths` ids, times the matrix."""
    constants = {"table": table, "matrix": matrix, "zero": np.array(0), "one": np.array(1)}
    constants |= {"axis1": np.array([1]), "axis2": np.array([2])}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node("Shape", ["ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["longest"]),
        helper.make_node("Range", ["zero", "longest", "one"], ["positions"]),
        helper.make_node("Unsqueeze", ["lengths", "axis1"], ["ends"]),
        helper.make_node("Less", ["positions", "ends"], ["inside"]),
        helper.make_node("Cast", ["inside"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis2"], ["mask3"]),
        helper.make_node("Mul", ["vectors", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis1"], ["total"], keepdims=0),
        helper.make_node("Cast", ["ends"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "length"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["texts"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", matrix.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    onnx.checker.check_model(made)
    return made


def about(
    labels: Sequence[str] = LABELS,
    max_length: int = 16,
    temperature: float = 2.0,
    long_texts: LongTexts | None = None,
    task: TaskKind = "single-label",
    is_pair: bool = False,
    thresholds: tuple[float, ...] | None = None,
) -> About:
    fitted = Calibration(temperature, "selection", 100, thresholds)
    return About(
        tuple(labels),
        max_length,
        WORDS.spec(),
        calibration=Calibration() if task == "regression" else fitted,
        parameters=76,
        versions={"stepdown": "0.1.0"},
        sources=(Source("some texts", "data", "CC0-1.0"),),
        created="2025-01-01T00:00:00Z",
        long_texts=long_texts,
        task=task,
        is_pair=is_pair,
    )


def contents(folder: Path, graph: onnx.ModelProto | None = None) -> dict[str, bytes]:
    """The files of the bundle; `folder` is for scratch."""
    WORDS.save(folder)
    made = graph or model(*weights())
    words = (folder / "words.json").read_bytes()
    return {"model.onnx": made.SerializeToString(), "words.json": words, "README.md": b"# Tiny\n"}


def bundle_of(folder: Path, says: About) -> Bundle:
    """A bundle that says this, with a network of as many outputs as it has names; `folder` is for scratch."""
    return Bundle(says, contents(folder, model(*weights(labels=len(says.label_names)))))
