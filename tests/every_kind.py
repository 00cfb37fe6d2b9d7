"""Small models of every kind, untaught but loud, and their bundles: made once, for tests of what all must do."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stepdown import export, tasks
from stepdown.export import CheckTexts, Description, Form
from stepdown.recipe.settings import CORES
from stepdown.runtime import Bundle, Calibration, Classifier, LongTexts, bundle
from stepdown.students import bag, building, compact, huggingface
from stepdown.students.model import TextModel
from stepdown.tokens import Words
from tests.conftest import FILLER, GOOD, corpus, make_teacher
from tests.test_pair_models import make_roberta
from tests.test_tokens import HARD_TEXTS

LABELS = ("praise", "blame", "question")
OWN = (
    "gru", "forward-gru", "gru-pairs", "gru-int8", "gru-multi-label", "gru-long-texts", "conv-regression", "conv-pairs",
    "bag", "bag-pairs",
)  # fmt: skip
BERT = ("bert-pairs", "bert-multi-label")
"""Both are one network, as torch takes many seconds to trace one."""
OF_THE_FORMAT = (*OWN, *BERT)
KINDS = (*OF_THE_FORMAT, "roberta")
"""Kinds of bundles; `roberta` alone has no tokenizer of the format, but one of the library tokenizers."""

_LETTERS = tuple("abcdefghijklmnopqrstuvwxyzé电影שלוםهذ")
ENTRIES = (*GOOD, "n't", "'s", "it", "!", "...", ".", "😂", *FILLER, *_LETTERS)

REAL = [f"{text[0].upper()}{text[1:]}." for text in corpus(40)[0]]
BYTES = [random.Random(seed).randbytes(size) for seed, size in enumerate((1, 7, 40, 300))]
ODD = [
    *HARD_TEXTS,
    *(part.decode("utf-8", "surrogateescape") for part in BYTES),
    *(part.decode("latin-1") for part in BYTES),
    "ᚠᛇᚻ ࿈ 𐍈",
    "\u202eright to left\u202c שָׁלוֹם",
]
TEXTS = [*REAL, *ODD]
PAIRS = [*zip(TEXTS, reversed(TEXTS), strict=True), ("", ""), ("same", "same"), ("good " * 90, "bad")]


def texts_for(name: str) -> list[str] | list[tuple[str, str]]:
    """Texts, or pairs of texts, for a bundle of this kind."""
    return PAIRS if name.endswith("pairs") else TEXTS


@cache
def model(name: str) -> TextModel:
    """The model of a kind."""
    if name == "bert-multi-label":
        return replace(model("bert-pairs"), task="multi-label", is_pair=False)
    made = _bert(name) if name in (*BERT, "roberta") else _student(name)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in made.network.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.4)
    if "multi-label" in name:
        return replace(made, task="multi-label")
    return replace(made, task="regression") if "regression" in name else made


@cache
def packed(name: str) -> Bundle:
    """The bundle of a kind, compared with its model as every export is."""
    is_pair, made = name.endswith("pairs"), model(name)
    texts = [tasks.joined(*pair) for pair in PAIRS] if is_pair else list(map(tasks.single, TEXTS))
    thresholds = (0.3, 0.5, 0.8) if made.task == "multi-label" else None
    fitted = Calibration() if made.task == "regression" else Calibration(1.7, "selection", 40, thresholds)
    if name == "bert-multi-label":
        of_pairs = packed("bert-pairs")
        about = replace(of_pairs.about, task=made.task, is_pair=False, calibration=fitted)
        return Bundle(about, of_pairs.files)
    form = Form(
        "int8" if "int8" in name else "float32",
        accept_loss=True,
        long_texts=LongTexts(12, "whole-and-sentences") if "long-texts" in name else None,
    )
    checks = CheckTexts(texts, np.full(len(texts), -1), is_pair=is_pair)
    with tempfile.TemporaryDirectory() as folder:
        said = Description(lambda size, cost: f"# {name}\n", (), fitted)
        export.export(made, Path(folder) / "b", checks, said, form)
        return bundle.read(Path(folder) / "b")


@cache
def classifier(name: str) -> Classifier:
    """What runs the bundle of a kind."""
    return Classifier(packed(name), name)


def _student(name: str) -> TextModel:
    core = next(core for core in (*CORES, "bag") if name.startswith(core))
    is_pair = name.endswith("pairs")
    names = ("stars",) if "regression" in name else LABELS
    words = Words(ENTRIES, lowercase=core != "bag", pairs=is_pair)
    if core == "bag":
        shape = bag.shape_for(8_000, words.vocab_size, len(names), 500, is_pair=is_pair)
    else:
        shape = compact.shape_for(8_000, words.vocab_size, len(names), core, is_pair=is_pair)  # type: ignore[arg-type, assignment]
    words = Words(words.entries[: shape.vocabulary - words.first_id], words.lowercase, is_pair)
    return building.untaught(words, shape, names, 24)


def _bert(name: str) -> TextModel:
    with tempfile.TemporaryDirectory() as folder:
        make = make_roberta if name == "roberta" else make_teacher
        place = make(Path(folder) / "model")
        made = huggingface.load(place, LABELS, max_length=24, is_pair=name.endswith("pairs")).model
        made.network.eval()
        return made
