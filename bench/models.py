"""The models that are measured, made from local files in their libraries' true layouts, once.

    bag          our own bag of 250,000 parameters
    bert-hash    bert-hash-femto (242,662 parameters), BERT's vocabulary, for transformers and txtai
    model2vec    a static model of 64 columns with a head, as `StaticModelForClassification` trains it
    fasttext     fastText's supervised mode with pairs of words, of about as many parameters as the bag

All but bert-hash learn the same labelled sentences. bert-hash keeps its random weights: it is here for its speed, which
does not depend on them. The model `sentiment` comes with stepdown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.sentences import Labelled

# Columns of the static model: those of the smallest ones that its authors publish.
_COLUMNS = 64


def make(name: str, train: Labelled, folder: Path) -> None:
    """Make one of `MODELS` in a folder that is there; what it needs may be missing, and then raises ImportError."""
    MODELS[name](train, folder)


def _bag(train: Labelled, folder: Path) -> None:
    from accelerate import Accelerator

    from stepdown import export
    from stepdown.objectives import Objective
    from stepdown.students import building, vocabulary
    from stepdown.students.budgets import Wanted, sized
    from stepdown.train import Examples, Schedule, fit

    names = sorted(set(train.labels))
    counts = vocabulary.count_words(train.texts)
    words, shape = sized(Wanted("bag", max_params=250_000), names, counts, counts)
    model = building.untaught(words, shape, names, 128)
    labels = np.array([names.index(label) for label in train.labels])
    objective = Objective(soft_weight=0.0, hard_weight=1.0)
    schedule = Schedule(epochs=8, batch_size=64, learning_rate=2e-2, ema=0.99, word_dropout=0.1)
    examples = Examples.labelled(model.encode(train.texts), labels, len(names))
    for _ in fit(model, examples, objective, schedule, accelerator=Accelerator(cpu=True)):
        pass
    export.export(
        model,
        folder / "bag.stepdown",
        export.CheckTexts(train.texts[:1000], labels[:1000]),
        export.Description(lambda size, cost: "# A bag, for measuring its speed\n"),
    )


def _bert_hash(train: Labelled, folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from stepdown import assets
    from stepdown.students.bert_hash import BertHashConfig

    tokenizer = AutoTokenizer.from_pretrained(assets.tokenizer("demo:minilm-l6"))
    torch.manual_seed(0)
    config = BertHashConfig(
        vocab_size=len(tokenizer),
        hidden_size=50,
        projections=5,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=200,
        num_labels=2,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _model2vec(train: Labelled, folder: Path) -> None:
    from model2vec import StaticModel
    from model2vec.train import StaticModelForClassification
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    from stepdown import assets

    source = assets.model("demo:minilm-l6")
    weights = load_file(source / "model.safetensors")
    table = next(value for key, value in weights.items() if key.endswith("word_embeddings.weight"))
    table = table.astype(np.float64) - table.mean(0)
    _, axes = np.linalg.eigh(table.T @ table)
    vectors = (table @ axes[:, ::-1][:, :_COLUMNS]).astype(np.float32)
    static = StaticModel(vectors, Tokenizer.from_file(str(source / "tokenizer.json")))
    model = StaticModelForClassification.from_static_model(model=static)
    model.fit(train.texts, train.labels, device="cpu")
    model.to_pipeline().save_pretrained(str(folder))


def _fasttext(train: Labelled, folder: Path) -> None:
    lines = [f"__label__{label} {text}" for text, label in zip(train.texts, train.labels, strict=True)]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # fastText 0.9.3 reads memory that it never wrote: beside anything that used some, it ends in "Encountered NaN".
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        fresh.submit(_trained_by_fasttext, folder).result()


def _trained_by_fasttext(folder: Path) -> None:
    import fasttext

    settings = {
        "dim": 10,
        "wordNgrams": 2,
        "bucket": 10_000,
        "epoch": 10,
        "lr": 0.1,
        "thread": 1,
        "verbose": 0,
    }
    model = fasttext.train_supervised(str(folder / "train.txt"), **settings)
    model.save_model(str(folder / "model.bin"))
    rows, columns = model.get_input_matrix().shape
    (folder / "about.json").write_text(json.dumps({"parameters": rows * columns + 2 * columns}))


MODELS: dict[str, Callable[[Labelled, Path], None]] = {
    "bag": _bag,
    "bert-hash": _bert_hash,
    "model2vec": _model2vec,
    "fasttext": _fasttext,
}
