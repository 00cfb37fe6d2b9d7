"""Parts of the graphs that are written node by node: what several networks have in common.

Names of values are the same in every graph. Texts come as `ids` [B, L] and `lengths` [B], or under the names that
`pairs` gives to the texts of pairs; where a part reads them, it is told which.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper
from torch import nn

from stepdown.students.cores import DILATIONS
from stepdown.students.tables import Tiers
from stepdown.tokens.words import BETWEEN

Part = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]
"""Nodes of a graph, and the constants that they take."""

NOTHING: Part = ([], {})


# Nothing rises above it that is added to it, and it is a number: -inf would make 0 · -inf.
_LOWEST = np.array(-3.0e38, np.float32)

# Of texts, and of the texts of pairs: all first ones, and below them all second ones.
SINGLE = ("ids", "lengths")
OF_PAIRS = ("text_ids", "text_lengths")


def pairs() -> Part:
    """`text_ids` [2B, T] and `text_lengths` [2B] of pairs `ids` and `lengths`, as `students.pairs.split` has them."""
    constants = {
        "between": np.array(BETWEEN, np.int64),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "start": np.array([0], np.int64),
        "axis_words": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Equal", ["ids", "between"], ["is_between"]),
        node("Cast", ["is_between"], ["separators"], to=TensorProto.INT64),
        node("CumSum", ["separators", "one"], ["separators_so_far"]),
        node("Equal", ["separators_so_far", "zero"], ["before_any"]),
        node("Shape", ["ids"], ["pair_size"]),
        node("Gather", ["pair_size", "one"], ["longest_pair"]),
        node("Range", ["zero", "longest_pair", "one"], ["pair_positions"]),
        node("Unsqueeze", ["lengths", "axis_words"], ["pair_column"]),
        node("Less", ["pair_positions", "pair_column"], ["inside_pair"]),
        node("And", ["before_any", "inside_pair"], ["in_first"]),
        node("Cast", ["in_first"], ["in_first_number"], to=TensorProto.INT64),
        node("ReduceSum", ["in_first_number", "axis_words"], ["first_lengths"], keepdims=0),
        node("Sub", ["lengths", "first_lengths"], ["rest"]),
        node("Sub", ["rest", "one"], ["second_lengths"]),
        node("Concat", ["first_lengths", "second_lengths"], ["found_lengths"], axis=0),
        node("Max", ["found_lengths", "one"], ["text_lengths"]),
        node("ReduceMax", ["text_lengths"], ["longest_text"], axes=[0], keepdims=1),
        node("Slice", ["ids", "start", "longest_text", "axis_words"], ["first_ids"]),
        node("Slice", ["pair_positions", "start", "longest_text"], ["text_positions"]),
        node("Unsqueeze", ["first_lengths", "axis_words"], ["first_column"]),
        node("Add", ["first_column", "one"], ["second_start"]),
        node("Add", ["second_start", "text_positions"], ["second_places"]),
        node("Sub", ["pair_column", "one"], ["last_place"]),
        node("Min", ["second_places", "last_place"], ["own_places"]),
        node("GatherElements", ["ids", "own_places"], ["second_ids"], axis=1),
        node("Concat", ["first_ids", "second_ids"], ["text_ids"], axis=0),
    ]
    return nodes, constants


def output(weights: Mapping[str, np.ndarray], features: str, *, is_pair: bool) -> Part:
    """`logits` [B, C] from the features of texts, or of the texts of pairs, which are compared first."""
    constants = {"output_weight": weights["output.weight"].T, "output_bias": weights["output.bias"]}
    node = helper.make_node
    nodes = []
    if is_pair:
        nodes = [
            node("Split", [features], ["first", "second_text"], axis=0),
            node("Sub", ["first", "second_text"], ["difference"]),
            node("Abs", ["difference"], ["distance"]),
            node("Mul", ["first", "second_text"], ["product"]),
            node("Concat", ["first", "second_text", "distance", "product"], ["compared"], axis=1),
        ]
        features = "compared"
    nodes.append(node("Gemm", [features, "output_weight", "output_bias"], ["logits"]))
    return nodes, constants


def weights(network: nn.Module) -> dict[str, np.ndarray]:
    """Weights of a network, float32, by their names in torch."""
    return {
        name: value.detach().cpu().numpy().astype(np.float32) for name, value in network.state_dict().items()
    }


def inside(ids: str, lengths: str) -> Part:
    """Which words are a text's own: `inside` [B, L]; `column` [B, 1] is how many."""
    constants = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axis_last": np.array([-1], np.int64),
        "axis_words": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Shape", [ids], ["size"]),
        node("Gather", ["size", "one"], ["longest"]),
        node("Range", ["zero", "longest", "one"], ["positions"]),
        node("Unsqueeze", [lengths, "axis_words"], ["column"]),
        node("Less", ["positions", "column"], ["inside"]),
    ]
    return nodes, constants


