"""`bert_hash`: BERT whose word embeddings are a narrow table and a linear map, natively, so that no hub code runs.

NeuML's architecture (published as bert-hash-femto, -pico and -nano): a token's id indexes a table of `projections`
columns, which a linear map with bias takes to the hidden size; everything else is stock BERT. Importing this module
makes the architecture known to transformers under its published `model_type`, before the `auto_map` of a checkpoint,
which we do not execute, has a say: a registered class that is not transformers' own comes before the code that
`auto_map` names, whatever `trust_remote_code` says.
"""

from __future__ import annotations

from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
)
from transformers.utils.hub import cached_file


class BertHashConfig(BertConfig):  # type: ignore[no-untyped-call]  # transformers types little
    """BERT's settings, and the columns of the narrow table.

    Attributes:
        projections: columns.
    """

    model_type = "bert_hash"
    projections: int = 5


class HashEmbeddings(nn.Module):
    """A narrow table and a linear map in the place of a wide table."""

    def __init__(self, vocabulary: int, projections: int, hidden: int, pad_id: int | None) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocabulary, projections, padding_idx=pad_id)
        self.projections = nn.Linear(projections, hidden)

    @property
    def weight(self) -> Tensor:
        """The wide table that this stands for, shape [vocabulary, hidden]."""
        table: Tensor = self.projections(self.embeddings.weight)
        return table

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [batch, length, hidden] of ids [batch, length]."""
        embedded: Tensor = self.projections(self.embeddings(ids))
        return embedded


# What tells transformers which copy of a checkpoint is meant.
_PLACE = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


class _Published:
    """Reads checkpoints whatever they call the linear map: mixed into models of transformers, before their own."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **settings: Any) -> Any:
        """As transformers' own, with the same arguments and results."""
        told = settings.pop("output_loading_info", False)
        place = {key: settings[key] for key in _PLACE if key in settings}
        read: Any = super().from_pretrained  # type: ignore[misc]  # of the model that this is mixed into
        found, info = read(pretrained_model_name_or_path, *args, output_loading_info=True, **settings)
        _adopt(
            found, str(pretrained_model_name_or_path), place, info["missing_keys"], info["unexpected_keys"]
        )
        return (found, info) if told else found


class BertHashModel(_Published, BertModel):
    """BERT's encoder over hash embeddings, without a pooler, as it is published."""

    config_class = BertHashConfig

    def __init__(self, config: BertHashConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        _narrow(self.embeddings, config)
        self.post_init()  # type: ignore[no-untyped-call]  # transformers types little


class BertHashForSequenceClassification(_Published, BertForSequenceClassification):
    """BERT's sequence classifier over hash embeddings."""

    config_class = BertHashConfig

    def __init__(self, config: BertHashConfig) -> None:
        super().__init__(config)
        _narrow(self.bert.embeddings, config)
        self.post_init()  # type: ignore[no-untyped-call]  # as above


def _narrow(embeddings: Any, config: BertHashConfig) -> None:
    """Put hash embeddings in the place of the wide table."""
    embeddings.word_embeddings = HashEmbeddings(
        config.vocab_size, config.projections, config.hidden_size, config.pad_token_id
    )


AutoConfig.register(BertHashConfig.model_type, BertHashConfig)
AutoModel.register(BertHashConfig, BertHashModel)
AutoModelForSequenceClassification.register(BertHashConfig, BertHashForSequenceClassification)
AutoTokenizer.register(BertHashConfig, BertTokenizer)  # type: ignore[no-untyped-call]  # as above


def _adopt(model: Any, source: str, place: dict[str, Any], missing: set[str], unexpected: set[str]) -> None:
    """Find the linear map in a checkpoint that calls it otherwise than we do, by its shape.

    The name of its weights is not on record; below the word embeddings only one matrix is as wide as it.

    Args:
        model: just loaded from `source`; its linear map is filled in.
        source: a folder or a hub id, with the weights as safetensors.
        place: which copy of it, in transformers' words.
        missing: parameters that the checkpoint lacks; those that were found are taken out.
        unexpected: tensors that the model has no place for; those that were used are taken out.
    """
    stem = "embeddings.word_embeddings."
    ours = {name: p for name, p in model.named_parameters() if name in missing and stem in name}
    theirs = sorted(name for name in unexpected if stem in name)
    if not ours or not theirs:
        return
    try:
        path = cached_file(source, "model.safetensors", **place)
    except OSError:  # weights of another format, of which nobody publishes any
        return
    with safe_open(path, framework="pt") as file:
        for name, parameter in ours.items():
            for other in theirs:
                value = file.get_tensor(other)
                if value.shape == parameter.shape and other in unexpected:
                    with torch.no_grad():
                        parameter.copy_(value)
                    missing.remove(name)
                    unexpected.remove(other)
                    break
