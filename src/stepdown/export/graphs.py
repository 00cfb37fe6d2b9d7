"""ONNX graphs of trained models: inputs `ids` and `lengths` int64 [B, L] and [B], output `logits` float32 [B, C].

The graph of a student that was built to a budget is written node by node from its weights: it is small, it says exactly
what the network does, and the tables stay tiered in the file (they are put together once, when the graph is loaded). A
transformer's graph is traced by torch's exporter.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from stepdown.export import parts
from stepdown.students import bag
from stepdown.students.bag import BagNetwork
from stepdown.students.compact import CompactNetwork
from stepdown.students.model import TextModel

OPSET = 17


def write(model: TextModel, path: Path) -> None:
    """Write a model's graph, checked by `onnx.checker`."""
    if isinstance(model.network, CompactNetwork | BagNetwork):
        graph = _compact(model.network) if isinstance(model.network, CompactNetwork) else _bag(model.network)
        onnx.checker.check_model(graph, full_check=True)
        path.write_bytes(graph.SerializeToString())
    else:
        _traced(model.network, path)
        onnx.checker.check_model(str(path))


def _compact(network: CompactNetwork) -> onnx.ModelProto:
    shape, weights = network.shape, parts.weights(network)
    ids, lengths = parts.OF_PAIRS if shape.is_pair else parts.SINGLE
    pair_nodes, pair_constants = parts.pairs() if shape.is_pair else parts.NOTHING
    table_nodes, table_constants = parts.tables(weights, shape.tiers, shape.width)
    inside_nodes, inside_constants = parts.inside(ids, lengths)
    recurrent = shape.core != "conv"
    word_nodes, word_constants = parts.words(weights, ids, is_pair=shape.is_pair, words_first=recurrent)
    core_nodes, core_constants = (
        parts.gru(weights, shape.hidden, lengths) if recurrent else parts.gated_convolution(weights)
    )
    pool_nodes, pool_constants = parts.pool(weights)
    output_nodes, output_constants = parts.output(weights, "pooled", is_pair=shape.is_pair)
    constants: dict[str, np.ndarray] = {
        **table_constants,
        **inside_constants,
        **word_constants,
        **core_constants,
        **pool_constants,
        **output_constants,
        **pair_constants,
    }
    nodes = [
        *pair_nodes,
        *table_nodes,
        *inside_nodes,
        *word_nodes,
        *core_nodes,
        *pool_nodes,
        *output_nodes,
    ]
    return _model("compact", nodes, constants, shape.classes)


def _bag(network: BagNetwork) -> onnx.ModelProto:
    shape, weights = network.shape, parts.weights(network)
    ids, lengths = parts.OF_PAIRS if shape.is_pair else parts.SINGLE
    pair_nodes, pair_constants = parts.pairs() if shape.is_pair else parts.NOTHING
    table_nodes, table_constants = parts.tables(weights, shape.tiers, shape.width)
    inside_nodes, inside_constants = parts.inside(ids, lengths)
    output_nodes, output_constants = parts.output(weights, "mean", is_pair=shape.is_pair)
    constants: dict[str, np.ndarray] = {
        **table_constants,
        **inside_constants,
        "pair_table": weights["pairs"],
        **output_constants,
        **pair_constants,
        "start": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "before_last": np.array([-1], np.int64),
        "end": np.array([np.iinfo(np.int64).max], np.int64),
        "first_factor": np.array(bag.FIRST, np.int64),
        "second_factor": np.array(bag.SECOND, np.int64),
        "prime": np.array(bag.PRIME, np.int64),
        "buckets": np.array(shape.buckets, np.int64),
        "two": np.array(2, np.float32),
        "float_one": np.array(1, np.float32),
    }
    node = helper.make_node
    nodes = [
        *pair_nodes,
        *table_nodes,
        *inside_nodes,
        node("Cast", ["inside"], ["inside_share"], to=TensorProto.FLOAT),
        node("Cast", ["column"], ["count"], to=TensorProto.FLOAT),
        # n words and n − 1 pairs weigh alike, in sums over words that are products of matrices
        node("Mul", ["count", "two"], ["twice"]),
        node("Sub", ["twice", "float_one"], ["rows"]),
        node("Div", ["inside_share", "rows"], ["share"]),
        node("Unsqueeze", ["share", "axis_words"], ["shares"]),  # [B, 1, L]
        node("Slice", ["shares", "second", "end", "axis_last"], ["pair_shares"]),
        node("Gather", ["table", ids], ["embedded"]),
        node("MatMul", ["shares", "embedded"], ["word_part"]),
        # the bucket of each pair of neighbours, as `bag.bucket` has it; a text of one word has none
        node("Slice", [ids, "start", "before_last", "axis_words"], ["firsts"]),
        node("Slice", [ids, "second", "end", "axis_words"], ["seconds"]),
        node("Mul", ["firsts", "first_factor"], ["first_part"]),
        node("Mul", ["seconds", "second_factor"], ["second_part"]),
        node("Add", ["first_part", "second_part"], ["mixed"]),
        node("Mod", ["mixed", "prime"], ["hashed"]),
        node("Mod", ["hashed", "buckets"], ["bucket"]),
        node("Gather", ["pair_table", "bucket"], ["pairs"]),
        node("MatMul", ["pair_shares", "pairs"], ["pair_part"]),
    ]
    pair_part = "pair_part"
    if shape.pair_columns < shape.width:
        constants["pair_pads"] = np.array([0, 0, 0, 0, 0, shape.width - shape.pair_columns], np.int64)
        nodes.append(node("Pad", ["pair_part", "pair_pads"], ["wide_pair_part"]))
        pair_part = "wide_pair_part"
    nodes += [
        node("Add", ["word_part", pair_part], ["both_parts"]),
        node("Flatten", ["both_parts"], ["mean"], axis=1),
        *output_nodes,
    ]
    return _model("bag", nodes, constants, shape.classes)


def _model(
    name: str, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], classes: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="stepdown")
    made.ir_version = 8  # what every runtime that knows the opset reads
    return made


def _traced(network: nn.Module, path: Path) -> None:
    ids, lengths = torch.ones(2, 8, dtype=torch.int64), torch.tensor([8, 5])
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    was_training = network.training
    network.cpu().eval()
    shapes: dict[str, Any] = {"ids": {0: batch, 1: length}, "lengths": {0: batch}}
    with warnings.catch_warnings(), _quiet("torch.onnx._internal.exporter"):
        # The exporter warns about its own internals; what counts is compared on real texts afterwards.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (ids, lengths),
            input_names=["ids", "lengths"],
            output_names=["logits"],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(str(path))
    network.train(was_training)
    made = onnx.load(path)
    _forget_origin(made)
    path.write_bytes(made.SerializeToString())


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop where in which file each node comes from: paths of this machine, often more bytes than the weights."""
    model.ClearField("metadata_props")
    for function in model.functions:
        function.ClearField("metadata_props")
        _forget(function.node)
        _forget(function.value_info)
    _forget_in(model.graph)


def _forget_in(graph: onnx.GraphProto) -> None:
    _forget([graph])
    for parts_of_it in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        _forget(parts_of_it)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _forget_in(inner)


def _forget(things: Iterable[Any]) -> None:
    for thing in things:
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Without what a library logs below an error."""
    found = logging.getLogger(logger)
    level = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(level)
