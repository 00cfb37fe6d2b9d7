"""A toy corpus and a toy teacher in the true layout, made here: no test needs a hub."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import settings

from stepdown.cli import cli
from tests.browser import Browser, find

# A busy machine fails no test.
settings.register_profile("stepdown", deadline=None)
settings.load_profile("stepdown")

GOOD, BAD = ("good", "fine", "great"), ("bad", "dull", "poor")
FILLER = tuple(f"word{index}" for index in range(60))


def corpus(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts, and labels that are in one word of each."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        label = int(draw.integers(0, 2))
        words = list(draw.choice(FILLER, draw.integers(3, 10)))
        words.insert(draw.integers(0, len(words)), draw.choice(GOOD if label else BAD))
        texts.append(" ".join(words))
        labels.append("positive" if label else "negative")
    return texts, labels


def write_reviews(path: Path, n: int = 600, seed: int = 0) -> Path:
    """The corpus as a CSV file with the columns `review` and `verdict`."""
    rows = [f"{text},{label}" for text, label in zip(*corpus(n, seed), strict=True)]
    path.write_text("\n".join(["review,verdict", *rows]) + "\n", encoding="utf-8")
    return path


def invoke(*words: object) -> Result:
    """What the command does with some words, in this process."""
    return CliRunner().invoke(cli, [str(word) for word in words])


def run_by_two(path: Path, out: Path) -> None:
    """Runs a recipe in two processes, as torchrun starts them."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "stepdown"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    words = [*launch, "run", str(path), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Bundle: ") == 1, "one of the two tells the results"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that opens pages one after the other."""
    program = find()
    assert program is not None, "tests of pages are skipped without one"
    with Browser(program, tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="session")
def own_environment() -> dict[str, str]:
    """The environment of whoever runs the tests, before a test changed it."""
    return dict(os.environ)


@pytest.fixture(autouse=True)
def _own_cache(
    own_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPDOWN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def toy_csv(tmp_path: Path) -> Path:
    """600 labelled texts in a CSV file with the columns `review` and `verdict`."""
    return write_reviews(tmp_path / "reviews.csv")


@pytest.fixture
def toy_teacher(tmp_path: Path) -> Path:
    """A BERT encoder without a head, two layers of 32, as a hub would serve it."""
    return make_teacher(tmp_path / "toy-teacher")


def make_teacher(folder: Path, **settings: object) -> Path:
    """Write a tiny BERT; `settings` are added to its configuration."""
    from transformers import BertConfig, BertModel

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLER]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}), encoding="utf-8"
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        **settings,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


def make_bert_hash(folder: Path, name: str = "projections") -> tuple[Path, dict[str, torch.Tensor]]:
    """Write a tiny `bert_hash` encoder in its published layout; `name` is what its linear map is called."""
    from safetensors.torch import save_file

    from stepdown.students import bert_hash

    make_teacher(folder)  # for the vocabulary
    size = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    config = bert_hash.BertHashConfig(
        vocab_size=size,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=64,
        projections=5,
    )
    torch.manual_seed(0)
    whole = bert_hash.BertHashForSequenceClassification(config).bert.state_dict()
    kept = {
        key.replace("word_embeddings.projections.", f"word_embeddings.{name}."): value.clone()
        for key, value in whole.items()
        if not key.startswith("pooler") and "position_ids" not in key
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    described = config.to_dict() | {
        "architectures": ["BertHashModel"],
        "auto_map": {"AutoModel": "modeling.BertHashModel", "AutoConfig": "configuration.BertHashConfig"},
    }
    (folder / "configuration.py").write_text("raise SystemExit('code of a hub was run')\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    return folder, kept


@pytest.fixture
def toy_recipe(tmp_path: Path, toy_csv: Path, toy_teacher: Path) -> Callable[..., Path]:
    """Writes a recipe over the toy data and teacher: a two-rung ladder that trains in seconds."""

    def write(seeds: int = 1, arms: str = '["direct", "one-hop", "chain", "dense"]') -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(
            f"""name = "toy"
[data]
source = "{toy_csv.name}"
text = "review"
label = "verdict"
max_length = 32
[teacher]
model = "./{toy_teacher.name}"
epochs = 4
learning_rate = 2e-3
[[rungs]]
model = "teacher:1"
epochs = 2
learning_rate = 1e-3
[[rungs]]
model = "compact"
max_params = 15_000
epochs = 6
batch_size = 32
[compare]
arms = {arms}
seeds = {seeds}
""",
            encoding="utf-8",
        )
        return path

    return write
