"""ONNX graphs of trained models: inputs `ids` and `lengths` int64 [B, L] and [B], output `logits` float32 [B, C].

The graph of a student that was built to a budget is written node by node from its weights: it is small, it says exactly
what the network does, and the tables stay tiered in the file (they are put together once, when the graph is loaded). A
transformer's graph is traced by torch's exporter.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from stepdown.students import bag
from stepdown.students.bag import BagNetwork
from stepdown.students.compact import CompactNetwork
from stepdown.students.cores import DILATIONS
from stepdown.students.model import TextModel
from stepdown.students.tables import Tiers

OPSET = 17
_LOWEST = np.array(-3.0e38, np.float32)  # below any state; -inf would make 0 · -inf in the masked sums


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
    shape, weights = network.shape, _weights(network)
    core_nodes, core_constants = (_gru if shape.core == "gru" else _gated_convolution)(weights, shape.hidden)
    table_nodes, table_constants = _tables(weights, shape.tiers, shape.width)
    inside_nodes, inside_constants = _inside()
    constants: dict[str, np.ndarray] = {
        **table_constants,
        **inside_constants,
        **core_constants,
        "attention_weight": weights["attention.weight"].T,
        "attention_bias": weights["attention.bias"],
        "output_weight": weights["output.weight"].T,
        "output_bias": weights["output.bias"],
        "lowest": _LOWEST,
    }
    node = helper.make_node
    nodes = [
        *table_nodes,
        *inside_nodes,
        node("Gather", ["table", "ids"], ["embedded"]),
        *core_nodes,  # states [B, L, S]
        node("Where", ["inside", "states", "lowest"], ["masked"]),
        node("ReduceMax", ["masked"], ["highest"], axes=[1], keepdims=0),
        node("Mul", ["states", "inside_share"], ["own"]),
        node("ReduceSum", ["own", "axis_words"], ["sum"], keepdims=0),
        node("Div", ["sum", "count"], ["mean"]),
        node("MatMul", ["states", "attention_weight"], ["scored"]),
        node("Add", ["scored", "attention_bias"], ["scores"]),
        node("Where", ["inside", "scores", "lowest"], ["masked_scores"]),
        node("Softmax", ["masked_scores"], ["attention"], axis=1),
        node("Mul", ["attention", "states"], ["weighed"]),
        node("ReduceSum", ["weighed", "axis_words"], ["attended"], keepdims=0),
        node("Concat", ["highest", "mean", "attended"], ["pooled"], axis=1),
        node("Gemm", ["pooled", "output_weight", "output_bias"], ["logits"]),
    ]
    return _model("compact", nodes, constants, shape.classes)


def _bag(network: BagNetwork) -> onnx.ModelProto:
    shape, weights = network.shape, _weights(network)
    table_nodes, table_constants = _tables(weights, shape.tiers, shape.width)
    inside_nodes, inside_constants = _inside()
    constants: dict[str, np.ndarray] = {
        **table_constants,
        **inside_constants,
        "pair_table": weights["pairs"],
        "output_weight": weights["output.weight"].T,
        "output_bias": weights["output.bias"],
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
        *table_nodes,
        *inside_nodes,
        node("Gather", ["table", "ids"], ["embedded"]),
        node("Mul", ["embedded", "inside_share"], ["own"]),
        node("ReduceSum", ["own", "axis_words"], ["word_sum"], keepdims=0),
        # the bucket of each pair of neighbours, as `bag.bucket` has it; a text of one word has none
        node("Slice", ["ids", "start", "before_last", "axis_words"], ["firsts"]),
        node("Slice", ["ids", "second", "end", "axis_words"], ["seconds"]),
        node("Mul", ["firsts", "first_factor"], ["first_part"]),
        node("Mul", ["seconds", "second_factor"], ["second_part"]),
        node("Add", ["first_part", "second_part"], ["mixed"]),
        node("Mod", ["mixed", "prime"], ["hashed"]),
        node("Mod", ["hashed", "buckets"], ["bucket"]),
        node("Gather", ["pair_table", "bucket"], ["pairs"]),
        node("Slice", ["inside_share", "second", "end", "axis_words"], ["inside_pairs"]),
        node("Mul", ["pairs", "inside_pairs"], ["own_pairs"]),
        node("ReduceSum", ["own_pairs", "axis_words"], ["pair_sum"], keepdims=0),
    ]
    pair_sum = "pair_sum"
    if shape.pair_columns < shape.width:
        constants["pair_pads"] = np.array([0, 0, 0, shape.width - shape.pair_columns], np.int64)
        nodes.append(node("Pad", ["pair_sum", "pair_pads"], ["wide_pair_sum"]))
        pair_sum = "wide_pair_sum"
    nodes += [
        node("Add", ["word_sum", pair_sum], ["summed"]),
        # n words and n - 1 pairs
        node("Mul", ["count", "two"], ["twice"]),
        node("Sub", ["twice", "float_one"], ["rows"]),
        node("Div", ["summed", "rows"], ["mean"]),
        node("Gemm", ["mean", "output_weight", "output_bias"], ["logits"]),
    ]
    return _model("bag", nodes, constants, shape.classes)


Part = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]
"""Nodes of a graph, and the constants that they take."""


def _weights(network: nn.Module) -> dict[str, np.ndarray]:
    return {
        name: value.detach().cpu().numpy().astype(np.float32) for name, value in network.state_dict().items()
    }


def _inside() -> Part:
    """Which words are a text's own: `inside` [B, L, 1], as numbers `inside_share`; `count` [B, 1] of them."""
    constants = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axis_last": np.array([-1], np.int64),
        "axis_words": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Shape", ["ids"], ["size"]),
        node("Gather", ["size", "one"], ["longest"]),
        node("Range", ["zero", "longest", "one"], ["positions"]),
        node("Unsqueeze", ["lengths", "axis_words"], ["column"]),
        node("Less", ["positions", "column"], ["inside2"]),
        node("Unsqueeze", ["inside2", "axis_last"], ["inside"]),
        node("Cast", ["inside"], ["inside_share"], to=TensorProto.FLOAT),
        node("Cast", ["column"], ["count"], to=TensorProto.FLOAT),
    ]
    return nodes, constants


