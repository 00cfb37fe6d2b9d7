"""Builds the models of a ladder from what a rung asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stepdown import store
from stepdown.students import embeddings, tables, vocabulary
from stepdown.students.compact import CompactNetwork, CompactShape, shape_for
from stepdown.students.model import TextModel
from stepdown.tokens.words import Words


@dataclass(frozen=True)
class Prepared:
    """What all compact students of one rung share: the words, the sizes, the initial embeddings.

    Attributes:
        words: the vocabulary.
        shape: sizes that spend the budget on it.
        initial: float32 [vocabulary, width], in the order of the ids.
    """

    words: Words
    shape: CompactShape
    initial: np.ndarray


def prepare(
    max_params: int,
    task_texts: Sequence[str],
    transfer_texts: Sequence[str],
    teacher: TextModel,
    *,
    precision: torch.dtype,
) -> Prepared:
    """Choose a compact student's vocabulary and sizes, and read its initial embeddings off the teacher.

    Args:
        max_params: never exceeded, everything included.
        task_texts: the labelled train texts.
        transfer_texts: all texts that teachers label, the labelled ones among them.
        teacher: a fine-tuned Hugging Face classifier.

    Raises:
        ModelError: the budget is too small for the number of classes.
    """
    task, transfer = vocabulary.count_words(task_texts), vocabulary.count_words(transfer_texts)
    words, shape = sized(max_params, len(teacher.label_names), task, transfer)
    counts = [1, 1, *(transfer[entry] or 1 for entry in words.entries)]
    # The first two ids are padding and unknown: to the teacher they are its own pad and unknown words.
    entries = ("[PAD]", "[UNK]", *words.entries)
    initial = embeddings.from_teacher(teacher, entries, counts, shape.width, precision=precision)
    return Prepared(words, shape, initial)


def sized(
    max_params: int, classes: int, task: Counter[str], transfer: Counter[str]
) -> tuple[Words, CompactShape]:
    """The vocabulary of a compact student, and sizes that spend the budget on it; as many rows as entries.

    Args:
        max_params: never exceeded, everything included.
        classes: outputs.
        task: words of the labelled texts, with their counts.
        transfer: words of all texts that teachers label.

    Raises:
        ModelError: the budget is too small for the number of classes.
    """
    ranked = vocabulary.rank(task, transfer)
    # Pieces are worth having beside every word, hence more entries than words; how many there are is known once
    # they are chosen, and then the sizes are fitted to them. That may cost the last, rarest entries.
    wanted = shape_for(max_params, len(ranked) + vocabulary.MOST_PIECES + 2, classes)
    words = vocabulary.choose(ranked, transfer, wanted.vocabulary)
    shape = shape_for(max_params, words.vocab_size, classes)
    return Words(words.entries[: shape.vocabulary - 2]), shape


def compact(prepared: Prepared, label_names: Sequence[str], max_length: int, seed: int) -> TextModel:
    """A fresh compact student; the same seed gives the same initial weights."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = CompactNetwork(prepared.shape)
    tables.load(network.tables, torch.from_numpy(prepared.initial))
    return TextModel(
        network, prepared.words, tuple(label_names), max_length, "compact", prepared.shape.describe()
    )


def save_prepared(prepared: Prepared, folder: Path) -> None:
    """Write what the students of a rung share into an existing folder."""
    prepared.words.save(folder)
    store.save_array(folder / "initial.npy", prepared.initial)
    shape = prepared.shape
    about = {"tiers": shape.tiers, "width": shape.width, "hidden": shape.hidden, "classes": shape.classes}
    store.write_json(folder / "shape.json", about)


def load_prepared(folder: Path) -> Prepared | None:
    """Read it back; None where it is damaged."""
    initial = store.load_array(folder / "initial.npy")
    if initial is None:
        return None
    about = store.read_json(folder / "shape.json")
    tiers = tuple((rows, columns) for rows, columns in about["tiers"])
    shape = CompactShape(tiers, about["width"], about["hidden"], about["classes"])
    return Prepared(Words.load(folder), shape, initial)
