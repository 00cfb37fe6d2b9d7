"""The libraries that are measured, each as a function from a list of texts to a list of labels.

Every one is called as its documentation shows it for many texts at once, with the batch size that it defaults to, or
with 64 where that is one text at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

Classify = Callable[[list[str]], list[Any]]
_BATCH = 64


@dataclass(frozen=True)
class Peer:
    """A library with a model.

    Attributes:
        title: for the table.
        model: name in `models.MODELS`; None for the one that comes with stepdown.
        package: whose version is told.
        load: from the model's folder to the function that classifies, and the number of its parameters.
        is_ours: it is stepdown.
        learnt: the model has learnt the labels, and from nothing that the held-out texts are part of, so that its
            accuracy can be held against the others'.
    """

    title: str
    model: str | None
    package: str
    load: Callable[[Path], tuple[Classify, int]]
    is_ours: bool = False
    learnt: bool = True

    @property
    def version(self) -> str:
        """Of the package. Raises ImportError where it is not installed."""
        return version(self.package)


def _stepdown(path: Path | str) -> tuple[Classify, int]:
    from stepdown import Classifier

    classifier = Classifier.load(path)
    return classifier.predict, classifier.about.parameters or 0


def _pipeline(folder: Path) -> tuple[Classify, int]:
    import torch
    from transformers import pipeline

    import stepdown.students.bert_hash  # noqa: F401  # makes the architecture known

    torch.set_num_threads(1)
    asked = pipeline("text-classification", model=str(folder), device="cpu")
    parameters = sum(weights.numel() for weights in asked.model.parameters())
    return lambda texts: [one["label"] for one in asked(texts, batch_size=_BATCH)], parameters


def _txtai(folder: Path) -> tuple[Classify, int]:
    import torch
    from txtai.pipeline import Labels

    import stepdown.students.bert_hash  # noqa: F401  # makes the architecture known

    torch.set_num_threads(1)
    asked = Labels(str(folder), gpu=False, dynamic=False)
    parameters = sum(weights.numel() for weights in asked.pipeline.model.parameters())
    return lambda texts: [best[0][0] for best in asked(texts, batch_size=_BATCH)], parameters


def _model2vec(folder: Path) -> tuple[Classify, int]:
    from model2vec.inference import StaticModelPipeline

    asked = StaticModelPipeline.from_pretrained(str(folder))
    head = sum(layer.weight.size + layer.bias.size for layer in asked.head.layers)
    return lambda texts: list(asked.predict(texts)), asked.model.embedding.size + head


def _fasttext(folder: Path) -> tuple[Classify, int]:
    import fasttext

    asked = fasttext.load_model(str(folder / "model.bin"))
    parameters = json.loads((folder / "about.json").read_text())["parameters"]
    return lambda texts: [best[0].removeprefix("__label__") for best in asked.predict(texts)[0]], parameters


PEERS: dict[str, Peer] = {
    "stepdown": Peer(
        "stepdown, `sentiment`",
        None,
        "stepdown",
        lambda _: _stepdown("sentiment"),
        is_ours=True,
        learnt=False,  # it learnt from SST-2, which is cut from the very reviews that the others are measured on
    ),
    "stepdown-bag": Peer(
        "stepdown, bag", "bag", "stepdown", lambda folder: _stepdown(folder / "bag.stepdown"), is_ours=True
    ),
    "transformers": Peer(
        "transformers, `pipeline`, bert-hash-femto", "bert-hash", "transformers", _pipeline, learnt=False
    ),
    "txtai": Peer("txtai, `Labels`, bert-hash-femto", "bert-hash", "txtai", _txtai, learnt=False),
    "model2vec": Peer("model2vec with a head", "model2vec", "model2vec", _model2vec),
    "fasttext": Peer("fastText, supervised", "fasttext", "fasttext", _fasttext),
}
