"""Fits a vocabulary and sizes to a budget, in parameters or in bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.errors import ModelError
from stepdown.recipe.settings import DEFAULT_CORE, Core, Family
from stepdown.students import bag, compact, vocabulary
from stepdown.students.families import Shape
from stepdown.tokens.words import Words, reserved_ids

_BYTES_PER_PARAMETER = 4
# What the description of the network takes beside its weights: of an ONNX graph and of a saved model, whichever is
# larger. The largest graph, that of a gated convolution, takes 2,700 bytes.
_DESCRIPTION = 4_000
_DESCRIPTION_OF_PAIRS = 5_500  # a graph that takes pairs apart and compares their texts has 1,300 bytes more
# Of a budget in bytes so much may stay unspent: the words are chosen anew for every other size, which takes time.
_UNSPENT = 0.01
_MOST_TRIES = 6


@dataclass(frozen=True)
class Wanted:
    """What is asked of a student that is built to a budget; one of the two budgets is None.

    Attributes:
        family: `compact` or `bag`.
        core: of a compact student; None takes the default, and a bag has none.
        max_params: most parameters, everything included.
        max_bytes: most bytes of weights, as float32, with their description, and tokenizer together.
        is_pair: whether it reads pairs of texts.
        hidden: size of a compact student's core; None for one that suits the budget.
    """

    family: Family
    core: Core | None = None
    max_params: int | None = None
    max_bytes: int | None = None
    is_pair: bool = False
    hidden: int | None = None


def sized(
    wanted: Wanted, label_names: Sequence[str], task: Counter[str], transfer: Counter[str]
) -> tuple[Words, Shape]:
    """The vocabulary of a student, and sizes that spend the budget on it; as many rows as entries.

    Args:
        wanted: with the budget, never exceeded.
        label_names: of the outputs.
        task: words of the labelled texts, with their counts.
        transfer: words of all texts that teachers label.

    Raises:
        ModelError: the budget is too small for the number of classes.
    """
    ranked = vocabulary.rank(task, transfer)
    if wanted.max_params is not None:
        return _within(wanted, wanted.max_params, len(label_names), ranked, transfer)
    assert wanted.max_bytes is not None
    try:
        return _within_bytes(wanted, wanted.max_bytes, label_names, ranked, transfer)
    except ModelError:  # of a number of parameters, which nobody asked for
        raise ModelError(
            f"A {wanted.family} student of at most {wanted.max_bytes:,} bytes cannot be built for {len(label_names)} "
            "classes: its smallest network and a vocabulary take more. Raise max_bytes."
        ) from None


def bytes_of(words: Words, shape: Shape, label_names: Sequence[str]) -> int:
    """Bound on the bytes of a saved or packed student: weights as float32, their description, and tokenizer."""
    described = _description(label_names, shape.is_pair)
    return shape.parameters * _BYTES_PER_PARAMETER + len(words.dump()) + described


def _description(label_names: Sequence[str], is_pair: bool) -> int:
    graph = _DESCRIPTION_OF_PAIRS if is_pair else _DESCRIPTION
    return graph + sum(len(json.dumps(name, ensure_ascii=False).encode()) + 6 for name in label_names)


def _within(
    wanted: Wanted, max_params: int, classes: int, ranked: Sequence[str], counts: Counter[str]
) -> tuple[Words, Shape]:
    # Pieces are worth having beside every word, hence more entries than words; how many there are is known once
    # they are chosen, and then the sizes are fitted to them. That may cost the last, rarest entries.
    reserved = reserved_ids(wanted.is_pair)
    first = _shape(wanted, max_params, len(ranked) + vocabulary.MOST_PIECES + reserved, classes, counts)
    words = vocabulary.choose(ranked, counts, first.vocabulary, pairs=wanted.is_pair)
    shape = _shape(wanted, max_params, words.vocab_size, classes, counts)
    return Words(words.entries[: shape.vocabulary - reserved], pairs=wanted.is_pair), shape


def _shape(wanted: Wanted, max_params: int, entries: int, classes: int, counts: Counter[str]) -> Shape:
    if wanted.family == "bag":
        # Each running word begins one pair at most.
        return bag.shape_for(max_params, entries, classes, counts.total(), wanted.is_pair)
    core = wanted.core or DEFAULT_CORE
    return compact.shape_for(max_params, entries, classes, core, wanted.is_pair, wanted.hidden)


def _within_bytes(
    wanted: Wanted, max_bytes: int, label_names: Sequence[str], ranked: Sequence[str], counts: Counter[str]
) -> tuple[Words, Shape]:
    """Parameters and words share the bytes, and how many words there are hangs on the parameters: tried in turn."""
    max_params = _first_try(wanted, max_bytes, label_names, ranked, counts)
    best: tuple[Words, Shape] | None = None
    fits, exceeds, tries = 0, max_bytes, 0
    while best is None or (fits < max_params and tries < _MOST_TRIES):
        tries += 1
        found = _within(wanted, max_params, len(label_names), ranked, counts)
        spare = max_bytes - bytes_of(*found, label_names)
        if spare < 0:
            # A smaller student has fewer words too: this ends with one that fits, or that cannot be built.
            exceeds = min(exceeds, max_params)
            max_params = max(1, max_params + spare // _BYTES_PER_PARAMETER - 1)
        else:
            best, fits = found, max_params
            if spare <= max_bytes * _UNSPENT:
                break
            # More words will come with more parameters, and take a share of what is spare.
            max_params += spare // _BYTES_PER_PARAMETER * 2 // 3
        if best is not None and not fits < max_params < exceeds:
            max_params = (fits + exceeds) // 2
    return best


def _first_try(
    wanted: Wanted, max_bytes: int, label_names: Sequence[str], ranked: Sequence[str], counts: Counter[str]
) -> int:
    """Parameters that just fit if the vocabulary were the first words of the rank, without pieces."""
    lengths = np.array([len(word.encode()) + 3 for word in ranked], np.int64)  # quotes and comma
    cumulated = np.concatenate([[0], np.cumsum(lengths)])
    room = max_bytes - _description(label_names, wanted.is_pair)
    reserved = reserved_ids(wanted.is_pair)
    low, high = 0, max(0, room // _BYTES_PER_PARAMETER)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            shape = _shape(wanted, middle, len(ranked) + reserved, len(label_names), counts)
        except ModelError:
            low = middle
            continue
        entries = int(cumulated[min(shape.vocabulary - reserved, len(ranked))])
        if entries + shape.parameters * _BYTES_PER_PARAMETER > room:
            high = middle
        else:
            low = middle
    return high