def tables(weights: Mapping[str, np.ndarray], tiers: Tiers, width: int) -> Part:
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


def words(weights: Mapping[str, np.ndarray], ids: str, *, is_pair: bool, words_first: bool) -> Part:
    """What the core reads of the words `ids` [B, L]: `words` [B, L, columns], or `words_first` [L, B, columns].

    Of pairs each word comes with what the other text has for it, as `students.pairs.Alignment` has it.
    """
    node = helper.make_node
    if is_pair:
        nodes, constants = _aligned(weights)
        turned = [node("Transpose", ["words"], ["words_first"], perm=[1, 0, 2])]
        return [*nodes, *turned] if words_first else nodes, constants
    if words_first:
        # Ids are turned sooner than their rows.
        nodes = [
            node("Transpose", [ids], ["ids_first"], perm=[1, 0]),
            node("Gather", ["table", "ids_first"], ["words_first"]),
        ]
        return nodes, {}
    return [node("Gather", ["table", ids], ["words"])], {}


def _aligned(weights: Mapping[str, np.ndarray]) -> Part:
    """`words` [2B, T, 3 · width + 1] of the texts of pairs."""
    constants = {
        "axis_words": np.array([1], np.int64),
        "axis_last": np.array([-1], np.int64),
        "between": np.array(BETWEEN, np.int64),
        "sharpness": weights["alignment.sharpness"],
        "same_bonus": weights["alignment.same"],
        "nothing": np.array(0, np.float32),
        "lowest": _LOWEST,
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "text_ids"], ["embedded"]),
        *_others("embedded", "theirs"),
        *_others("text_ids", "their_ids"),
        *_others("inside", "inside_theirs"),
        node("Transpose", ["theirs"], ["their_columns"], perm=[0, 2, 1]),
        node("MatMul", ["embedded", "their_columns"], ["products"]),  # [2B, T, T]
        node("Mul", ["products", "sharpness"], ["sharp_products"]),
        node("Unsqueeze", ["text_ids", "axis_last"], ["own_column"]),
        node("Unsqueeze", ["their_ids", "axis_words"], ["their_row"]),
        node("Unsqueeze", ["inside_theirs", "axis_words"], ["inside_row"]),
        node("Equal", ["own_column", "their_row"], ["equal"]),
        node("Greater", ["own_column", "between"], ["is_entry"]),
        node("And", ["is_entry", "inside_row"], ["may_be_same"]),
        node("And", ["equal", "may_be_same"], ["same"]),
        node("Cast", ["same"], ["same_share"], to=TensorProto.FLOAT),
        node("Mul", ["same_share", "same_bonus"], ["bonus"]),
        node("Add", ["sharp_products", "bonus"], ["every_score"]),
        node("Where", ["inside_row", "nothing", "lowest"], ["shut_row"]),
        node("Add", ["every_score", "shut_row"], ["open_alignment"]),
        node("Softmax", ["open_alignment"], ["alignment"], axis=2),
        node("MatMul", ["alignment", "theirs"], ["counterpart"]),
        node("Sub", ["embedded", "counterpart"], ["word_difference"]),
        node("Abs", ["word_difference"], ["word_distance"]),
        node("Mul", ["embedded", "counterpart"], ["word_product"]),
        node("ReduceMax", ["same_share"], ["has"], axes=[2], keepdims=1),
        node("Concat", ["embedded", "word_distance", "word_product", "has"], ["words"], axis=2),
    ]
    return nodes, constants


