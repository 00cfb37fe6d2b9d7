"""Small models and data under the names, and in the layouts, that repositories of the Hugging Face hub have."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from tests.conftest import BAD, FILLER, GOOD, corpus, make_bert_hash
from tests.hub_server import Files

TEACHER = "assemblyai/bert-large-uncased-sst2"
MINI, TINY = "google/bert_uncased_L-4_H-256_A-4", "google/bert_uncased_L-2_H-128_A-2"
FEMTO = "NeuML/bert-hash-femto"  # as its owner writes it; recipes have small letters
GLUE, IMDB = "nyu-mll/glue", "stanfordnlp/imdb"

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLER]

# Should it ever be run, the process ends; should it ever be fetched, the hub's list of requests shows it.
ALARM = b"import os\nos._exit(99)\n"


def _bert(layers: int, hidden: int, **settings: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        **settings,
    )


def _described(config: Any, **changed: Any) -> bytes:
    known = {key: value for key, value in config.to_dict().items() if key != "transformers_version"}
    return json.dumps({**known, **changed}).encode()


def _pickled(weights: Mapping[str, torch.Tensor]) -> bytes:
    file = io.BytesIO()
    torch.save(dict(weights), file)
    return file.getvalue()


def _vocabulary() -> bytes:
    return ("\n".join(VOCABULARY) + "\n").encode()


def teacher() -> Files:
    """A BERT that was fine-tuned, here on the toy corpus, and does not say what its labels are called."""
    from transformers import BertForSequenceClassification

    torch.manual_seed(0)
    config = _bert(2, 32)
    model = BertForSequenceClassification(config)
    _learn(model)
    settings = {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}
    return {
        "config.json": _described(config, architectures=["BertForSequenceClassification"]),
        "pytorch_model.bin": _pickled(model.state_dict()),
        "vocab.txt": _vocabulary(),
        "tokenizer_config.json": json.dumps(settings).encode(),
        "special_tokens_map.json": b'{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]"}',
        "README.md": b"# BERT-Large-Uncased for Sentiment Analysis\n",
    }


def _learn(model: Any) -> None:
    """Teach a small classifier the toy corpus, in seconds."""
    texts, labels = corpus(512, seed=7)
    order = {word: number for number, word in enumerate(VOCABULARY)}
    width = max(len(text.split()) for text in texts) + 2
    ids = torch.zeros(len(texts), width, dtype=torch.long)
    for row, text in enumerate(texts):
        words = [order["[CLS]"], *(order[word] for word in text.split()), order["[SEP]"]]
        ids[row, : len(words)] = torch.tensor(words)
    gold = torch.tensor([int(label == "positive") for label in labels])
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(4):
        for part in torch.randperm(len(texts)).split(32):
            loss = model(ids[part], attention_mask=(ids[part] != 0).long(), labels=gold[part]).loss
            loss.backward()
            steps.step()
            steps.zero_grad()
    model.eval()


def pretrained(layers: int, hidden: int, *, old_names: bool = False) -> Files:
    """A BERT as Google's small ones are: with its pretraining heads, and no more of a tokenizer than its words.

    Args:
        layers, hidden: its size.
        old_names: the scale and shift of layer normalisation are called gamma and beta, as TensorFlow has them.
    """
    from transformers import BertForPreTraining

    torch.manual_seed(layers)
    config = _bert(layers, hidden)
    # Away from the ones and zeros that layer normalisation starts from, which would hide that it was not read.
    weights = {
        key: value + 0.1 * torch.randn(value.shape)
        for key, value in BertForPreTraining(config).state_dict().items()
    }
    if old_names:
        weights = {
            key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): value
            for key, value in weights.items()
        }
    weights["bert.embeddings.position_ids"] = torch.arange(64)[None]  # as checkpoints of its time have it
    plain = json.loads(_described(config))
    for key in ("architectures", "model_type", "tokenizer_class"):
        plain.pop(key, None)
    return {
        "config.json": json.dumps({**plain, "model_type": "bert"}).encode(),
        "pytorch_model.bin": _pickled(weights),
        "vocab.txt": _vocabulary(),
        "README.md": b"---\nlicense: apache-2.0\n---\nBERT Miniatures\n",
    }


def bert_hash(folder: Path) -> Files:
    """A `bert_hash` encoder with code beside it that its config.json names."""
    made, _ = make_bert_hash(folder / "bert-hash")
    about = json.loads((made / "config.json").read_text(encoding="utf-8"))
    about["auto_map"] = {
        "AutoConfig": "configuration_bert_hash.BertHashConfig",
        "AutoModel": "modeling_bert_hash.BertHashModel",
        "AutoModelForSequenceClassification": "modeling_bert_hash.BertHashForSequenceClassification",
    }
    return {
        "config.json": json.dumps(about).encode(),
        "model.safetensors": (made / "model.safetensors").read_bytes(),
        "vocab.txt": _vocabulary(),
        "tokenizer_config.json": (made / "tokenizer_config.json").read_bytes(),
        "configuration_bert_hash.py": ALARM,
        "modeling_bert_hash.py": ALARM,
        "README.md": b"---\nlicense: apache-2.0\n---\n",
    }


def _parquet(columns: Mapping[str, Sequence[Any]], names: Sequence[str] | None) -> bytes:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(
        {
            name: ClassLabel(names=list(names or ()))
            if name == "label"
            else Value("int32" if name == "idx" else "string")
            for name in columns
        }
    )
    file = io.BytesIO()
    pq.write_table(Dataset.from_dict({k: list(v) for k, v in columns.items()}, features).data.table, file)
    return file.getvalue()


def _card(configs: Mapping[str, Mapping[str, bytes]], folders: Mapping[str, str]) -> bytes:
    """README.md of a data set: its configurations, their files, features and sizes, as YAML."""
    about: dict[str, list[dict[str, Any]]] = {"dataset_info": [], "configs": []}
    for config, splits in configs.items():
        tables = {split: pq.read_table(io.BytesIO(body)) for split, body in splits.items()}
        features = [
            _feature(field, next(iter(tables.values()))) for field in next(iter(tables.values())).schema
        ]
        sizes = [
            {"name": split, "num_bytes": table.nbytes, "num_examples": len(table)}
            for split, table in tables.items()
        ]
        about["dataset_info"].append({"config_name": config, "features": features, "splits": sizes})
        files = [{"split": split, "path": f"{folders[config]}/{split}-*"} for split in splits]
        about["configs"].append({"config_name": config, "data_files": files})
    return b"---\nlicense: other\n" + yaml.safe_dump(about, sort_keys=False).encode() + b"---\n# A data set\n"


def _feature(field: pa.Field, table: pa.Table) -> dict[str, Any]:
    if field.name != "label":
        return {"name": field.name, "dtype": str(field.type)}
    known = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    return {
        "name": "label",
        "dtype": {"class_label": {"names": {str(n): name for n, name in enumerate(known)}}},
    }


def _repository(
    configs: Mapping[str, Mapping[str, bytes]], folders: Mapping[str, str] | None = None
) -> Files:
    folders = folders or {config: config for config in configs}
    files = {
        f"{folders[config]}/{split}-00000-of-00001.parquet": body
        for config, splits in configs.items()
        for split, body in splits.items()
    }
    return {"README.md": _card(configs, folders), **files}


def glue(train: int = 700, validation: int = 200, seed: int = 0) -> Files:
    """GLUE with three of its configurations; the labels of its test splits are not published."""
    sst2 = {}
    for place, (split, count) in enumerate({"train": train, "validation": validation, "test": 50}.items()):
        texts, said = corpus(count, seed=seed + place)
        labels = [-1 if split == "test" else int(label == "positive") for label in said]
        rows = {"sentence": [f"{text} " for text in texts], "label": labels, "idx": range(count)}
        sst2[split] = _parquet(rows, ["negative", "positive"])
    pair = {"premise": ["it rains"], "hypothesis": ["it is wet"], "label": [-1], "idx": [0]}
    entailment = ["entailment", "neutral", "contradiction"]
    cola = {"sentence": ["they laughed"], "label": [1], "idx": [0]}
    return _repository(
        {
            "ax": {"test": _parquet(pair, entailment)},
            "cola": {"train": _parquet(cola, ["unacceptable", "acceptable"])},
            "sst2": sst2,
        }
    )


def imdb() -> Files:
    """IMDB: whole reviews of several sentences, and a split without labels."""
    splits = {}
    for place, (split, count) in enumerate({"train": 40, "test": 40, "unsupervised": 80}.items()):
        texts, said = corpus(3 * count, seed=20 + place)
        reviews = [". ".join(texts[row : row + 3]).capitalize() + "." for row in range(0, 3 * count, 3)]
        labels = [-1 if split == "unsupervised" else int(label == "positive") for label in said[::3]]
        splits[split] = _parquet({"text": reviews, "label": labels}, ["neg", "pos"])
    return _repository({"plain_text": splits})
