"""Encoders under a head that names hidden words: what pretraining trains.

The head is BERT's (Devlin et al. 2019): a dense layer, GELU, layer normalisation and an output for each piece. BERT
shares the output's matrix with the word embeddings. Those of a `bert_hash` are a table of few columns behind a linear
map, so that sharing would leave logits of that rank (5 for femto), and those of a compact student are of 32 columns
and fewer. The output has a matrix of its own instead, which is dropped with the head.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.recipe.pretraining import POSITIONS, BertHashSizes
from stepdown.students import huggingface, transformer
from stepdown.students.bert_hash import BertHashConfig, BertHashModel
from stepdown.students.model import inside
from stepdown.tokens import BertWordPiece

# Standard deviation of BERT's initial weights.
_SCALE = 0.02


class MaskedLanguageModel(nn.Module):
    """An encoder and the head that names hidden pieces.

    `forward(ids [batch, length] int64, lengths [batch] int64, masked [batch, length] bool)` gives logits
    [masked pieces, vocabulary], in the order of the ids.
    """

    def __init__(self, size: int, vocabulary: int, eps: float) -> None:
        """Make the head.

        Args:
            size: columns of the encoder's states.
            vocabulary: outputs.
            eps: of the layer normalisation.
        """
        super().__init__()
        self.dense = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size, eps=eps)
        self.output = nn.Linear(size, vocabulary)
        for layer in (self.dense, self.output):
            nn.init.normal_(layer.weight, std=_SCALE)
            nn.init.zeros_(layer.bias)

    def forward(self, ids: Tensor, lengths: Tensor, masked: Tensor) -> Tensor:
        """Logits [masked pieces, vocabulary]."""
        states = self.states(ids, lengths)[masked]
        logits: Tensor = self.output(self.norm(F.gelu(self.dense(states))))
        return logits

    @abstractmethod
    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What the encoder makes of each piece, [batch, length, size]."""

    @abstractmethod
    def describe(self) -> str:
        """What the student is, in a few words for people."""

    @abstractmethod
    def kept(self) -> dict[str, Tensor]:
        """Parameters of the encoder by name, without the head and whatever else is dropped with it."""

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return sum(value.numel() for value in self.kept().values())


class MaskedBertHash(MaskedLanguageModel):
    """A `bert_hash` under that head."""

    def __init__(self, encoder: BertHashModel) -> None:
        config = encoder.config
        super().__init__(config.hidden_size, config.vocab_size, config.layer_norm_eps)
        self.encoder = encoder

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What the encoder makes of each piece, [batch, length, size]."""
        own = inside(lengths, ids.shape[1]).long()
        states: Tensor = self.encoder(input_ids=ids, attention_mask=own).last_hidden_state
        return states

    def describe(self) -> str:
        """What the student is, in a few words for people."""
        return f"{transformer.describe(self.encoder)}, {self.encoder.config.projections} columns"

    def kept(self) -> dict[str, Tensor]:
        """Parameters of the encoder by name."""
        return dict(self.encoder.named_parameters())


def build(sizes: BertHashSizes, tokenizer: BertWordPiece, *, dropout: float, seed: int) -> MaskedBertHash:
    """A fresh `bert_hash` under a fresh head; the same seed gives the same weights.

    Args:
        sizes: of the encoder.
        tokenizer: whose pieces it reads.
        dropout: of its states and its attention while it is pretrained.
        seed: of its weights.
    """
    config = BertHashConfig(
        vocab_size=tokenizer.vocab_size,
        pad_token_id=tokenizer.pad_id,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=4 * sizes.hidden,
        max_position_embeddings=POSITIONS,
        projections=sizes.projections,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return MaskedBertHash(BertHashModel(config))


def save(model: MaskedBertHash, tokenizer: BertWordPiece, max_length: int, folder: Path) -> None:
    """Write the encoder into an existing folder as published ones are: safetensors, without pooler and head.

    Its dropout is BERT's again, whatever it was pretrained with: fine-tuning is another matter.
    """
    encoder, stock = copy.deepcopy(model.encoder), BertHashConfig()
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(encoder.config, name, getattr(stock, name))
    huggingface.write(encoder, tokenizer, max_length, folder)
