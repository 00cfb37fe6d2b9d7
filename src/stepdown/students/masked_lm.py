"""A `bert_hash` encoder under a head that names masked word pieces: what pretraining trains.

The head is BERT's (Devlin et al. 2019): a dense layer, GELU, layer normalisation and an output for each piece. BERT
shares the output's matrix with the word embeddings; here they are a table of few columns behind a linear map, so that
sharing would leave logits of that rank (5 for femto). The output has a matrix of its own instead, which is dropped
with the head.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.recipe.pretraining import POSITIONS, BertHashSizes
from stepdown.students import huggingface
from stepdown.students.bert_hash import BertHashConfig, BertHashModel
from stepdown.students.model import inside
from stepdown.tokens import BertWordPiece

# Standard deviation of BERT's initial weights.
_SCALE = 0.02


class MaskedLanguageModel(nn.Module):
    """An encoder and the head that names masked pieces.

    `forward(ids [batch, length] int64, lengths [batch] int64, masked [batch, length] bool)` gives logits
    [masked pieces, vocabulary], in the order of the ids.
    """

    def __init__(self, encoder: BertHashModel) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        for layer in (self.dense, self.output):
            nn.init.normal_(layer.weight, std=_SCALE)
            nn.init.zeros_(layer.bias)

    def forward(self, ids: Tensor, lengths: Tensor, masked: Tensor) -> Tensor:
        """Logits [masked pieces, vocabulary]."""
        own = inside(lengths, ids.shape[1]).long()
        states = self.encoder(input_ids=ids, attention_mask=own).last_hidden_state[masked]
        logits: Tensor = self.output(self.norm(F.gelu(self.dense(states))))
        return logits


def build(
    sizes: BertHashSizes, tokenizer: BertWordPiece, *, dropout: float, seed: int
) -> MaskedLanguageModel:
    """A fresh student under a fresh head; the same seed gives the same weights.

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
        return MaskedLanguageModel(BertHashModel(config))


def describe(model: MaskedLanguageModel) -> str:
    """What the student is, in a few words for people."""
    return f"{huggingface.describe(model.encoder)}, {model.encoder.config.projections} columns"


def parameters(model: MaskedLanguageModel) -> int:
    """Parameters of the encoder, without pooler and head."""
    return sum(parameter.numel() for parameter in model.encoder.parameters())


def save(model: MaskedLanguageModel, tokenizer: BertWordPiece, max_length: int, folder: Path) -> None:
    """Write the encoder into an existing folder as published ones are: safetensors, without pooler and head.

    Its dropout is BERT's again, whatever it was pretrained with: fine-tuning is another matter.
    """
    encoder, stock = copy.deepcopy(model.encoder), BertHashConfig()
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(encoder.config, name, getattr(stock, name))
    huggingface.write(encoder, tokenizer, max_length, folder)
