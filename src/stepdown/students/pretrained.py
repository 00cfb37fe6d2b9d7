"""A compact student that has read text before it learns a task: how it reads, how it is kept, and how a rung begins.

What it keeps is what it has below its pooling: the words, their tables, and the core. Words are hidden behind a row of
its own that no text has, and that is dropped with the head.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stepdown.errors import ModelError
from stepdown.recipe.settings import PRETRAINED
from stepdown.students import building, families, huggingface, tables
from stepdown.students.compact import CompactNetwork, CompactShape
from stepdown.students.cores import CORES
from stepdown.students.masked_lm import MaskedLanguageModel
from stepdown.students.model import TextModel
from stepdown.tasks import TaskKind
from stepdown.tokens.words import Words

_WEIGHTS = "model.safetensors"
# What a student has of it, by the names that it has there.
_PARTS = (f"{tables.TABLES}.", "core.")
_EPS = 1e-12  # BERT's


class MaskedCompact(MaskedLanguageModel):
    """A compact student's tables and core under the head that names hidden words.

    The id behind those of the vocabulary stands for a hidden word. A recurrent core reads each word itself, too, so
    that only what is hidden is predicted, as in BERT.
    """

    def __init__(self, shape: CompactShape, dropout: float) -> None:
        """Make it.

        Args:
            shape: of the student; its classes do not matter.
            dropout: of its embeddings and its states.
        """
        kind = CORES[shape.core]
        super().__init__(kind.states_per_hidden * shape.hidden, shape.vocabulary, _EPS)
        self.shape = shape
        self.tables = tables.new(shape.tiers)
        self.core = kind.build(shape.width, shape.hidden)
        self.mask = nn.Parameter(torch.randn(1, shape.width) * 0.1)
        self.dropout = nn.Dropout(dropout)

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What the core makes of each word, [batch, length, size]."""
        table = torch.cat([tables.joined(self.tables, self.shape.width), self.mask])
        states: Tensor = self.dropout(self.core(self.dropout(F.embedding(ids, table)), lengths))
        return states

    def describe(self) -> str:
        """What the student is, in a few words for people."""
        return self.shape.describe()

    def kept(self) -> dict[str, Tensor]:
        """Parameters of tables and core, by the names that a compact student has for them."""
        return {name: value for name, value in self.named_parameters() if name.startswith(_PARTS)}


def build(shape: CompactShape, *, dropout: float, seed: int) -> MaskedCompact:
    """A fresh compact student under a fresh head; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return MaskedCompact(shape, dropout)


def save(model: MaskedCompact, words: Words, folder: Path) -> None:
    """Write what a rung begins with into an existing folder."""
    about = {"kind": "compact", **families.to_dict(model.shape)}
    for of_a_task in ("classes", "is_pair"):
        del about[of_a_task]
    described = json.dumps(about, indent=2) + "\n"
    (folder / PRETRAINED).write_text(described, encoding="utf-8")
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in model.kept().items()}, folder / _WEIGHTS
    )
    words.save(folder)


@dataclass(frozen=True)
class Pretrained:
    """What a rung begins with.

    Attributes:
        words: the vocabulary.
        shape: sizes; the classes are a task's own.
        weights: of tables and core.
        name: for people.
    """

    words: Words
    shape: CompactShape
    weights: dict[str, Tensor]
    name: str

    def student(
        self,
        label_names: tuple[str, ...],
        max_length: int,
        seed: int = 0,
        task: TaskKind = "single-label",
    ) -> TextModel:
        """A student that begins so; its pooling and its output are fresh, the same ones for a seed."""
        shape = replace(self.shape, classes=len(label_names))
        model = building.untaught(self.words, shape, label_names, max_length, seed, task)
        model.network.load_state_dict(self.weights, strict=False)
        return model

    def notes(self) -> tuple[str, ...]:
        """What it lacks of a student, in plain lines."""
        missing = CompactNetwork(self.shape).state_dict().keys() - self.weights.keys()
        return huggingface.told_weights(self.name, set(), missing)


def load(folder: Path, *, is_pair: bool = False) -> Pretrained:
    """Read what `save` wrote.

    Args:
        folder: of it.
        is_pair: whether the student is to read pairs of texts, which it cannot.

    Raises:
        ModelError: it is damaged, or pairs are asked for.
    """
    if is_pair:
        raise ModelError(
            f"The student in {folder} was pretrained on single texts, and these data are pairs: the core of a compact "
            "student of pairs reads each word beside what the other text has for it, so it is another one. Build it "
            'anew: model = "compact" with max_params.'
        )
    try:
        about = json.loads((folder / PRETRAINED).read_text(encoding="utf-8"))
        shape = families.from_dict("compact", {**about, "classes": 1})
        assert isinstance(shape, CompactShape)
        words, weights = Words.load(folder), load_file(folder / _WEIGHTS)
        expected = {
            name: value.shape
            for name, value in CompactNetwork(shape).state_dict().items()
            if name.startswith(_PARTS)
        }
        if {name: value.shape for name, value in weights.items()} != expected:
            raise ValueError(f"{_WEIGHTS} has other weights")
        if words.vocab_size != shape.vocabulary or words.pairs:
            raise ValueError("the vocabulary has another size")
    except Exception as error:  # damage shows in many ways
        raise ModelError(
            f"The pretrained student in {folder} is damaged ({type(error).__name__}): {PRETRAINED}, {_WEIGHTS} and "
            "words.json do not fit. Remove the folder, and pretrain it again."
        ) from error
    return Pretrained(words, shape, weights, folder.name)
