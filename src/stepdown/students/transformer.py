"""A transformer of Hugging Face behind the signature of all students; its layers, and copies of the first of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from stepdown.errors import ModelError
from stepdown.students.model import TextModel, inside
from stepdown.students.token_types import token_types

# Families that number positions from pad_token_id + 1 on.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text"})


class HuggingFaceNetwork(nn.Module):
    """A Hugging Face sequence classifier behind the one signature that all students have.

    Attributes:
        classifier: of transformers.
        separator: the id after which the second text of a pair begins, for a model of pairs that has token types.
    """

    def __init__(self, classifier: Any, separator: int | None = None) -> None:
        super().__init__()
        self.classifier = classifier
        self.separator = separator

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits [batch, classes] of ids [batch, length] of which each text's first `lengths` count."""
        mask = inside(lengths, ids.shape[1]).long()
        given = {"input_ids": ids, "attention_mask": mask}
        if self.separator is not None:
            given["token_type_ids"] = token_types(ids, lengths, self.separator)
        logits: Tensor = self.classifier(**given).logits
        return logits


def first_layers(teacher: TextModel, count: int, *, max_length: int | None = None) -> TextModel:
    """A copy of a teacher that keeps its embeddings, its first `count` layers, and its head.

    Sun et al. (2019), "Patient Knowledge Distillation", section 4: the first layers are a strong start for a student.

    Args:
        teacher: stays as it is.
        count: of layers.
        max_length: most ids of a text, lowered to what its positions can take; None for the teacher's.

    Raises:
        ModelError: the teacher is no layered transformer, or has no more than `count` layers.
    """
    if not isinstance(teacher.network, HuggingFaceNetwork):
        raise ModelError(
            f"teacher:{count} copies layers of a Hugging Face model; this teacher is a {teacher.kind} one"
        )
    classifier = copy.deepcopy(teacher.network.classifier)
    name, found = _layers(classifier)
    if not 0 < count < len(found):
        raise ModelError(
            f"teacher:{count} keeps {count} layers, but the teacher has {len(found)}. "
            f"Choose a number from 1 to {len(found) - 1}."
        )
    above, _, last = name.rpartition(".")
    setattr(classifier.get_submodule(above), last, found[:count])
    whole = len(found)
    for key, value in list(vars(classifier.config).items()):
        if key in ("num_hidden_layers", "n_layers", "n_layer", "num_layers"):
            setattr(classifier.config, key, count)
        elif isinstance(value, list) and len(value) == whole:  # such as layer_types: one entry for each layer
            setattr(classifier.config, key, value[:count])
    network = HuggingFaceNetwork(classifier, teacher.network.separator)
    return TextModel(
        network,
        teacher.tokenizer,
        teacher.label_names,
        teacher.max_length if max_length is None else longest(classifier.config, max_length),
        "huggingface",
        describe(classifier),
        task=teacher.task,
        is_pair=teacher.is_pair,
    )


def layers(model: TextModel) -> nn.ModuleList:
    """The transformer's layers."""
    assert isinstance(model.network, HuggingFaceNetwork)
    return _layers(model.network.classifier)[1]


@contextmanager
def middle_states(model: TextModel) -> Iterator[list[Tensor]]:
    """A list that gets the states of the middle layer, the lower of two, [batch, length, hidden], at each pass.

    Other than with `output_hidden_states`, one layer is kept and not all of them; who reads them empties the list.
    """
    blocks = layers(model)
    seen: list[Tensor] = []
    hook = blocks[(len(blocks) - 1) // 2].register_forward_hook(
        lambda module, given, result: seen.append(result[0] if isinstance(result, tuple) else result)
    )
    try:
        yield seen
    finally:
        hook.remove()


def encoder(model: TextModel) -> nn.Module:
    """The network below the head."""
    assert isinstance(model.network, HuggingFaceNetwork)
    base: nn.Module = model.network.classifier.base_model
    return base


def describe(classifier: Any) -> str:
    """What a transformer is, in a few words for people."""
    config = classifier.config
    found = _layers(classifier)[1]
    width = getattr(config, "hidden_size", None) or getattr(config, "dim", None)
    return f"{config.model_type}, {len(found)} layers" + (f", {width} wide" if width else "")


def longest(config: Any, max_length: int) -> int:
    """Most ids of a text, lowered to what a model's positions can take."""
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:
        return max_length
    # RoBERTa's family numbers positions from pad_token_id + 1 on.
    offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
    return min(max_length, positions - offset)


def _layers(classifier: nn.Module) -> tuple[str, nn.ModuleList]:
    """Dotted name and list of the transformer's layers: the longest list of modules of one class."""
    lists = [
        (name, module)
        for name, module in classifier.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(child) for child in module}) == 1
    ]
    if not lists:
        raise ModelError("teacher:N copies a transformer's layers, but this teacher holds no list of layers")
    return max(lists, key=lambda item: len(item[1]))
