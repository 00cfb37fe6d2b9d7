"""Token types: what tells a transformer of BERT's kind which of a pair's two texts a token belongs to.

Networks here take ids and lengths alone, so types are made from the ids: 0 up to the first separator, that one
included, and 1 from there to the end of the pair (Devlin et al. 2019, "BERT", section 3). Whether a model has types,
and whether these are the ones that it learnt from, is asked of its own tokenizer when it is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stepdown.errors import ModelError
from stepdown.students.model import inside
from stepdown.tasks import joined
from stepdown.tokens import Tokenizer

# Pairs of unequal lengths, either way round: what fits both is no accident.
_SAMPLES = (("the first text", "and the second"), ("one", "two of several words"))


def token_types(ids: Tensor, lengths: Tensor, separator: int) -> Tensor:
    """1 for what comes after the first separator and is no padding, else 0: int64 [batch, length].

    Args:
        ids: int64 [batch, length].
        lengths: int64 [batch].
        separator: its id.
    """
    separators = (ids == separator).long()
    before = separators.cumsum(1) - separators
    return ((before > 0) & inside(lengths, ids.shape[1])).long()


def separator_of(folder: Path, classifier: Any, tokenizer: Tokenizer) -> int | None:
    """The id after which the second text of a pair begins, None for a model without token types.

    Args:
        folder: of the model, in Hugging Face layout.
        classifier: loaded from it.
        tokenizer: as we read it from there.

    Raises:
        ModelError: the model's types cannot be made from its ids.
    """
    takes_types = "token_type_ids" in inspect.signature(classifier.forward).parameters
    if not takes_types or getattr(classifier.config, "type_vocab_size", 2) < 2:
        return None
    from transformers import AutoTokenizer

    try:
        theirs: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        read = [theirs(*pair) for pair in _SAMPLES]
    except Exception as error:  # whatever is wrong with the files
        raise ModelError(
            f"The tokenizer in {folder} could not be asked how it reads a pair of texts ({type(error).__name__}). "
            "Take tokenizer.json and tokenizer_config.json from where the model is from."
        ) from error
    if not all(any(pair.get("token_type_ids") or ()) for pair in read):
        return None
    ours = tokenizer.encode([joined(*pair) for pair in _SAMPLES], 512)
    ids = [ours.ids[start:end].tolist() for start, end in zip(ours.offsets, ours.offsets[1:], strict=False)]
    found = {_separator(pair["input_ids"], pair["token_type_ids"]) for pair in read}
    (separator,) = found if len(found) == 1 else (None,)
    if separator is None or ids != [pair["input_ids"] for pair in read]:
        raise ModelError(
            f"The model in {folder} cannot read pairs of texts here: its token types do not follow from its ids, as "
            "those of BERT do (0 up to the first separator, 1 after it). Choose a model of the families of BERT or "
            "RoBERTa for a task over pairs."
        )
    return separator


def _separator(ids: Sequence[int], types: Sequence[int]) -> int | None:
    """The separator from which `token_types` makes these types of these ids; None where there is none."""
    start = list(types).index(1) if 1 in types else 0
    if start == 0:
        return None
    separator = ids[start - 1]
    made = token_types(torch.tensor([ids]), torch.tensor([len(ids)]), separator)
    return separator if made[0].tolist() == list(types) else None