def _tables(weights: Mapping[str, np.ndarray], tiers: Tiers, width: int) -> Part:
    """`table` [vocabulary, width] from the tiers, which the file holds as narrow as they are."""
    nodes, constants, names = [], {}, []
    for index, (_, columns) in enumerate(tiers):
        name = f"table{index}"
        constants[name] = weights[f"tables.{index}"]
        if columns < width:
            constants[f"pads{index}"] = np.array([0, 0, 0, width - columns], np.int64)
            nodes.append(helper.make_node("Pad", [name, f"pads{index}"], [f"wide{index}"]))
            name = f"wide{index}"
        names.append(name)
    nodes.append(helper.make_node("Concat", names, ["table"], axis=0))
    return nodes, constants


def _gru(weights: Mapping[str, np.ndarray], hidden: int) -> Part:
    """`states` [B, L, 2H] from `embedded` [B, L, width]."""
    ways = [f"core.{way}_gru" for way in ("forward", "backward")]
    constants = {
        "W": np.stack([_gates(weights[f"{way}.weight_ih_l0"]) for way in ways]),
        "R": np.stack([_gates(weights[f"{way}.weight_hh_l0"]) for way in ways]),
        "B": np.stack(
            [
                np.concatenate([_gates(weights[f"{way}.bias_{part}_l0"]) for part in ("ih", "hh")])
                for way in ways
            ]
        ),
        "flat": np.array([0, 0, -1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Transpose", ["embedded"], ["words_first"], perm=[1, 0, 2]),
        node("Cast", ["lengths"], ["lengths32"], to=TensorProto.INT32),
        node(
            "GRU",
            ["words_first", "W", "R", "B", "lengths32"],
            ["directions"],
            hidden_size=hidden,
            direction="bidirectional",
            linear_before_reset=1,  # as torch computes it
        ),
        # [L, 2, B, H] → [B, L, 2, H] → [B, L, 2H]
        node("Transpose", ["directions"], ["by_text"], perm=[2, 0, 1, 3]),
        node("Reshape", ["by_text", "flat"], ["states"]),
    ]
    return nodes, constants


def _gated_convolution(weights: Mapping[str, np.ndarray], hidden: int) -> Part:
    """`states` [B, L, H] from `embedded` [B, L, width]; as in torch, what is not the text's own is zero to a layer."""
    node = helper.make_node
    constants: dict[str, np.ndarray] = {}
    nodes = [
        node("Transpose", ["embedded"], ["channels"], perm=[0, 2, 1]),
        node("Transpose", ["inside_share"], ["inside_channels"], perm=[0, 2, 1]),
        node("Mul", ["channels", "inside_channels"], ["layer0"]),
    ]
    for index, gap in enumerate(DILATIONS):
        given, found = f"layer{index}", f"layer{index + 1}"
        constants[f"kernel{index}"] = weights[f"core.layers.{index}.weight"]
        constants[f"kernel_bias{index}"] = weights[f"core.layers.{index}.bias"]
        nodes += [
            node(
                "Conv",
                [given, f"kernel{index}", f"kernel_bias{index}"],
                [f"convolved{index}"],
                dilations=[gap],
                pads=[gap, gap],
            ),
            node("Split", [f"convolved{index}"], [f"value{index}", f"gate{index}"], axis=1),
            node("Sigmoid", [f"gate{index}"], [f"open{index}"]),
            node("Mul", [f"value{index}", f"open{index}"], [f"gated{index}"]),
        ]
        summed = f"gated{index}"
        if index > 0:
            summed = f"summed{index}"
            nodes.append(node("Add", [given, f"gated{index}"], [summed]))
        nodes.append(node("Mul", [summed, "inside_channels"], [found]))
    nodes.append(node("Transpose", [f"layer{len(DILATIONS)}"], ["states"], perm=[0, 2, 1]))
    return nodes, constants


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


def _gates(values: np.ndarray) -> np.ndarray:
    """From torch's order of gates (reset, update, new) to ONNX's (update, reset, hidden)."""
    reset, update, new = np.split(values, 3)
    return np.concatenate([update, reset, new])


def _traced(network: nn.Module, path: Path) -> None:
    ids, lengths = torch.ones(2, 8, dtype=torch.int64), torch.tensor([8, 5])
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    was_training = network.training
    network.cpu().eval()
    shapes: dict[str, Any] = {"ids": {0: batch, 1: length}, "lengths": {0: batch}}
    with warnings.catch_warnings():
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
