"""Builds the students of a ladder that are made to a budget, from what a rung asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import store
from stepdown.students import families, tables, vocabulary
from stepdown.students.bag import BagNetwork, BagShape
from stepdown.students.budgets import Wanted, sized
from stepdown.students.compact import CompactNetwork
from stepdown.students.families import Shape
from stepdown.students.model import TextModel
from stepdown.tasks import TaskKind
from stepdown.tokens.words import Words

# A bag averages its words with as many pairs, which are silent at first: louder words learn sooner (LOG.md).
_BAG_SCALE = 3.0


@dataclass(frozen=True)
class Prepared:
    """What all students of one rung share: the words, the sizes, the initial embeddings.

    Attributes:
        words: the vocabulary.
        shape: sizes that spend the budget on it.
        initial: float32 [vocabulary, width], in the order of the ids.
        coverage: share of the running words of the labelled texts that the vocabulary holds whole, not in pieces.
    """

    words: Words
    shape: Shape
    initial: np.ndarray
    coverage: float


Embedding = Callable[[Sequence[str], Sequence[int], int], np.ndarray]
"""Initial embeddings, float32 [n, width], of n entries of a vocabulary with their counts; by `students.embeddings`."""


def prepare(
    wanted: Wanted,
    label_names: Sequence[str],
    task_texts: Iterable[str],
    transfer_texts: Iterable[str],
    embedding: Embedding,
) -> Prepared:
    """Choose a student's vocabulary and sizes, and its initial embeddings.

    Args:
        wanted: with the budget, never exceeded.
        label_names: of the outputs.
        task_texts: the train texts.
        transfer_texts: all texts that teachers label, those of train among them.
        embedding: where they begin.

    Raises:
        ModelError: the budget is too small for the number of classes.
    """
    task, transfer = vocabulary.count_words(task_texts), vocabulary.count_words(transfer_texts)
    words, shape = sized(wanted, label_names, task, transfer)
    initial = lent(words, transfer, shape.width, embedding)
    if isinstance(shape, BagShape):
        initial *= _BAG_SCALE
    return Prepared(words, shape, initial, coverage(words, task))


def lent(words: Words, counts: Counter[str], width: int, embedding: Embedding) -> np.ndarray:
    """Initial embeddings, float32 [vocabulary, width], of all ids of a vocabulary with the counts of its words."""
    # The reserved ids are to an encoder its own pad, unknown word and separator.
    reserved = ("[PAD]", "[UNK]", "[SEP]")[: words.first_id]
    numbers = [*(1 for _ in reserved), *(counts[entry] or 1 for entry in words.entries)]
    return embedding((*reserved, *words.entries), numbers, width)


def coverage(words: Words, task: Counter[str]) -> float:
    """Share of running words that are entries as a whole; 1 where there are none."""
    return sum(task[entry] for entry in words.entries) / task.total() if task else 1.0


def student(
    prepared: Prepared,
    label_names: Sequence[str],
    max_length: int,
    seed: int,
    task: TaskKind = "single-label",
) -> TextModel:
    """A fresh student; the same seed gives the same initial weights."""
    model = untaught(prepared.words, prepared.shape, label_names, max_length, seed, task)
    assert isinstance(model.network, CompactNetwork | BagNetwork)
    tables.load(model.network.tables, torch.from_numpy(prepared.initial))
    return model


def untaught(
    words: Words,
    shape: Shape,
    label_names: Sequence[str],
    max_length: int,
    seed: int = 0,
    task: TaskKind = "single-label",
) -> TextModel:
    """A student of these sizes whose embeddings are random, too."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = families.network(shape)
    family = families.family_of(shape)
    return TextModel(
        network,
        words,
        tuple(label_names),
        max_length,
        family,
        shape.describe(),
        task=task,
        is_pair=shape.is_pair,
    )


def spent(wanted: Wanted, shape: Shape, covered: float) -> dict[str, Any]:
    """How a budget was spent, as `results.Spent` has it."""
    rows = [{"holds": "words", "rows": rows, "columns": columns} for rows, columns in shape.tiers]
    if isinstance(shape, BagShape):
        rows.append({"holds": "word pairs", "rows": shape.buckets, "columns": shape.pair_columns})
        core, hidden = None, None
    else:
        core, hidden = shape.core, shape.hidden
    return {
        "max_params": wanted.max_params,
        "max_bytes": wanted.max_bytes,
        "tables": rows,
        "core": core,
        "hidden": hidden,
        "table_parameters": shape.parameters - shape.network_parameters,
        "network_parameters": shape.network_parameters,
        "coverage": covered,
    }


def save_prepared(prepared: Prepared, folder: Path) -> None:
    """Write what the students of a rung share into an existing folder."""
    prepared.words.save(folder)
    store.save_array(folder / "initial.npy", prepared.initial)
    shape = prepared.shape
    about = {"family": families.family_of(shape), "coverage": prepared.coverage, **families.to_dict(shape)}
    store.write_json(folder / "shape.json", about)


def load_prepared(folder: Path) -> Prepared | None:
    """Read it back; None where it is damaged."""
    initial = store.load_array(folder / "initial.npy")
    if initial is None:
        return None
    about = store.read_json(folder / "shape.json")
    shape = families.from_dict(about["family"], about)
    return Prepared(Words.load(folder), shape, initial, about["coverage"])
