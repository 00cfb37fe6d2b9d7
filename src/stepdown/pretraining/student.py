"""The students that can be pretrained: what each reads by, is built from, and leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from stepdown import assets, store, tokens
from stepdown.errors import ModelError
from stepdown.pretraining.masking import mask_id
from stepdown.pretraining.sequences import Reader
from stepdown.recipe.pretraining import BertHashSizes, ModelSpec
from stepdown.students import (
    budgets,
    building,
    embeddings,
    huggingface,
    masked_lm,
    pretrained,
    tables,
    vocabulary,
)
from stepdown.students.compact import CompactShape
from stepdown.students.masked_lm import MaskedBertHash, MaskedLanguageModel
from stepdown.students.model import fast_precision
from stepdown.students.pretrained import MaskedCompact
from stepdown.tokens import BertWordPiece, Words
from stepdown.tokens.words import LONGEST_ENTRY

# Most pieces of a word that an encoder reads: one for each character, and two around them.
_LONGEST_WORD = LONGEST_ENTRY + 2
# The budget of a compact student is for one of two labels.
_LABELS = ("", "")


class Student(Protocol):
    """A student as pretraining sees it."""

    @property
    def tokenizer(self) -> Reader:
        """By which it reads."""

    @property
    def sizes(self) -> BertHashSizes | CompactShape:
        """Of the network."""

    @property
    def digest(self) -> str:
        """Of its vocabulary, and of what lends it embeddings."""

    def build(self, *, dropout: float, seed: int) -> MaskedLanguageModel:
        """A fresh network under a fresh head; the same seed gives the same weights."""

    def begin(self, network: MaskedLanguageModel) -> None:
        """What is done once to a fresh network, on the device where it is, before its first update."""

    def save(self, network: MaskedLanguageModel, max_length: int, folder: Path) -> None:
        """Write what a rung begins with into an existing folder."""


@dataclass(frozen=True, eq=False)
class BertHash:
    """A `bert_hash` over somebody's word pieces."""

    sizes: BertHashSizes
    tokenizer: BertWordPiece

    @property
    def digest(self) -> str:
        """Of its vocabulary."""
        return store.digest(*self.tokenizer.vocabulary, repr(self.tokenizer.reading))

    def build(self, *, dropout: float, seed: int) -> MaskedLanguageModel:
        """A fresh network under a fresh head."""
        return masked_lm.build(self.sizes, self.tokenizer, dropout=dropout, seed=seed)

    def begin(self, network: MaskedLanguageModel) -> None:
        """Nothing: its weights are drawn."""

    def save(self, network: MaskedLanguageModel, max_length: int, folder: Path) -> None:
        """Write it in Hugging Face's layout."""
        assert isinstance(network, MaskedBertHash)
        masked_lm.save(network, self.tokenizer, max_length, folder)


@dataclass(frozen=True, eq=False)
class Compact:
    """A compact student over the words of its own text.

    Attributes:
        sizes: that spend the budget, with a head for two labels.
        tokenizer: its words.
        counts: how often the text has each.
        lender: folder of the encoder whose words lend their vectors; None where embeddings begin at random.
    """

    sizes: CompactShape
    tokenizer: Words
    counts: Counter[str]
    lender: Path | None

    @property
    def digest(self) -> str:
        """Of its vocabulary, and of what lends it embeddings."""
        return store.digest(*self.tokenizer.entries, str(self.lender))

    def build(self, *, dropout: float, seed: int) -> MaskedLanguageModel:
        """A fresh network under a fresh head."""
        return pretrained.build(self.sizes, dropout=dropout, seed=seed)

    def begin(self, network: MaskedLanguageModel) -> None:
        """Fill the tables from the lender, if there is one."""
        if self.lender is None:
            return
        assert isinstance(network, MaskedCompact)
        device = network.mask.device
        encoder = huggingface.load(self.lender, max_length=_LONGEST_WORD).model
        encoder.network.to(device)
        lend = partial(embeddings.from_encoder, encoder, precision=fast_precision(device))
        initial = building.lent(self.tokenizer, self.counts, self.sizes.width, lend)
        tables.load(network.tables, torch.from_numpy(initial))

    def save(self, network: MaskedLanguageModel, max_length: int, folder: Path) -> None:
        """Write tables, core and words; how long a text may be, a rung says."""
        assert isinstance(network, MaskedCompact)
        pretrained.save(network, self.tokenizer, folder)


def student_for(
    spec: ModelSpec, progress: Callable[[str, int, int], None]
) -> Callable[[Iterable[str]], Student]:
    """The student that a recipe asks for; what others lend it is fetched at once, and the rest made of its text.

    Args:
        spec: as it was resolved.
        progress: called with (name, bytes done, bytes in all) while a built-in is downloaded.

    Returns:
        Of the texts that it will learn from, the student. Raises ModelError where the budget is too small.

    Raises:
        ModelError: what the recipe names is no such thing.
        HubError, StoreError: it cannot be fetched.
    """
    if spec.student == "compact":
        lender = None
        if spec.embeddings is not None:
            lender = assets.model(spec.embeddings, progress=partial(progress, spec.embeddings))
        return partial(_compact, spec, lender)
    assert spec.vocabulary is not None, "resolved recipes have one"
    folder = assets.tokenizer(spec.vocabulary, progress=partial(progress, spec.vocabulary))
    found = BertHash(spec.sizes, _tokenizer(spec.vocabulary, folder))
    return lambda texts: found


def _compact(spec: ModelSpec, lender: Path | None, texts: Iterable[str]) -> Compact:
    counts = vocabulary.count_words(texts)
    wanted = budgets.Wanted("compact", spec.core, spec.max_params)
    words, shape = budgets.sized(wanted, _LABELS, counts, counts)
    assert isinstance(shape, CompactShape)
    return Compact(shape, words, counts, lender)


def _tokenizer(name: str, folder: Path) -> BertWordPiece:
    found = tokens.from_huggingface(folder)
    if not isinstance(found, BertWordPiece):
        raise ModelError(
            f"{name} reads text with a tokenizer of its own ({found.kind}), and a bert_hash reads BERT's word pieces. "
            "Expected the vocabulary of a BERT model, such as demo:minilm-l6 or google-bert/bert-base-uncased."
        )
    mask_id(found)
    return found