def _others(both: str, name: str) -> list[onnx.NodeProto]:
    """For each text of pairs the other one's row."""
    node = helper.make_node
    return [
        node("Split", [both], [f"{name}_of_seconds", f"{name}_of_firsts"], axis=0),
        node("Concat", [f"{name}_of_firsts", f"{name}_of_seconds"], [name], axis=0),
    ]


def gru(weights: Mapping[str, np.ndarray], hidden: int, lengths: str) -> Part:
    """`states` [B, L, directions · H] from `words_first` [L, B, columns], as the operator takes them."""
    ways = [f"core.{way}_gru" for way in ("forward", "backward") if f"core.{way}_gru.weight_ih_l0" in weights]
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
        node("Cast", [lengths], ["lengths32"], to=TensorProto.INT32),
        node(
            "GRU",
            ["words_first", "W", "R", "B", "lengths32"],
            ["directions"],
            hidden_size=hidden,
            direction="bidirectional" if len(ways) > 1 else "forward",
            linear_before_reset=1,  # as torch computes it
        ),
        # [L, directions, B, H] → [B, L, directions, H] → [B, L, directions · H]
        node("Transpose", ["directions"], ["by_text"], perm=[2, 0, 1, 3]),
        node("Reshape", ["by_text", "flat"], ["states"]),
    ]
    return nodes, constants


def pool(weights: Mapping[str, np.ndarray]) -> Part:
    """`pooled` [B, 3S] from `states` [B, L, S]: their maximum, their mean, and their mean by attention.

    The mean is one by attention too, whose scores are all zero, so that both are one product of matrices. What is not a
    text's own is kept from maximum and softmax by adding a number that nothing rises above: several times faster than
    to choose each state (LOG.md). The attention's bias is left out, for it is the same for all words, and softmax does
    not see it.
    """
    attention = weights["attention.weight"].T
    constants = {
        "attention_weights": np.concatenate([np.zeros_like(attention), attention], 1),
        "nothing": np.array(0, np.float32),
        "lowest": _LOWEST,
    }
    node = helper.make_node
    nodes = [
        node("Where", ["inside", "nothing", "lowest"], ["shut_words"]),
        node("Unsqueeze", ["shut_words", "axis_last"], ["shut"]),  # [B, L, 1]
        node("Add", ["states", "shut"], ["open_states"]),
        node("ReduceMax", ["open_states"], ["highest"], axes=[1], keepdims=0),
        node("MatMul", ["states", "attention_weights"], ["scores"]),
        node("Add", ["scores", "shut"], ["open_scores"]),
        node("Transpose", ["open_scores"], ["score_rows"], perm=[0, 2, 1]),
        node("Softmax", ["score_rows"], ["weighing"], axis=2),  # [B, 2, L]
        node("MatMul", ["weighing", "states"], ["means"]),
        node("Flatten", ["means"], ["flat_means"], axis=1),
        node("Concat", ["highest", "flat_means"], ["pooled"], axis=1),
    ]
    return nodes, constants


def gated_convolution(weights: Mapping[str, np.ndarray]) -> Part:
    """`states` [B, L, H] from `words` [B, L, columns]; as in torch, what is not the text's own is zero to a layer."""
    node = helper.make_node
    constants: dict[str, np.ndarray] = {}
    nodes = [
        node("Transpose", ["words"], ["channels"], perm=[0, 2, 1]),
        node("Cast", ["inside"], ["inside_share"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["inside_share", "axis_words"], ["inside_channels"]),
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


def _gates(values: np.ndarray) -> np.ndarray:
    """From torch's order of gates (reset, update, new) to ONNX's (update, reset, hidden)."""
    reset, update, new = np.split(values, 3)
    return np.concatenate([update, reset, new])
